/*-------------------------------------------------------------------------
 *
 * drain.c
 *	  How long some consumers take to empty a queue.
 *
 * drain CONSUMERS TAKE [ACKNOWLEDGE]
 *
 * Each consumer runs the statement TAKE, a transaction each time, until it
 * affects no row.  With ACKNOWLEDGE that statement follows each TAKE, as a
 * second transaction; its parameter is the bigint array of the first column
 * of what was taken.  Where the server is, libpq's environment says.
 *
 * Prints the messages taken and the seconds from the first statement to the
 * end of the last.
 *
 * test/bench/drain.c
 *
 *-------------------------------------------------------------------------
 */
#include <libpq-fe.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONSUMERS_MAX 64
/* "-9223372036854775808," */
#define POSITION_BYTES 21

typedef struct Consumer
{
	pthread_t	thread;
	PGconn	   *connection;
	char	   *ids;			/* the parameter of ACKNOWLEDGE */
	size_t		ids_bytes;
	long		taken;
} Consumer;

static const char *acknowledge = NULL;
static pthread_barrier_t start;

static void
fail(PGconn *connection, const char *what)
{
	fprintf(stderr, "%s: %s", what, PQerrorMessage(connection));
	exit(1);
}

/* Ends the program unless the server did as told; the result is the caller's. */
static PGresult *
checked(PGconn *connection, PGresult *result, const char *what)
{
	ExecStatusType status = PQresultStatus(result);

	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
		fail(connection, what);
	return result;
}

static void
prepare(PGconn *connection, const char *name, const char *statement)
{
	PQclear(checked(connection, PQprepare(connection, name, statement, 0, NULL), statement));
}

static PGconn *
open_connection(const char *take)
{
	PGconn	   *connection = PQconnectdb("");

	if (PQstatus(connection) != CONNECTION_OK)
		fail(connection, "could not connect");
	prepare(connection, "take", take);
	if (acknowledge != NULL)
		prepare(connection, "acknowledge", acknowledge);
	return connection;
}

/* The first column of a result as an array literal. */
static const char *
ids_of(Consumer *consumer, const PGresult *result)
{
	int			count = PQntuples(result);
	size_t		needed = (size_t) count * POSITION_BYTES + sizeof("{}");
	char	   *end;

	if (needed > consumer->ids_bytes)
	{
		consumer->ids = realloc(consumer->ids, needed);
		consumer->ids_bytes = needed;
	}
	end = consumer->ids;
	*end++ = '{';
	for (int i = 0; i < count; i++)
		end += sprintf(end, "%s%s", i > 0 ? "," : "", PQgetvalue(result, i, 0));
	strcpy(end, "}");
	return consumer->ids;
}

static void *
consume(void *arg)
{
	Consumer   *consumer = arg;
	long		taken;

	pthread_barrier_wait(&start);
	do
	{
		PGresult   *result = checked(consumer->connection,
									 PQexecPrepared(consumer->connection, "take", 0, NULL, NULL, NULL, 0), "take");

		taken = atol(PQcmdTuples(result));
		consumer->taken += taken;
		if (taken > 0 && acknowledge != NULL)
		{
			const char *ids = ids_of(consumer, result);

			PQclear(checked(consumer->connection,
							PQexecPrepared(consumer->connection, "acknowledge", 1, &ids, NULL, NULL, 0), "acknowledge"));
		}
		PQclear(result);
	} while (taken > 0);
	return NULL;
}

static double
now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

int
main(int argc, char **argv)
{
	static Consumer consumers[CONSUMERS_MAX];
	int			count = argc > 1 ? atoi(argv[1]) : 0;
	long		taken = 0;
	double		started;

	if (argc < 3 || argc > 4 || count < 1 || count > CONSUMERS_MAX)
	{
		fprintf(stderr, "usage: drain CONSUMERS TAKE [ACKNOWLEDGE]\n");
		return 2;
	}
	acknowledge = argv[3];
	pthread_barrier_init(&start, NULL, count + 1);
	for (int i = 0; i < count; i++)
	{
		consumers[i].connection = open_connection(argv[2]);
		pthread_create(&consumers[i].thread, NULL, consume, &consumers[i]);
	}
	pthread_barrier_wait(&start);
	started = now_s();
	for (int i = 0; i < count; i++)
	{
		pthread_join(consumers[i].thread, NULL);
		taken += consumers[i].taken;
	}
	printf("%ld %.6f\n", taken, now_s() - started);
	return 0;
}
