/*-------------------------------------------------------------------------
 *
 * kept_memory.c
 *	  Memory that a process keeps between large allocations.
 *
 * src/base/kept_memory.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/kept_memory.h"

#include "utils/memutils.h"

void
prism_keep_memory(Size bytes)
{
	static Size kept = 0;

	if (bytes <= kept)
		return;
	pfree(MemoryContextAlloc(TopMemoryContext, bytes));
	kept = bytes;
}
