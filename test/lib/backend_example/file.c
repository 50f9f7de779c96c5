/*-------------------------------------------------------------------------
 *
 * file.c
 *	  The example of a back end: a queue that is a file in the data directory.
 *
 * It writes a line for each message and keeps no position, so it has only the
 * operations of a queue without transactions.
 *
 * test/lib/backend_example/file.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend/handle.h"
#include "backend/queue.h"

#include "utils/builtins.h"
#include "utils/memutils.h"

#define FILE_PATH "prism_file.out"
#define UNTAKEN_MAX 100

typedef struct FileConn
{
	PrismConn	conn;			/* must be first */
	FILE	   *file;
	PrismReceipt untaken[UNTAKEN_MAX];	/* receipts */
	int			untaken_count;
} FileConn;

static const PrismBackend file_backend;

static void
close_file(void *file)
{
	(void) fclose(file);
}

static PrismConn *
open_connection(const PrismServer *server, const char *transactional_id,
				MemoryContext mcxt, char *error)
{
	FileConn   *connection = MemoryContextAllocZero(mcxt, sizeof(FileConn));
	PrismHandle *handle = prism_handle_new(mcxt);

	Assert(transactional_id == NULL);
	connection->conn.backend = &file_backend;
	connection->conn.mcxt = mcxt;
	connection->conn.queue_messages = UNTAKEN_MAX;
	connection->file = fopen(FILE_PATH, "a");
	if (connection->file == NULL)
	{
		snprintf(error, PRISM_ERROR_BYTES, "could not open \"%s\": %m", FILE_PATH);
		return NULL;
	}
	prism_handle_hold(handle, close_file, connection->file);
	return &connection->conn;
}

/* Nothing comes by itself. */
static pgsocket
wait_socket(PrismConn *conn)
{
	return PGINVALID_SOCKET;
}

static PrismOutcome
prepare(PrismConn *conn, const PrismQueueTarget *target, PrismQueueShape *shape)
{
	return PRISM_OK;
}

static PrismOutcome
send(PrismConn *conn, const PrismQueueTarget *target, const PrismMessage *message, uint64 tag)
{
	FileConn   *connection = (FileConn *) conn;
	char	   *payload;

	if (connection->untaken_count == UNTAKEN_MAX)
		return PRISM_AGAIN;
	payload = message->has_payload ? text_to_cstring(DatumGetTextPP(message->payload)) : pstrdup("");
	fprintf(connection->file, "%s " INT64_FORMAT " %s\n", target->name, message->offset, payload);
	pfree(payload);
	connection->untaken[connection->untaken_count++] = (PrismReceipt) {.tag = tag,.outcome = PRISM_OK};
	return PRISM_OK;
}

/* What is not on its way to the disk has no receipt yet. */
static int
collect(PrismConn *conn, PrismReceipt *receipts, int receipts_max)
{
	FileConn   *connection = (FileConn *) conn;
	int			count = Min(receipts_max, connection->untaken_count);
	bool		written = fflush(connection->file) == 0;

	if (!written)
	{
		snprintf(conn->error, PRISM_ERROR_BYTES, "could not write \"%s\": %m", FILE_PATH);
		conn->doubt = true;
	}
	for (int i = 0; i < count; i++)
	{
		receipts[i] = connection->untaken[i];
		if (!written)
			receipts[i].outcome = PRISM_RETRY;
	}
	connection->untaken_count -= count;
	memmove(connection->untaken, connection->untaken + count, connection->untaken_count * sizeof(PrismReceipt));
	return count;
}

static void
explain(PrismConn *conn, const PrismQueueTarget *target, int code, char *text)
{
	strlcpy(text, conn->error, PRISM_ERROR_BYTES);
}

/* Everything is written as it is sent. */
static void
purge(PrismConn *conn)
{
	conn->doubt = true;
}

static const PrismQueueOps file_queue = {
	.open = open_connection,
	.prepare = prepare,
	.send = send,
	.collect = collect,
	.explain = explain,
	.purge = purge,
};

static const PrismBackend file_backend = {
	.name = "file",
	.version = PRISM_VERSION,
	.wait_socket = wait_socket,
	.queue = &file_queue,
};

PRISM_BACKEND_LIBRARY(file, file_backend);
