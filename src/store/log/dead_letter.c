/*-------------------------------------------------------------------------
 *
 * dead_letter.c
 *	  Messages that cannot be processed: the topic <origin>.dlq, and its headers.
 *
 * src/store/log/dead_letter.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/guc.h"
#include "base/object_id.h"
#include "base/query.h"
#include "store/log/counter.h"
#include "store/log/dead_letter.h"
#include "store/log/log.h"

#include "catalog/namespace.h"
#include "mb/pg_wchar.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

/* Headers that tell where a dead letter comes from. */
#define HEADER_PREFIX "dead_letter_"
#define HEADER_TOPIC HEADER_PREFIX "topic"
#define HEADER_POSITION HEADER_PREFIX "position"
#define HEADER_SINK HEADER_PREFIX "sink"
#define HEADER_GROUP HEADER_PREFIX "group"
#define HEADER_REASON HEADER_PREFIX "reason"
#define HEADER_HEADERS HEADER_PREFIX "headers"	/* the message's own, as text, where they are no headers */
#define HEADER_ATTEMPTS HEADER_PREFIX "attempts"
#define HEADER_FIRST_FAILURE HEADER_PREFIX "first_failure"
#define HEADER_LAST_FAILURE HEADER_PREFIX "last_failure"

#define REASON_BYTES_MAX 4096

char	   *(*prism_dead_letter_chain) (const Jsonb *origin, int32 letters_id) = NULL;
int64		(*prism_dead_letter_claim) (PrismTopic *origin, PrismTopic *letters, PrismMessage *letter) = NULL;

char *
prism_dead_letter_topic_name(const char *origin)
{
	int			room = PRISM_TOPIC_NAME_MAX - (int) strlen(PRISM_DEAD_LETTER_SUFFIX);

	return psprintf("%.*s%s", room, origin, PRISM_DEAD_LETTER_SUFFIX);
}

bool
prism_dead_letter_reserves(const char *topic_name)
{
	int			stem = (int) strlen(topic_name) - (int) strlen(PRISM_DEAD_LETTER_SUFFIX);

	return stem >= 0 && strcmp(topic_name + stem, PRISM_DEAD_LETTER_SUFFIX) == 0;
}

PrismTopic *
prism_dead_letter_topic(const PrismTopic *origin)
{
	return origin->dead_letters != 0 ? prism_topic_lookup_id(origin->dead_letters, true) : NULL;
}

/* A topic for each failure of a failure would use up all topics of the server. */
bool
prism_dead_letter_stays(const PrismTopic *origin)
{
	return origin->dead_letter_of != 0;
}

/*
 * The topic as of now, where it is there: a call that makes several letters makes
 * the topic with the first, which what the caller knows does not tell.
 */
static const PrismTopic *
as_of_now(const PrismTopic *origin)
{
	const PrismTopic *topic = prism_topic_is_current(origin) ? NULL : prism_topic_lookup_id(origin->topic_id, true);

	return topic != NULL ? topic : origin;
}

bool
prism_dead_letter_has_place(const PrismTopic *origin)
{
	int32		dead_letters = as_of_now(origin)->dead_letters;
	PrismTopic *topic;
	bool		busy;

	if (dead_letters == 0)
		return prism_counter_slots_used() < prism_max_topics;
	topic = prism_topic_look_id(dead_letters, &busy);
	return topic == NULL || topic->counter != NULL;
}

/* Keep others from making the topic of dead letters, to the end of the transaction; waits for who is making it. */
static void
lock_dead_letters(int32 topic_id)
{
	LockDatabaseObject(get_relname_relid("topic", get_namespace_oid("prism", false)),
					   (Oid) topic_id, 0, AccessExclusiveLock);
}

static void
refuse_without_place(const PrismTopic *origin)
{
	if (!prism_dead_letter_has_place(origin))
		ereport(ERROR,
				errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				errmsg("a message of topic \"%s\" cannot become a dead letter", origin->name),
				errdetail("All of prism.max_topics are in use, and the topic of its dead letters has no place among them."),
				errhint("Raise prism.max_topics and restart the server: until then the message stays unfinished, unless it is acknowledged."));
}

/*
 * The first one makes the topic; others who need it then wait until that has
 * committed, and only then it is known whether there is a place.  Its name says
 * whose it is to people; whose it is stands in its row, so that a topic of
 * somebody else's never gets a letter.
 */
static PrismTopic *
dead_letter_topic(const PrismTopic *origin)
{
	PrismTopic *topic;

	origin = as_of_now(origin);
	if (origin->dead_letters != 0)
	{
		refuse_without_place(origin);
		topic = prism_dead_letter_topic(origin);
		if (topic != NULL)
			return topic;
	}
	lock_dead_letters(origin->topic_id);
	origin = prism_topic_lookup_id(origin->topic_id, false);
	refuse_without_place(origin);
	topic = prism_dead_letter_topic(origin);
	if (topic == NULL)
	{
		int			nest_level = prism_query_begin_without_triggers();
		int32		letters_id = prism_next_object_id();

		prism_topic_create(letters_id, prism_dead_letter_topic_name(origin->name), origin->namespace_id,
						   origin->message_bytes_max, prism_topic_policy_of_dead_letters(&origin->policy),
						   prism_dead_letter_chain(origin->stored_chain, letters_id), origin->topic_id);
		topic = prism_topic_lookup_id(letters_id, false);
		prism_query_end_without_triggers(nest_level);
	}
	return topic;
}

/* ---------- headers ---------- */

/* What publish() takes; a message comes out of a table, where anything may stand. */
static bool
are_flat(Jsonb *headers)
{
	JsonbIterator *iterator = JsonbIteratorInit(&headers->root);
	JsonbValue	item;
	JsonbIteratorToken token;

	if (!JB_ROOT_IS_OBJECT(headers))
		return false;
	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		if (token == WJB_VALUE && item.type != jbvString)
			return false;
	}
	return true;
}

/* Copy flat headers of a message but for those of a former burial; returns how many. */
static int
push_own_headers(JsonbParseState **state, Jsonb *headers)
{
	JsonbIterator *iterator = JsonbIteratorInit(&headers->root);
	JsonbValue	item;
	JsonbIteratorToken token;
	bool		skip = false;
	int			count = 0;

	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			skip = item.val.string.len >= (int) strlen(HEADER_PREFIX) &&
				memcmp(item.val.string.val, HEADER_PREFIX, strlen(HEADER_PREFIX)) == 0;
		if ((token != WJB_KEY && token != WJB_VALUE) || skip)
			continue;
		pushJsonbValue(state, token, &item);
		if (token == WJB_KEY)
			count++;
	}
	return count;
}

static void
push_header(JsonbParseState **state, const char *name, const char *value)
{
	JsonbValue	item = {.type = jbvString};

	if (value == NULL)
		return;
	item.val.string.val = unconstify(char *, name);
	item.val.string.len = strlen(name);
	pushJsonbValue(state, WJB_KEY, &item);
	item.val.string.val = unconstify(char *, value);
	item.val.string.len = strlen(value);
	pushJsonbValue(state, WJB_VALUE, &item);
}

/* NULL when it is not known. */
static const char *
time_text(TimestampTz at)
{
	return at != 0 ? pstrdup(timestamptz_to_str(at)) : NULL;
}

static Datum
dead_letter_headers(const PrismTopic *origin, const PrismMessage *message, const PrismDeadLetter *about)
{
	int			reason_bytes = pg_mbcliplen(about->reason, strlen(about->reason), REASON_BYTES_MAX);
	Jsonb	   *own = message->has_headers ? DatumGetJsonbP(message->headers) : NULL;
	JsonbParseState *state = NULL;
	JsonbValue *object;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	if (own != NULL && are_flat(own))
		(void) push_own_headers(&state, own);
	else if (own != NULL)
		push_header(&state, HEADER_HEADERS, JsonbToCString(NULL, &own->root, VARSIZE(own)));
	push_header(&state, HEADER_TOPIC, origin->name);
	push_header(&state, HEADER_POSITION, psprintf(INT64_FORMAT, message->offset));
	push_header(&state, HEADER_SINK, about->sink);
	push_header(&state, HEADER_GROUP, about->group);
	push_header(&state, HEADER_REASON, pnstrdup(about->reason, reason_bytes));
	push_header(&state, HEADER_ATTEMPTS, psprintf("%d", about->attempts));
	push_header(&state, HEADER_FIRST_FAILURE, time_text(about->first_failure));
	push_header(&state, HEADER_LAST_FAILURE, time_text(about->last_failure));
	object = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return JsonbPGetDatum(JsonbValueToJsonb(object));
}

Jsonb *
prism_dead_letter_strip(Jsonb *headers)
{
	JsonbParseState *state = NULL;
	JsonbValue *object;
	int			count;

	if (!are_flat(headers))
		return NULL;
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	count = push_own_headers(&state, headers);
	object = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return count > 0 ? JsonbValueToJsonb(object) : NULL;
}

/* ---------- burying ---------- */

void
prism_dead_letter_append(PrismTopic *origin, const PrismMessage *message, const PrismDeadLetter *about)
{
	PrismMessage letter = *message;
	PrismTopic *letters;
	int64		beside = 0;

	if (prism_dead_letter_stays(origin))
		return;
	/* its time is that of its death: retention counts from then on */
	letter.created_at = GetCurrentTimestamp();
	/* what lies out of line there is fetched from there */
	if (letter.has_key)
		letter.key = PointerGetDatum(PG_DETOAST_DATUM(letter.key));
	if (letter.has_payload)
		letter.payload = PointerGetDatum(PG_DETOAST_DATUM(letter.payload));
	letter.headers = dead_letter_headers(origin, message, about);
	letter.has_headers = true;
	letters = dead_letter_topic(origin);
	if (letter.claim)
		beside = prism_dead_letter_claim(origin, letters, &letter);
	prism_log_append(letters, &letter);
	if (beside > 0)
		prism_log_count_payload(letters, beside);
}
