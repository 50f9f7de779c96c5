/*-------------------------------------------------------------------------
 *
 * claim_options.c
 *	  What a namespace says of its claim check: defaults, and what is stored of it.
 *
 * Some of it can be said as a need or as an option of the pattern, and all of it
 * has a default: what is stored is what holds, so that whoever compares two
 * configurations sees each change.
 *
 * src/namespace/claim_options.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "namespace/complaint.h"
#include "namespace/json_writer.h"
#include "namespace/spec.h"

#define THRESHOLD_DEFAULT INT64CONST(1000000)
#define TTL_MS_DEFAULT (INT64CONST(7) * 24 * 3600 * 1000)
#define METADATA_FIELD_DEFAULT "claim_check_id"
#define PREFIX_DEFAULT "claim-checks/"

/* What is around the payload of a message that is sent: key, headers. */
#define RECORD_MARGIN_BYTES (64 * 1024)

typedef struct ClaimOptions
{
	int64		threshold;
	const char *compression;
	const char *cleanup;
	int64		ttl_ms;			/* 0: the strategy knows no time */
	const char *metadata_field;
	int64		max_pending;	/* 0: no bound */
	const char *on_full;		/* NULL: there is no bound */
} ClaimOptions;

bool
prism_is_claim_check(const PrismPattern *pattern)
{
	return strcmp(pattern->name, "claim-check") == 0;
}

const PrismChosenPattern *
prism_namespace_claim_check(const PrismNamespace *namespace)
{
	ListCell   *cell;

	foreach(cell, namespace->patterns)
		if (prism_is_claim_check(((const PrismChosenPattern *) lfirst(cell))->pattern))
			return lfirst(cell);
	return NULL;
}

/* ---------- what holds ---------- */

static bool
says_cleanup(const PrismCleanupKeys *cleanup)
{
	return prism_is_given(&cleanup->strategy) || prism_is_given(&cleanup->ttl);
}

static const char *
strategy_of(const PrismCleanupKeys *cleanup)
{
	if (prism_is_given(&cleanup->strategy))
		return cleanup->strategy.text;
	return prism_is_given(&cleanup->ttl) ? "ttl" : "retention";
}

static int64
ttl_of(const PrismCleanupKeys *cleanup)
{
	const char *strategy = strategy_of(cleanup);

	if (strcmp(strategy, "on_consume") != 0 && strcmp(strategy, "ttl") != 0)
		return 0;
	return prism_is_given(&cleanup->ttl) ? cleanup->ttl.number : TTL_MS_DEFAULT;
}

static const char *
text_or(const PrismValue *value, const char *standard)
{
	return prism_is_given(value) ? value->text : standard;
}

static ClaimOptions
options_of(const PrismNamespace *namespace, const PrismChosenPattern *chosen)
{
	static const PrismPatternKeys nothing;
	const PrismPatternKeys *given = chosen->given != NULL ? chosen->given : &nothing;
	const PrismCleanupKeys *cleanup = says_cleanup(&given->cleanup) ? &given->cleanup : &namespace->given->needs.cleanup;

	return (ClaimOptions) {
		.threshold = prism_is_given(&given->threshold) ? given->threshold.number : THRESHOLD_DEFAULT,
		.compression = text_or(&given->compression, "none"),
		.cleanup = strategy_of(cleanup),
		.ttl_ms = ttl_of(cleanup),
		.metadata_field = text_or(&given->metadata_field, METADATA_FIELD_DEFAULT),
		.max_pending = given->max_pending.number,
		.on_full = prism_is_given(&given->max_pending) ? text_or(&given->on_full, "warn") : NULL
	};
}

/* What is larger goes where payloads are kept, so that the topic takes more than its log would. */
void
prism_claims_bound_messages(PrismNamespace *namespace)
{
	const PrismChosenPattern *chosen = prism_namespace_claim_check(namespace);

	if (chosen != NULL && chosen->pattern->built && !prism_is_given(&namespace->given->needs.max_message_size))
		namespace->message_bytes_max = PRISM_LARGE_MESSAGE_BYTES;
}

/* What is claimed leaves its payload behind. */
int64
prism_namespace_record_bytes_max(const PrismNamespace *namespace)
{
	const PrismChosenPattern *chosen = prism_namespace_claim_check(namespace);

	if (chosen == NULL)
		return namespace->message_bytes_max;
	return Min(namespace->message_bytes_max, options_of(namespace, chosen).threshold + RECORD_MARGIN_BYTES);
}

bool
prism_namespace_store_place(const PrismNamespace *namespace, PrismStorePlace *place)
{
	const PrismChosenPattern *chosen = prism_namespace_claim_check(namespace);
	const PrismStore *store;

	if (chosen == NULL)
		return false;
	store = linitial(chosen->stores);
	*place = (PrismStorePlace) {.backend = store->backend->name};
	if (store->backend->wrapper == NULL)
		return true;
	place->server = store->server;
	place->bucket = chosen->given != NULL ? text_or(&chosen->given->storage.bucket, NULL) : NULL;
	place->prefix = chosen->given != NULL ? text_or(&chosen->given->storage.prefix, PREFIX_DEFAULT) : PREFIX_DEFAULT;
	return true;
}

/* ---------- what does not fit ---------- */

static void
refuse_two(const char *key, const char *need, const PrismValue *option, const PrismValue *needed)
{
	prism_complain(&option->place,
				   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				   errmsg("\"%s: %s\" contradicts \"%s: %s\"", key, prism_yaml_show(option->text), need, prism_yaml_show(needed->text)),
				   errdetail("Both say it of the same payloads. The latter is " PRISM_AT ".", prism_at(&needed->place)),
				   errhint("Remove one of the two."));
}

/* As a need and as an option of the pattern: one thing at a time. */
static void
check_said_twice(const PrismNamespace *namespace, const PrismPatternKeys *given)
{
	const PrismNeedsKeys *needs = &namespace->given->needs;
	const PrismCleanupKeys *cleanup = &given->cleanup;

	if (prism_is_given(&given->storage.backend) && prism_is_given(&needs->storage_backend) &&
		strcmp(given->storage.backend.text, needs->storage_backend.text) != 0)
		refuse_two("patterns.storage", "needs.storage_backend", &given->storage.backend, &needs->storage_backend);
	if (says_cleanup(cleanup) && says_cleanup(&needs->cleanup) &&
		(strcmp(strategy_of(cleanup), strategy_of(&needs->cleanup)) != 0 || ttl_of(cleanup) != ttl_of(&needs->cleanup)))
		refuse_two(prism_is_given(&cleanup->strategy) ? "patterns.cleanup" : "patterns.cleanup.ttl",
				   prism_is_given(&needs->cleanup.strategy) ? "needs.cleanup" : "needs.cleanup.ttl",
				   prism_is_given(&cleanup->strategy) ? &cleanup->strategy : &cleanup->ttl,
				   prism_is_given(&needs->cleanup.strategy) ? &needs->cleanup.strategy : &needs->cleanup.ttl);
}

/* Only what goes to a store beyond the database waits for it. */
static void
check_waits_for_nothing(const PrismPatternKeys *given, const PrismStore *store)
{
	if (store->backend->wrapper != NULL || !prism_is_given(&given->max_pending))
		return;
	prism_complain(&given->max_pending.place,
				   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				   errmsg("\"max_pending\" has no meaning with storage \"%s\"", store->backend->name),
				   errdetail("The payloads stay in tables of this database, and wait for nothing."),
				   errhint("Leave it out; \"needs.retention\" with a size bounds what the topic keeps, payloads included."));
}

void
prism_claims_check(PrismNamespace *namespace)
{
	const PrismChosenPattern *chosen = prism_namespace_claim_check(namespace);

	if (chosen == NULL || chosen->given == NULL)
		return;
	check_said_twice(namespace, chosen->given);
	check_waits_for_nothing(chosen->given, linitial(chosen->stores));
}

/* ---------- as it is stored ---------- */

static void
add_storage(StringInfo json, const PrismNamespace *namespace, const PrismStore *store)
{
	PrismStorePlace place;

	(void) prism_namespace_store_place(namespace, &place);
	prism_json_add_key(json, "storage");
	appendStringInfoChar(json, '{');
	prism_json_add_text(json, "backend", place.backend);
	prism_json_add_text(json, "server", place.server);
	prism_json_add_text(json, "bucket", place.bucket);
	prism_json_add_text(json, "prefix", place.prefix);
	if (store->reason != NULL)
		prism_json_add_boolean(json, "chosen", true);
	appendStringInfoChar(json, '}');
}

void
prism_claim_options_add(StringInfo json, const PrismNamespace *namespace, const PrismChosenPattern *chosen)
{
	ClaimOptions options = options_of(namespace, chosen);

	prism_json_add_integer(json, "threshold", options.threshold);
	add_storage(json, namespace, linitial(chosen->stores));
	if (strcmp(options.compression, "none") != 0)
		prism_json_add_text(json, "compression", options.compression);
	prism_json_add_key(json, "cleanup");
	appendStringInfoChar(json, '{');
	prism_json_add_text(json, "strategy", options.cleanup);
	prism_json_add_integer(json, "ttl_ms", options.ttl_ms);
	appendStringInfoChar(json, '}');
	prism_json_add_text(json, "metadata_field", options.metadata_field);
	prism_json_add_integer(json, "max_pending", options.max_pending);
	prism_json_add_text(json, "on_full", options.on_full);
}

/* What its link has to know (pattern/claim_check.c): flat, and the store by its number. */
void
prism_claim_link_add(StringInfo json, const PrismNamespace *namespace, const PrismChosenPattern *chosen, int32 store_id)
{
	ClaimOptions options = options_of(namespace, chosen);

	prism_json_add_key(json, PRISM_LINK_STORE);
	appendStringInfo(json, "%d", store_id);
	prism_json_add_integer(json, "threshold", options.threshold);
	prism_json_add_text(json, "compression", options.compression);
	prism_json_add_text(json, "cleanup", options.cleanup);
	prism_json_add_integer(json, "ttl_ms", options.ttl_ms);
	prism_json_add_text(json, "metadata_field", options.metadata_field);
	prism_json_add_integer(json, "max_pending", options.max_pending);
	prism_json_add_text(json, "on_full", options.on_full);
}
