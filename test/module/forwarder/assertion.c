/*-------------------------------------------------------------------------
 *
 * assertion.c
 *	  An assertion of the forwarder failed.  PostgreSQL's declaration is not the
 *	  same in all its versions, so it is not included here.
 *
 * test/module/forwarder/assertion.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>

extern void ExceptionalCondition(const char *condition);

void
ExceptionalCondition(const char *condition)
{
	printf("# assertion failed: %s\n", condition);
	fflush(stdout);
	abort();
}
