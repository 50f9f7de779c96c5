/*-------------------------------------------------------------------------
 *
 * tap.h
 *	  What programs that test without a server print: TAP.
 *
 * printf must be the system's when this is included: they link nothing of the
 * server.  TAP_DIAGNOSTIC() prints what else there is to know of a failure.
 *
 * test/module/tap.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef TAP_H
#define TAP_H

#include <stdbool.h>
#include <stdio.h>

#ifndef TAP_DIAGNOSTIC
#define TAP_DIAGNOSTIC()
#endif

static int	tests;
static int	failures;

static void
ok(bool passed, const char *what)
{
	tests++;
	if (!passed)
	{
		failures++;
		TAP_DIAGNOSTIC();
	}
	printf("%s %d - %s\n", passed ? "ok" : "not ok", tests, what);
}

/* The plan, last; the program's exit status. */
static int
end_tests(void)
{
	printf("1..%d\n", tests);
	return failures == 0 ? 0 : 1;
}

#endif							/* TAP_H */
