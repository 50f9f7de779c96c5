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
#include "backend/endpoint_rule.h"
#include "base/config_key.h"

/* What a back end can be used for; the operations of a role are in a header of its own. */
#define PRISM_ROLE_QUEUE	(1 << 0)	/* queue.h */
#define PRISM_ROLE_OBJECT	(1 << 1)
#define PRISM_ROLE_CACHE	(1 << 2)
#define PRISM_ROLE_TABLE	(1 << 3)
#define PRISM_ROLE_ROWS		(1 << 4)	/* has the rows that are read, captured and cached */

/*
 * What a namespace says in its "backend": where the keys of all back ends are
 * read to.  All zero: nothing was said.
 */
typedef struct PrismBackendKeys
{
	PrismPlace	place;			/* also of the word alone */
	PrismValue	type;
	PrismValue	topic;

	/* of the log itself */
	PrismValue	database;

	/* of queues beyond the database */
	PrismValue	topic_prefix;
	PrismValue	partitions;
	PrismValue	replication;

	/* of those that are reached through foreign servers */
	PrismValue	server;
	PrismValue	brokers;
} PrismBackendKeys;

/* Rows for tables of keys (base/config_key.h). */
#define PRISM_BACKEND_KEY(key_name, key_kind) .name = #key_name,.kind = PRISM_KEY_##key_kind,.offset = offsetof(PrismBackendKeys, key_name)
#define PRISM_BACKEND_SERVER_ROW \
	{PRISM_BACKEND_KEY(server, TEXT),.default_text = "as the type", \
	 .help = "The foreign server, on which USAGE is needed."}
#define PRISM_BACKEND_PREFIX_ROW \
	{PRISM_BACKEND_KEY(topic_prefix, TEXT),.help = "The topic there is called prefix, dot, topic."}
#define PRISM_BACKEND_SERVER_KEYS \
	PRISM_BACKEND_SERVER_ROW, \
	{PRISM_BACKEND_KEY(brokers, TEXT_LIST),.entries_min = 1,.entries_max = PRISM_ENDPOINTS_MAX, \
	 .help = "Instead of a server, where no secret is needed: host:port each; for superusers and prism.allowed_endpoints, which then holds for the addresses that they advertise as well."}
#define PRISM_BACKEND_QUEUE_KEYS \
	PRISM_BACKEND_PREFIX_ROW, \
	{PRISM_BACKEND_KEY(partitions, INTEGER),.minimum = 1,.maximum = PRISM_PARTITIONS_MAX,.default_text = "the broker's", \
	 .help = "Of the topic there; one that has fewer is given more, none can be taken away."}, \
	{PRISM_BACKEND_KEY(replication, INTEGER),.minimum = 1,.maximum = PRISM_REPLICATION_MAX,.default_text = "the broker's", \
	 .help = "Copies of each partition of a topic that has to be made; one that is there keeps its own."}

typedef struct PrismBackendInfo
{
	const char *name;			/* as written in YAML */
	bool		built;			/* false: known from the RFC, refused by apply */
	const char *library;		/* of its operations, in $libdir; NULL: none, messages stay in the log */
	uint32		roles;			/* PRISM_ROLE_* */
	uint32		chosen_for;		/* of them, those for which it is chosen when nobody names one and there is a server of its name */
	bool		transactional;	/* can do exactly_once */
	int64		message_bytes_max;	/* default of max_message_size */
	const char *wrapper;		/* its FOREIGN DATA WRAPPER, NULL: none */
	const struct PrismOptionTable *options; /* of the wrapper's servers (option_table.h) */
	const PrismKey *keys;		/* of YAML's "backend", beside type and topic; NULL: none */
	bool		fails_on_request;	/* takes what the row of a sink says under "failures" as options: for tests */
} PrismBackendInfo;

/* The one of a namespace that names none. */
#define PRISM_BACKEND_DEFAULT "postgres"

extern const PrismBackendInfo *prism_backend_info(const char *name);	/* NULL: unknown */
extern const PrismBackendInfo *const *prism_backend_infos(void);	/* ended by NULL */

/* Those with a role as words of a key, built or not; 0: all. */
extern bool prism_backend_word(uint32 role, int number, PrismWord *word);

#endif							/* PRISM_BACKEND_REGISTRY_H */
