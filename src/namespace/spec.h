/*-------------------------------------------------------------------------
 *
 * spec.h
 *	  A namespace as configured: from YAML to what apply() makes of it.
 *
 * prism_namespaces_read() is pure: it touches no catalogue but those of
 * foreign servers and the caller's rights on them.  Nothing here throws for what
 * the document says: it complains (complaint.h).
 *
 * No .c of its name: config.c reads it, catalog.c keeps it; choice.c and needs.c
 * choose what nobody names, and there are the checks of names.c, distinct.c,
 * log_needs.c, contradiction.c, endpoint.c and validate.c.
 *
 * src/namespace/spec.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_SPEC_H
#define PRISM_SPEC_H

#include "base/prism.h"
#include "backend/registry.h"
#include "namespace/apis.h"
#include "namespace/complaint.h"
#include "namespace/keys.h"
#include "namespace/yaml.h"
#include "pattern/pattern.h"
#include "store/payload/store_catalog.h"

#include "lib/stringinfo.h"

/* A back end of a pattern's own. */
typedef struct PrismStore
{
	const PrismBackendInfo *backend;
	const char *server;			/* its foreign server, if it is reached through one */
	const char *reason;			/* why it was chosen; NULL: it is named */
	const PrismPlace *place;
} PrismStore;

/* A link of the chain, and why it is there. */
typedef struct PrismChosenPattern
{
	const PrismPattern *pattern;
	const char *reason;			/* for people */
	bool		needed;			/* nobody has named it */
	const PrismPatternKeys *given;	/* its options, NULL: it is needed */
	const PrismPlace *place;	/* where the reason stands */
	List	   *stores;			/* PrismStore: where it keeps what is its own, and where else it sends */
} PrismChosenPattern;

/* What plan() tells of a namespace beside its patterns. */
typedef struct PrismNote
{
	const char *action;			/* "backend", "partitions", "storage", "warning" */
	const char *text;
	const PrismPlace *place;
} PrismNote;

/* A consumer group that apply() makes. */
typedef struct PrismConsumer
{
	char	   *group;
	char	   *config;			/* its options, as JSON */
} PrismConsumer;

/* Something that a namespace says. */
typedef struct PrismCondition
{
	const char *pattern;		/* it is an option of this one, which it names; NULL: it is its own */
	const char *key;			/* as people write it */
	Size		offset;			/* of the PrismValue, in PrismPatternKeys or PrismNamespaceKeys */
	const char *word;			/* which one it is; NULL: any */
} PrismCondition;

#define PRISM_WHEN_CALLED(key, member, word) {NULL, key, offsetof(PrismNamespaceKeys, member), word}
#define PRISM_WHEN(member, word) PRISM_WHEN_CALLED(#member, member, word)
#define PRISM_WHEN_OPTION(pattern, member, word) {pattern, "patterns." #member, offsetof(PrismPatternKeys, member), word}

/* Of the row of a namespace, what is not chosen anew. */
typedef struct PrismPin
{
	const char *backend;		/* which one it has; NULL: that cannot be read */
	bool		chosen;			/* nobody named that */
	int			partitions;		/* 0: not given */
	const char *store;			/* where its large payloads go; NULL: nowhere, or somebody named that */
} PrismPin;

/* What is made of what is given: with defaults, names and reasons. */
typedef struct PrismNamespace
{
	const PrismNamespaceKeys *given;
	const PrismPin *pin;		/* NULL: it is new, or its row has not been looked at yet */
	bool		words_only;		/* it is for prism.check(), which looks at no server, database or right */
	char	   *name;
	const PrismApi *api;
	const PrismPlace *api_place;
	char	   *topic;			/* of the log: the first argument of publish() */
	const PrismPlace *topic_place;
	List	   *patterns;		/* PrismChosenPattern, in order */

	/* outbox */
	char	   *table;			/* the view in schema prism, or NULL */
	const PrismPlace *table_place;
	int			interval_ms;	/* 0: not given */
	int			batch_size;		/* 0: not given */

	/* back end */
	const PrismBackendInfo *backend;
	const PrismPlace *backend_place;
	bool		backend_chosen; /* nobody has named it, and a need asked for one */
	char	   *server;			/* foreign server, or NULL */
	List	   *brokers;		/* of host:port, or NIL */
	char	   *target;			/* the topic's name at the back end */
	const PrismPlace *target_place;
	int			partitions;		/* 0: not given */
	int			replication;	/* 0: not given */

	/* needs */
	bool		exactly_once;
	int64		message_bytes_max;
	PrismTopicPolicy policy;	/* of its topic */
	bool		durable;		/* a commit that publishes is flushed before it returns */

	List	   *consumers;		/* PrismConsumer */
	List	   *notes;			/* PrismNote */
} PrismNamespace;

/* Of who asks for large messages, or has the claim check, and says no bound: as much as the RFC's examples have. */
#define PRISM_LARGE_MESSAGE_BYTES INT64CONST(5000000000)

/* Messages leave the database: there is a sink. */
#define prism_namespace_has_sink(namespace) ((namespace)->backend->library != NULL)

/* A row of prism.namespace, and what else of a namespace is stored. */
typedef struct PrismStoredNamespace
{
	int32		namespace_id;
	char	   *name;
	char	   *topic;			/* as configured */
	char	   *table;			/* its outbox view in schema prism, or NULL */
	char	   *config;			/* normalised jsonb, as text */
} PrismStoredNamespace;

/* config.c: read and check a configuration; a list of PrismNamespace.  One error for all that is wrong with it. */
extern List *prism_namespaces_read(const char *text, Size bytes);

/* Likewise for the complaints alone, of words and shape: it does not throw, and looks at no catalogue. */
extern void prism_namespaces_check(const char *text, Size bytes, PrismComplaints *complaints);

/*
 * What was chosen for a namespace when it was made stays: who finds the row of
 * one that chooses calls this before he uses anything of it.
 */
extern bool prism_namespace_chooses(const PrismNamespace *namespace);
extern void prism_namespace_pin(PrismNamespace *namespace, const PrismStoredNamespace *stored);

/* pattern_options.c: all patterns that are given in one list; what options mean together; the members of a JSON object that stand for them. */
extern void prism_patterns_gather(PrismNamespaceKeys *given);
extern void prism_pattern_options_check(const PrismPatternKeys *given);
extern void prism_cleanup_check(const PrismCleanupKeys *cleanup);
extern void prism_pattern_options_add(StringInfo json, const PrismPatternKeys *given);

/* log_needs.c: the topic's policy. */
extern void prism_needs_read_log(PrismNamespace *namespace);

/* claim_options.c: what is said of the claim check, and what is stored of it. */
extern bool prism_is_claim_check(const PrismPattern *pattern);
extern const PrismChosenPattern *prism_namespace_claim_check(const PrismNamespace *namespace);	/* NULL: it has none */
extern void prism_claims_bound_messages(PrismNamespace *namespace);
extern void prism_claims_check(PrismNamespace *namespace);
extern void prism_claim_options_add(StringInfo json, const PrismNamespace *namespace, const PrismChosenPattern *chosen);
extern void prism_claim_link_add(StringInfo json, const PrismNamespace *namespace, const PrismChosenPattern *chosen, int32 store_id);
/* Where its large payloads go; false: they stay in the log. */
extern bool prism_namespace_store_place(const PrismNamespace *namespace, PrismStorePlace *place);
/* Of a message that leaves the database. */
extern int64 prism_namespace_record_bytes_max(const PrismNamespace *namespace);

/* needs.c: the chain that is given, completed with what the needs ask for, in the order of the chain. */
extern void prism_needs_select(PrismNamespace *namespace);

/* The value that is as the condition says, or NULL. */
extern const PrismValue *prism_condition_value(const PrismCondition *condition, const PrismNamespaceKeys *given);
/* What a namespace says of a pattern, be it that it is switched off; or NULL. */
extern const PrismPatternKeys *prism_pattern_named(const PrismNamespaceKeys *given, const char *pattern);

/* choice.c: what nobody names. */
extern const PrismBackendInfo *prism_choose_backend(PrismNamespace *namespace);
extern void prism_choose_partitions(PrismNamespace *namespace);
extern void prism_choose_stores(PrismNamespace *namespace);
/* Where payloads go that have to be within reach of others, too. */
extern const PrismBackendInfo *prism_object_store(void);
extern const PrismValue *prism_needs_rate(const PrismNamespace *namespace);	/* NULL: it asks for none */
extern void prism_note(PrismNamespace *namespace, const char *action, const PrismPlace *place, const char *format,...) pg_attribute_printf(4, 5);

/* contradiction.c: what cannot be asked for together; and what is only unwise, as notes. */
extern void prism_contradictions_check(PrismNamespace *namespace);
extern void prism_namespace_warn(PrismNamespace *namespace);

/* validate.c: API, order and back end of the chain fit together; and what of it is not built. */
extern void prism_namespace_validate(PrismNamespace *namespace);
extern void prism_namespace_check_built(PrismNamespace *namespace);
/* Whoever is handed a message of the namespace can fetch what the store has of it. */
extern void prism_namespace_check_reach(PrismNamespace *namespace);

/* names.c: of the namespace itself, its topics and its table. */
extern void prism_namespace_check_names(const PrismNamespace *namespace);

/* distinct.c: no two of them have the same name, topic or table. */
extern void prism_namespaces_check_distinct(const List *namespaces);

/* endpoint.c: the brokers as "host:port"; and whether the caller may use them, or the foreign server. */
extern List *prism_endpoints_read(const List *brokers);
extern void prism_namespace_check_server(const PrismNamespace *namespace);
/* Why the caller has no foreign server of the back end's name, or NULL: he has. */
extern char *prism_server_lacks(const PrismBackendInfo *backend);
/* The namespace's endpoint and another one, a foreign server or brokers, have an address in common. */
extern bool prism_endpoints_meet(const PrismNamespace *namespace, const char *server, const char *brokers);

/* catalog.c: the normalised form: equal texts mean equal namespaces. */
extern char *prism_namespace_config(const PrismNamespace *namespace);
/* The chain of its topic (pattern/chain.c), likewise; 'store_id': where its large payloads go, 0: not known yet. */
extern char *prism_namespace_chain(const PrismNamespace *namespace, int32 store_id);
/* What its sink has to know, likewise; NULL: no sink. */
extern char *prism_namespace_sink_config(const PrismNamespace *namespace);

/* What of the stored form was chosen. */
extern PrismPin prism_namespace_read_pin(const PrismStoredNamespace *stored);

/* All of these run SQL as the extension's owner. */
extern PrismStoredNamespace *prism_namespace_find(const char *name);
/* Of each name, or NULL; all as of one moment. */
extern PrismStoredNamespace **prism_namespaces_find(const char *const *names, int count);
extern void prism_namespace_insert(int32 namespace_id, const char *name, const char *config);
extern void prism_namespace_update(int32 namespace_id, const char *config);
extern void prism_namespace_delete(int32 namespace_id);

#endif							/* PRISM_SPEC_H */
