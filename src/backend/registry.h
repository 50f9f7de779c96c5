/*-------------------------------------------------------------------------
 *
 * registry.h
 *	  What a caller's session has to know of a back end.
 *
 * Each back end describes itself in its folder (src/backend/NAME/NAME_info.c);
 * registry.c has a line for each.  All of it is in prism.so, which links no
 * client library; what a back end does is in a library of its own, which only
 * workers load (backend.h).
 *
 * src/backend/registry.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_BACKEND_REGISTRY_H
#define PRISM_BACKEND_REGISTRY_H

#include "base/prism.h"

#include "nodes/pg_list.h"

/* What a back end can be used for; the operations of a role are in a header of its own. */
#define PRISM_ROLE_QUEUE	(1 << 0)	/* queue.h */
#define PRISM_ROLE_OBJECT	(1 << 1)
#define PRISM_ROLE_CACHE	(1 << 2)
#define PRISM_ROLE_TABLE	(1 << 3)

/*
 * What a namespace says in its "backend" beside the type and the topic: where
 * the back end's keys are read to.  All zero: nothing was said.
 */
typedef struct PrismBackendSettings
{
	char	   *server;			/* foreign server */
	List	   *brokers;		/* of char *: host:port */
	char	   *topic_prefix;
	int			partitions;
	int			replication;
} PrismBackendSettings;

typedef enum PrismBackendKeyKind
{
	PRISM_BACKEND_KEY_TEXT,		/* char * */
	PRISM_BACKEND_KEY_INTEGER,	/* int, minimum .. maximum */
	PRISM_BACKEND_KEY_ENDPOINTS /* List * of char *, allowed for the caller (endpoint_rule.h) */
} PrismBackendKeyKind;

/* A key of YAML's "backend" that means something to a back end. */
typedef struct PrismBackendKey
{
	const char *name;
	PrismBackendKeyKind kind;
	Size		offset;			/* of its value in PrismBackendSettings */
	int64		minimum;
	int64		maximum;
} PrismBackendKey;

/* Keys of those that are reached through foreign servers, and of those that are queues. */
#define PRISM_BACKEND_SERVER_KEYS \
	{"server", PRISM_BACKEND_KEY_TEXT, offsetof(PrismBackendSettings, server), 0, 0}, \
	{"brokers", PRISM_BACKEND_KEY_ENDPOINTS, offsetof(PrismBackendSettings, brokers), 0, 0}
#define PRISM_BACKEND_QUEUE_KEYS \
	{"topic_prefix", PRISM_BACKEND_KEY_TEXT, offsetof(PrismBackendSettings, topic_prefix), 0, 0}, \
	{"partitions", PRISM_BACKEND_KEY_INTEGER, offsetof(PrismBackendSettings, partitions), 1, PRISM_PARTITIONS_MAX}, \
	{"replication", PRISM_BACKEND_KEY_INTEGER, offsetof(PrismBackendSettings, replication), 1, PRISM_REPLICATION_MAX}

typedef struct PrismBackendInfo
{
	const char *name;			/* as written in YAML */
	const char *library;		/* of its operations, in $libdir; NULL: none, messages stay in the log */
	uint32		roles;			/* PRISM_ROLE_* */
	bool		transactional;	/* can do exactly_once */
	int64		message_bytes_max;	/* default of max_message_size */
	const char *wrapper;		/* its FOREIGN DATA WRAPPER, NULL: none */
	const struct PrismOptionTable *options; /* of the wrapper's servers (option_table.h) */
	const PrismBackendKey *keys;	/* of YAML, ended by one without a name; NULL: none */
	bool		fails_on_request;	/* takes what the row of a sink says under "failures" as options: for tests */
} PrismBackendInfo;

extern const PrismBackendInfo *prism_backend_info(const char *name);	/* NULL: unknown */
extern const PrismBackendInfo *const *prism_backend_infos(void);	/* ended by NULL */

/* The one of a namespace that names none. */
extern const PrismBackendInfo *prism_backend_default(void);

/* The back end knows this key of YAML; NULL: it has no meaning for it. */
extern const PrismBackendKey *prism_backend_key(const PrismBackendInfo *info, const char *name);

#endif							/* PRISM_BACKEND_REGISTRY_H */
