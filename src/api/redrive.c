/*-------------------------------------------------------------------------
 *
 * redrive.c
 *	  prism.redrive(): dead letters go back to where they came from.
 *
 * It consumes the dead letters as a consumer group of its own and publishes
 * them in the transaction that acknowledges them: so nothing is redriven twice,
 * and what is left is the group's lag.
 *
 * src/api/redrive.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/message.h"
#include "api/publish.h"
#include "pattern/chain.h"
#include "base/compat.h"
#include "base/guc.h"
#include "store/log/dead_letter.h"
#include "store/log/message_copy.h"
#include "store/payload/payload_copy.h"
#include "store/payload/store_catalog.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(prism_redrive);

#define REDRIVE_GROUP "prism.redrive"

/* What one call is about, and what came of it. */
typedef struct Redrive
{
	PrismTopic *origin;
	PrismTopic *letters;
	PrismGroupRef *group;
	int64	   *wanted;			/* ascending; NULL: all */
	int			wanted_count;
	int64	   *done;
	int			done_count;
	int64	   *passed;			/* taken, and refused */
	int			passed_count;
	int			refused_count;
	int64		refused_first;
	int			gone_count;
	int64		gone_first;
	int64		beside;			/* bytes of payloads that nobody would be handed over, but that are copied */
	bool		full;			/* prism.consume_bytes of them are redriven, and more are wanted */
	PrismChain *chain;			/* of the dead letters; NULL: nobody looks at messages on their way up */
} Redrive;

/* NULL: the topic has no dead letters. */
static PrismTopic *
dead_letters_of(const PrismTopic *origin)
{
	PrismTopic *letters = prism_dead_letter_topic(origin);

	if (letters == NULL && origin->dead_letter_of != 0)
	{
		char	   *name = pstrdup(origin->name);
		PrismTopic *source = prism_topic_lookup_id(origin->dead_letter_of, false);

		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("topic \"%s\" has no dead letters of its own", name),
				errhint("Name the topic that its messages come from: \"%s\".", source->name));
	}
	return letters;
}

/* One message is as good as another, and as often as it takes. */
static PrismGroupRef *
redrive_group(PrismTopic *letters)
{
	PrismGroupOptions options = prism_group_options_default;
	PrismGroupOptions found;

	options.ordering = PRISM_ORDERING_NONE;
	options.max_attempts = 0;
	/* a consumer of that name may have made it, with other options */
	if (!prism_group_find_options(letters->topic_id, REDRIVE_GROUP, &found) ||
		found.ordering != options.ordering || found.max_attempts != options.max_attempts)
		prism_group_set_options(letters, REDRIVE_GROUP, &options);
	return prism_group_open(letters, REDRIVE_GROUP, PRISM_GROUP_REFUSE);
}

static int
compare_positions(const void *left, const void *right)
{
	int64		a = *(const int64 *) left;
	int64		b = *(const int64 *) right;

	return a < b ? -1 : a > b;
}

static bool
is_letter_wanted(int64 position, const void *arg)
{
	const Redrive *redrive = arg;

	return bsearch(&position, redrive->wanted, redrive->wanted_count, sizeof(int64), compare_positions) != NULL;
}

/* Nor are those in the way of others that the topic takes no more. */
static bool
is_letter_too_large(Redrive *redrive, const PrismMessage *letter, int64 bytes)
{
	if (bytes <= redrive->origin->message_bytes_max)
		return false;
	if (redrive->refused_count++ == 0)
		redrive->refused_first = letter->offset;
	return true;
}

/* What nobody can get any more stays where it is. */
static bool
leave_gone_letter(Redrive *redrive, const PrismMessage *letter)
{
	if (redrive->gone_count++ == 0)
		redrive->gone_first = letter->offset;
	return false;
}

static Jsonb *
letter_headers(const PrismMessage *letter)
{
	return letter->has_headers ? prism_dead_letter_strip(DatumGetJsonbP(letter->headers)) : NULL;
}

static text *
letter_key(const PrismMessage *letter)
{
	return letter->has_key ? DatumGetTextPP(letter->key) : NULL;
}

/* One whose payload lies beside the log: the message gets a copy, whatever its size, where its topic keeps such. */
static bool
try_letter_claim(Redrive *redrive, const PrismMessage *letter)
{
	PrismStoreRow *store = prism_store_in_use(redrive->origin->topic_id);
	PrismPayloadFault fault;
	PrismClaim	claim;
	PrismClaim	copy;
	bytea	   *whole;

	if (!prism_message_claim(&claim, letter, &fault))
		return leave_gone_letter(redrive, letter);
	if (is_letter_too_large(redrive, letter, claim.size))
		return false;
	if (store != NULL)
	{
		if (!prism_payload_copy(redrive->letters, &claim, redrive->origin, store->store_id, &copy, &fault))
			return leave_gone_letter(redrive, letter);
		(void) prism_publish_claim(redrive->origin, PRISM_DELIVER_AT_ONCE, &copy, letter_key(letter), letter_headers(letter));
	}
	else
	{
		whole = prism_payload_fetch(redrive->letters, &claim, 0, claim.size, &fault);
		if (whole == NULL)
			return leave_gone_letter(redrive, letter);
		(void) prism_publish(redrive->origin, PRISM_PAYLOAD_BYTES, whole, letter_key(letter), letter_headers(letter));
	}
	if (!prism_payload_is_inline(&claim))
		redrive->beside += claim.size;
	return true;
}

/* As it is handed to consumers.  False: it stays. */
static bool
try_letter(Redrive *redrive, PrismMessage *letter)
{
	const char *why;

	if (letter->claim)
		return try_letter_claim(redrive, letter);
	if (prism_chain_looks_at(redrive->chain, letter) && prism_chain_consume(redrive->chain, letter, &why) != PRISM_CONSUMED)
		return leave_gone_letter(redrive, letter);
	if (is_letter_too_large(redrive, letter, prism_message_payload_bytes(letter)))
		return false;
	(void) prism_publish(redrive->origin, PRISM_PAYLOAD_BYTES, letter->has_payload ? PG_DETOAST_DATUM_PACKED(letter->payload) : NULL,
						 letter_key(letter), letter_headers(letter));
	return true;
}

/* Nobody is handed over what is very large, so the delivery does not count it. */
static bool
is_redrive_full(const Redrive *redrive, PrismDelivery *delivery)
{
	if (redrive->beside < prism_consume_kb * INT64CONST(1024) ||
		redrive->done_count + redrive->passed_count == prism_delivery_count(delivery))
		return false;
	prism_delivery_return_rest(delivery);
	return true;
}

static void
take_and_publish(Redrive *redrive)
{
	PrismDelivery *delivery = prism_group_take(redrive->group, PG_INT32_MAX, PRISM_LEASE_US_MAX);
	int64		lease_id = prism_delivery_lease(delivery);
	int			count = prism_delivery_count(delivery);
	/* of its own: one call publishes as many as the window holds, of any size */
	MemoryContext letter_cxt = AllocSetContextCreate(CurrentMemoryContext, "prism redrive", ALLOCSET_SMALL_SIZES);
	PrismMessage letter;
	int			attempt;

	redrive->done = palloc((count + 1) * sizeof(int64));
	redrive->passed = palloc((count + 1) * sizeof(int64));
	if (redrive->wanted != NULL)
		prism_delivery_keep(delivery, is_letter_wanted, redrive);
	prism_delivery_bound(delivery, prism_consume_kb * INT64CONST(1024), false);
	while (!(redrive->full = is_redrive_full(redrive, delivery)) && prism_delivery_next(delivery, &letter, &attempt))
	{
		MemoryContext caller = MemoryContextSwitchTo(letter_cxt);

		if (try_letter(redrive, &letter))
			redrive->done[redrive->done_count++] = letter.offset;
		else
		{
			prism_delivery_uncount(delivery);
			redrive->passed[redrive->passed_count++] = letter.offset;
		}
		MemoryContextSwitchTo(caller);
		MemoryContextReset(letter_cxt);
	}
	MemoryContextDelete(letter_cxt);
	/* none that is wanted comes before what is damaged: it would be in the way again and again */
	if (redrive->done_count == 0 && prism_delivery_cut(delivery))
		prism_delivery_refuse(delivery);
	redrive->full = redrive->full || prism_delivery_full(delivery);
	prism_delivery_close(delivery);
	prism_group_untake(redrive->group, redrive->passed, redrive->passed_count, lease_id);
	(void) prism_group_ack(redrive->group, redrive->done, NULL, redrive->done_count);
}

static void
tell_of_refused(const Redrive *redrive)
{
	if (redrive->gone_count > 0)
		ereport(NOTICE,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("dead letters stay whose payload nobody can get any more: %d, the first at position " INT64_FORMAT,
					   redrive->gone_count, redrive->gone_first));
	if (redrive->refused_count == 0)
		return;
	ereport(NOTICE,
			errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			errmsg("dead letters stay that are too large for topic \"%s\" by now: %d, the first at position " INT64_FORMAT,
				   redrive->origin->name, redrive->refused_count, redrive->refused_first),
			errdetail("The limit is " INT64_FORMAT " bytes.", redrive->origin->message_bytes_max),
			errhint("Raise needs.max_message_size in the namespace, and redrive them then."));
}

/* The window holds prism.group_window unfinished dead letters, and shows none after them. */
static void
tell_of_rest(const Redrive *redrive)
{
	PrismGroupStatus status;

	if (redrive->full)
	{
		ereport(NOTICE,
				errmsg("more dead letters are left"),
				errdetail("One call redrives prism.consume_bytes of payloads."),
				errhint("Commit, and call prism.redrive() again."));
		return;
	}
	if (!prism_group_status(redrive->group, &status) || !status.full)
		return;
	if (redrive->wanted != NULL && redrive->wanted_count > 0 &&
		redrive->wanted[redrive->wanted_count - 1] >= status.read_end)
		ereport(ERROR,
				errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				errmsg("cannot reach the dead letter at position " INT64_FORMAT ": too many unfinished ones are before it",
					   redrive->wanted[redrive->wanted_count - 1]),
				errdetail("prism.group_window is %d.", prism_group_window),
				errhint("Redrive earlier ones, or acknowledge them as consumer group \"%s\" to leave them where they are.",
						REDRIVE_GROUP));
	if (redrive->wanted == NULL && status.lag_messages > status.in_flight)
		ereport(NOTICE,
				errmsg("more dead letters are left"),
				errdetail("One transaction redrives as many as prism.group_window holds."),
				errhint("Commit, and call prism.redrive() again."));
}

/* Arguments: topic, positions. */
Datum
prism_redrive(PG_FUNCTION_ARGS)
{
	text	   *topic_name = prism_required_text(fcinfo, 0, "topic");
	Redrive		redrive = {.wanted = NULL};
	PrismTopic *letters;

	prism_require_writable("prism.redrive()");
	redrive.origin = prism_topic_argument(topic_name, PRISM_ADMIN, "prism.redrive()");
	redrive.wanted = prism_bigint_array_argument(fcinfo, 1, "positions", &redrive.wanted_count);
	letters = dead_letters_of(redrive.origin);
	if (letters == NULL)
		PG_RETURN_INT64(0);
	if (redrive.wanted != NULL)
		qsort(redrive.wanted, redrive.wanted_count, sizeof(int64), compare_positions);
	redrive.letters = letters;
	redrive.chain = prism_chain_to_consume(letters);
	redrive.group = redrive_group(letters);
	take_and_publish(&redrive);
	tell_of_refused(&redrive);
	tell_of_rest(&redrive);
	PG_RETURN_INT64(redrive.done_count);
}
