/*-------------------------------------------------------------------------
 *
 * kept_memory.h
 *	  Memory that a process keeps between large allocations.
 *
 * glibc gives a freed block of a megabyte or more back to the kernel at once, and
 * the next one is paid for anew, page by page, until the process has given back
 * a larger one (mallopt(3), M_MMAP_THRESHOLD): up to half of what it costs to
 * copy some MB.
 *
 * src/base/kept_memory.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_KEPT_MEMORY_H
#define PRISM_KEPT_MEMORY_H

#include "postgres.h"

/* Blocks of up to so many bytes stay with the process from now on when they are freed, twice as much in all. */
extern void prism_keep_memory(Size bytes);

#endif							/* PRISM_KEPT_MEMORY_H */
