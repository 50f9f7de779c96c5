/*-------------------------------------------------------------------------
 *
 * receive.c
 *	  When a waiting consumer has what was published.
 *
 * receive MESSAGES WAIT TAKE
 *
 * Runs the statement WAIT, then TAKE until that returns no row, over and over
 * until MESSAGES have come; says "ready" before the first WAIT.  The first
 * column of TAKE is the time at which a message was sent, in microseconds
 * since 1970.  Prints for each message how long it took, in milliseconds.
 * Where the server is, libpq's environment says.
 *
 * test/bench/receive.c
 *
 *-------------------------------------------------------------------------
 */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static PGconn *connection;

static void
fail(const char *what)
{
	fprintf(stderr, "%s: %s", what, PQerrorMessage(connection));
	exit(1);
}

static double
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

/* Prints how old the messages are that came; returns their number. */
static long
take(const char *statement)
{
	PGresult   *result = PQexec(connection, statement);
	double		now = now_us();
	int			count = PQntuples(result);

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		fail(statement);
	for (int i = 0; i < count; i++)
		printf("%.3f\n", (now - atof(PQgetvalue(result, i, 0))) / 1000);
	PQclear(result);
	return count;
}

int
main(int argc, char **argv)
{
	long		missing = argc == 4 ? atol(argv[1]) : 0;

	if (missing <= 0)
	{
		fprintf(stderr, "usage: receive MESSAGES WAIT TAKE\n");
		return 2;
	}
	connection = PQconnectdb("");
	if (PQstatus(connection) != CONNECTION_OK)
		fail("could not connect");
	fprintf(stderr, "ready\n");
	while (missing > 0)
	{
		PGresult   *result = PQexec(connection, argv[2]);
		long		taken;

		if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
			fail(argv[2]);
		PQclear(result);
		do
		{
			taken = take(argv[3]);
			missing -= taken;
		} while (taken > 0);
	}
	return 0;
}
