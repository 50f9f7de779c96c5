/*-------------------------------------------------------------------------
 *
 * backend.h
 *	  Where messages go: the interface between worker loops and client libraries.
 *
 * prism.so knows each back end's name, roles, options and words of YAML
 * (PrismBackendInfo, registry.h): apply() and the validators of foreign servers
 * need them in the caller's session.  The operations (PrismBackend) live in a
 * library for each back end, which a worker loads by its name (load.c): it
 * exports one function, prism_NAME_backend().  No variable is shared between
 * the libraries, and a host that lacks a client library lacks that back end and
 * no other.
 *
 * Here is what all back ends have in common.  What one can be used for, its
 * roles, is in a header each (queue.h); opening a connection belongs to the
 * role, as it is opened for one.
 *
 * Rules for every operation of every role:
 *	- It returns within 100 ms, whatever the network does.  What takes longer
 *	  answers PRISM_AGAIN and goes on when it is called again, with the same
 *	  arguments, after wait_socket() became readable or PRISM_POLL_MS passed.
 *	- It is called with no transaction open and no LWLock held, by the worker's
 *	  only thread of PostgreSQL.  Foreign threads call no PostgreSQL function.
 *	- It never throws for what the outside did; it answers with an outcome and
 *	  leaves a text without secrets or payloads in conn->error.  It may throw for
 *	  lack of memory: handles hang on the connection's memory context.
 *	- Every queue is bounded by bytes.
 *
 * No .c of its name: an interface, behind which are the libraries; load.c loads them.
 *
 * src/backend/backend.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_BACKEND_H
#define PRISM_BACKEND_H

#include "base/prism.h"
#include "base/extension.h"		/* PRISM_VERSION */

#include "fmgr.h"
#include "nodes/pg_list.h"

#define PRISM_POLL_MS 50
#define PRISM_ERROR_BYTES 512

struct PrismBackendInfo;
struct PrismQueueOps;

/* One option of a back end, as name and value; both copied. */
typedef struct PrismOption
{
	const char *name;
	const char *value;
} PrismOption;

/*
 * The endpoint that a connection is for: a foreign server, or YAML's inline one.
 * Names of options are those of the back end's table (option_table.h).
 */
typedef struct PrismServer
{
	const char *name;			/* for messages */
	const char *identity;		/* uuid of this installation, as text: part of ids that outlive us */
	const char *incarnation;	/* random, new in each worker process: part of position metadata */
	List	   *options;		/* of PrismOption: server's, then user mapping's (secrets) */
	const char *allowed;		/* patterns for addresses that the other side names; NULL: any */
} PrismServer;

/* An open connection; a back end's own struct begins with it. */
typedef struct PrismConn
{
	const struct PrismBackend *backend;
	MemoryContext mcxt;			/* resetting it closes the connection */
	char		error[PRISM_ERROR_BYTES];	/* of the last outcome that was not PRISM_OK */
	int64		queue_bytes;	/* bounds of what can be sent and without receipt at a time; 0: none is known */
	int64		queue_messages;
	bool		doubt;			/* results cannot be trusted from here on: close, open anew */
} PrismConn;

typedef struct PrismBackend
{
	const char *name;			/* as written in YAML */
	const char *version;		/* PRISM_VERSION: a library of another one is not used */

	/* Readable when there is something to take in; PGINVALID_SOCKET: poll. */
	pgsocket	(*wait_socket) (PrismConn *conn);

	/* The operations of the roles that it plays; NULL: it does not. */
	const struct PrismQueueOps *queue;
} PrismBackend;

typedef const PrismBackend *(*PrismBackendFunction) (void);

/* Once in each library, at the end of the file with its table: the one function that it exports. */
#define PRISM_BACKEND_LIBRARY(name, table) \
	PG_MODULE_MAGIC; \
	extern PGDLLEXPORT const PrismBackend *prism_##name##_backend(void); \
	const PrismBackend * \
	prism_##name##_backend(void) \
	{ \
		return &(table); \
	} \
	extern int	no_such_variable

/*
 * load.c, in prism.so: the operations of a back end that has a library.  NULL,
 * and error (of PRISM_ERROR_BYTES) filled, when the library cannot be loaded
 * here or is of another version: that may change.
 */
extern const PrismBackend *prism_backend_load(const struct PrismBackendInfo *info, char *error);

#endif							/* PRISM_BACKEND_H */
