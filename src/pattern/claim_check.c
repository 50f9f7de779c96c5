/*-------------------------------------------------------------------------
 *
 * claim_check.c
 *	  The claim check: large payloads lie beside the log, which has a claim to them.
 *
 * Bytes are written when the message is published, in the caller's transaction
 * and long before its commit, for whose length readers of the topic wait.  Going
 * up, the message gets them back, verified; or, where they are more than is
 * handed over with a message, an empty payload, never NULL, which would be a
 * tombstone, and headers that tell what it is.
 *
 * A message that is handed over whole is as it was published: publish() refuses
 * these headers, so that nobody publishes again what he has not got.
 *
 * src/pattern/claim_check.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "backend/registry.h"
#include "base/compat.h"
#include "pattern/claim_check.h"
#include "store/log/holders.h"
#include "store/log/log.h"
#include "store/payload/open_payload.h"
#include "store/payload/payload_count.h"
#include "store/payload/payload_end.h"
#include "store/payload/payload_id.h"
#include "store/payload/payload_make.h"
#include "store/payload/payload_open.h"

#include "access/detoast.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#define THRESHOLD_DEFAULT 1000000
#define FIELD_DEFAULT "claim_check_id"
#define FIELD_BYTES_MAX 128
#define TTL_MS_DEFAULT (INT64CONST(7) * 24 * 60 * 60 * 1000)

/* As enum PrismPayloadEncoding, PrismCleanup and PrismOnFull count them. */
static const char *const encodings[] = {"none", "gzip", "zstd", "lz4", NULL};
static const char *const cleanups[] = {"on_consume", "ttl", "retention", "never", NULL};
static const char *const on_fulls[] = {"warn", "reject", NULL};

static void
claim_check_configure(PrismLink *link, PrismLinkOptions *stored)
{
	PrismClaimCheckOptions *options = link->options;

	options->store_id = (int32) prism_link_integer(stored, PRISM_LINK_STORE, 1, PG_INT32_MAX, 0);
	options->threshold = prism_link_integer(stored, "threshold", 1, PG_INT64_MAX, THRESHOLD_DEFAULT);
	options->encoding = prism_link_word(stored, "compression", encodings, PRISM_PAYLOAD_PLAIN);
	options->cleanup = prism_link_word(stored, "cleanup", cleanups, PRISM_CLEANUP_RETENTION);
	options->ttl_ms = prism_link_integer(stored, "ttl_ms", 1000, PG_INT64_MAX, TTL_MS_DEFAULT);
	options->metadata_field = prism_link_text(stored, "metadata_field", FIELD_BYTES_MAX, FIELD_DEFAULT);
	options->pending_max = prism_link_integer(stored, "max_pending", 1, PG_INT64_MAX, 0);
	options->on_full = prism_link_word(stored, "on_full", on_fulls, PRISM_ON_FULL_WARN);
}

/* ---------- down ---------- */

static bool
is_too_large(const PrismClaimCheckOptions *options, const PrismMessage *message)
{
	return message->has_payload && !message->claim && options->store_id > 0 &&
		(int64) toast_raw_datum_size(message->payload) - VARHDRSZ > options->threshold;
}

/* Put the payload beside the log, and the claim to it into the message. */
static void
check_in(PrismLink *link, PrismMessage *message, PrismClaim *claim)
{
	const PrismClaimCheckOptions *options = link->options;
	pg_uuid_t	id;

	prism_log_check_may_publish();
	prism_payload_make_id(&id);
	prism_payload_make(link->topic, options->store_id, &id, options->encoding, message->payload, claim);
	message->payload = PointerGetDatum(prism_claim_write(claim));
	message->claim = true;
}

static void
claim_check_publish(PrismLink *link, PrismMessage *message)
{
	PrismClaim	claim;

	if (is_too_large(link->options, message))
	{
		/* before its bytes are on disk: who is refused at the commit tries again and again */
		prism_holders_admit(link->topic, 1);
		check_in(link, message, &claim);
	}
	prism_link_publish(link->next, message);
}

/* Until it is delivered no message of the topic's log names the payload. */
static void
claim_check_delay(PrismLink *link, PrismMessage *message)
{
	PrismPayloadFault fault;
	PrismClaim	claim;

	if (is_too_large(link->options, message))
		check_in(link, message, &claim);
	else if (!message->claim || !prism_message_claim(&claim, message, &fault))
		return;
	prism_open_payload_insert(link->topic, &claim.payload_id, claim.first_segment, PRISM_OPEN_DELAYED, 0);
}

/* ---------- up ---------- */

static void
push_text(JsonbParseState **state, JsonbIteratorToken token, const char *text)
{
	JsonbValue	item = {.type = jbvString};

	item.val.string.val = unconstify(char *, text);
	item.val.string.len = (int) strlen(text);
	pushJsonbValue(state, token, &item);
}

static char *
hash_text(const PrismClaim *claim)
{
	char	   *text = palloc0(2 * PRISM_SHA256_BYTES + 1);

	(void) hex_encode((const char *) claim->sha256, PRISM_SHA256_BYTES, text);
	return text;
}

static Jsonb *
claim_headers(const char *metadata_field, const PrismClaim *claim)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_text(&state, WJB_KEY, metadata_field);
	push_text(&state, WJB_VALUE, DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&claim->payload_id))));
	push_text(&state, WJB_KEY, "payload_size");
	push_text(&state, WJB_VALUE, psprintf(INT64_FORMAT, claim->size));
	push_text(&state, WJB_KEY, "payload_sha256");
	push_text(&state, WJB_VALUE, hash_text(claim));
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

static void
empty_payload(PrismMessage *message)
{
	bytea	   *nothing = palloc(VARHDRSZ);

	SET_VARSIZE(nothing, VARHDRSZ);
	message->payload = PointerGetDatum(nothing);
	message->claim = false;
	message->withheld = true;
}

/* The message without its payload, which its headers name. */
static void
withhold(const PrismLink *link, PrismMessage *message, const PrismClaim *claim)
{
	const PrismClaimCheckOptions *options = link->options;
	Jsonb	   *headers;

	empty_payload(message);
	if (claim->store_id == 0)
		return;					/* the claim was lost as well */
	headers = claim_headers(options->metadata_field, claim);
	if (message->has_headers)
		headers = DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, message->headers, JsonbPGetDatum(headers)));
	message->headers = JsonbPGetDatum(headers);
	message->has_headers = true;
}

static PrismConsumed
be_gone(PrismLink *link, const PrismMessage *message, const PrismPayloadFault *fault)
{
	link->why = fault->why;
	if (fault->sqlstate != ERRCODE_UNDEFINED_FILE)
		return PRISM_GONE;
	if (message->offset < prism_payload_cleaned(link->topic))
		link->why = "its payload was deleted, as the \"cleanup\" of its namespace says";
	return PRISM_MISSING;
}

/* What is lost is told by its dead letter: that is handed over, with what is known. */
static PrismConsumed
claim_check_consume(PrismLink *link, PrismMessage *message)
{
	PrismPayloadFault fault;
	PrismClaim	claim;
	bytea	   *bytes;

	if (!message->claim)
		return PRISM_CONSUMED;	/* another pattern looks at all of them */
	if (!prism_message_claim(&claim, message, &fault))
		return be_gone(link, message, &fault);
	if (!prism_payload_is_inline(&claim))
	{
		withhold(link, message, &claim);
		return PRISM_CONSUMED;
	}
	bytes = prism_payload_fetch(link->topic, &claim, 0, claim.size, &fault);
	if (bytes == NULL)
		return be_gone(link, message, &fault);
	message->payload = PointerGetDatum(bytes);
	message->claim = false;
	prism_payload_count_retrieved(link->topic->counter);
	return PRISM_CONSUMED;
}

static void
claim_check_show(PrismLink *link, PrismMessage *message)
{
	PrismPayloadFault fault;
	PrismClaim	claim;

	if (!message->claim)
		return;
	if (prism_message_claim(&claim, message, &fault))
		withhold(link, message, &claim);
	else
		empty_payload(message);
}

/* apply() refuses the way out of the database; a sink may still be added behind a message. */
static PrismOutcome
claim_check_forward(PrismLink *link, PrismMessage *message)
{
	if (!message->claim)
		return PRISM_OK;
	link->why = "its payload lies in this database, where nobody outside of it could fetch it";
	return PRISM_REJECT;
}

/* A dead letter has its payload as long as it is there: it waits for people. */
static bool
claim_check_sweep(PrismLink *link)
{
	const PrismClaimCheckOptions *options = link->options;
	PrismPayloadCleanup cleanup = {.on_consume = options->cleanup == PRISM_CLEANUP_ON_CONSUME,.ttl_ms = options->ttl_ms};

	if (link->topic->dead_letter_of != 0 ||
		(options->cleanup != PRISM_CLEANUP_ON_CONSUME && options->cleanup != PRISM_CLEANUP_TTL))
		return false;
	return prism_payload_clean(link->topic, &cleanup);
}

static const char *const after[] = {"wal", "outbox", NULL};

const PrismPattern prism_pattern_claim_check = {
	.name = "claim-check",
	.version = "1.0.0",
	.built = true,
	.apis = PRISM_API_QUEUE | PRISM_API_PUBSUB | PRISM_API_TRANSACT,
	.store_roles = PRISM_ROLE_OBJECT,
	.after = after,
	.depth = PRISM_DEPTH_CLAIM_CHECK,
	.for_dead_letters = true,
	.only_claims = true,
	.options_size = sizeof(PrismClaimCheckOptions),
	.configure = claim_check_configure,
	.process_publish = claim_check_publish,
	.process_delay = claim_check_delay,
	.process_consume = claim_check_consume,
	.process_show = claim_check_show,
	.process_forward = claim_check_forward,
	.sweep = claim_check_sweep,
};
