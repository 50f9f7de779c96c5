/*-------------------------------------------------------------------------
 *
 * claims_view.c
 *	  The latest claims of each topic: behind prism.claims.
 *
 * A claim is a row of its own, so rows are walked, and no record batch is opened;
 * from the newest segment on, until enough are found.
 *
 * src/observe/claims_view.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/patience.h"
#include "base/query.h"
#include "store/log/counter.h"
#include "store/log/log.h"
#include "store/log/segment.h"
#include "store/log/topic.h"
#include "store/payload/claim.h"
#include "store/payload/payload_segment.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(prism_claim_states);

/* Of a topic. */
#define CLAIMS_MAX 1000

/* Columns of prism_internal.claim_states(). */
enum
{
	CLAIM_TOPIC_ID,
	CLAIM_POSITION,
	CLAIM_CREATED_AT,
	CLAIM_MESSAGE_ID,
	CLAIM_ID,
	CLAIM_SIZE,
	CLAIM_STORED_SIZE,
	CLAIM_COMPRESSION,
	CLAIM_STORE_ID,
	CLAIM_STATE,
	CLAIM_COLUMNS
};

/* A topic that is being looked at. */
typedef struct ClaimLook
{
	ReturnSetInfo *result;
	PrismTopic *topic;
	int64		left;			/* so many more may be shown */
} ClaimLook;

static const char *
state_of(const PrismTopic *topic, const PrismClaim *claim)
{
	if (claim->kind == PRISM_CLAIM_LOST)
		return "lost";
	return OidIsValid(prism_payload_segment_relid(topic->topic_id, claim->first_segment)) ? "stored" : "removed";
}

/* As pattern/claim_check.c and a namespace's "compression" call them. */
static const char *
compression_of(const PrismClaim *claim)
{
	static const char *const names[] = {
		[PRISM_PAYLOAD_PLAIN] = "none",
		[PRISM_PAYLOAD_GZIP] = "gzip",
		[PRISM_PAYLOAD_ZSTD] = "zstd",
		[PRISM_PAYLOAD_LZ4] = "lz4"
	};

	return names[claim->encoding];
}

static void
put_claim(const ClaimLook *look, const PrismQueryRow *row)
{
	Datum		values[CLAIM_COLUMNS] = {0};
	bool		nulls[CLAIM_COLUMNS] = {false};
	bool		isnull;
	PrismClaim	claim;
	bytea	   *payload = DatumGetByteaPP(prism_column_value(row, 4, &isnull));
	bool		sound = prism_claim_read(&claim, VARDATA_ANY(payload), VARSIZE_ANY_EXHDR(payload)) == NULL;

	values[CLAIM_TOPIC_ID] = Int32GetDatum(look->topic->topic_id);
	values[CLAIM_POSITION] = Int64GetDatum(prism_column_int64(row, 1));
	values[CLAIM_CREATED_AT] = TimestampTzGetDatum(prism_column_time(row, 2));
	values[CLAIM_MESSAGE_ID] = prism_column_value(row, 3, &isnull);
	for (int i = CLAIM_ID; i < CLAIM_STATE; i++)
		nulls[i] = !sound;
	values[CLAIM_STATE] = CStringGetTextDatum(sound ? state_of(look->topic, &claim) : "damaged");
	if (sound)
	{
		values[CLAIM_ID] = UUIDPGetDatum(&claim.payload_id);
		values[CLAIM_SIZE] = Int64GetDatum(claim.size);
		values[CLAIM_STORED_SIZE] = Int64GetDatum(claim.stored_size);
		values[CLAIM_COMPRESSION] = CStringGetTextDatum(compression_of(&claim));
		values[CLAIM_STORE_ID] = Int32GetDatum(claim.store_id);
	}
	tuplestore_putvalues(look->result->setResult, look->result->setDesc, values, nulls);
}

/* Those of a segment, the latest first. */
static void
put_claims_in(ClaimLook *look, int64 number, int64 stable)
{
	char		name[NAMEDATALEN];
	Oid			types[] = {INT8OID, INT8OID};
	Datum		values[] = {Int64GetDatum(stable), Int64GetDatum(look->left)};
	PrismQueryRows rows;

	rows = prism_query_latest(psprintf("SELECT \"offset\", created_at, id, payload FROM prism_log.%s"
									   " WHERE messages = -1 AND payload IS NOT NULL AND \"offset\" < $1 ORDER BY \"offset\" DESC LIMIT $2",
									   quote_identifier(prism_segment_name(name, look->topic->topic_id, number))),
							  lengthof(types), types, values, 0);
	for (uint64 i = 0; i < rows.count; i++)
		put_claim(look, &rows.row[i]);
	look->left -= rows.count;
	prism_query_free(&rows);
}

static void
look_at_claims(void *arg)
{
	ClaimLook  *look = arg;
	int64		stable = prism_log_stable(look->topic);
	PrismQueryRows segments = prism_query_one("SELECT segment_number FROM prism.segment WHERE topic_id = $1 AND NOT dropped ORDER BY segment_number DESC",
											  look->topic->topic_id);

	for (uint64 i = 0; i < segments.count && look->left > 0; i++)
	{
		int64		number = prism_column_int64(&segments.row[i], 1);

		CHECK_FOR_INTERRUPTS();
		if (OidIsValid(prism_segment_relid(look->topic, number, NULL)))
			put_claims_in(look, number, stable);
	}
	prism_query_free(&segments);
}

/* Those that may have claims, or had some. */
static List *
topics_with_payloads(void)
{
	PrismQueryRows rows = prism_query_read("SELECT topic_id FROM prism.store UNION SELECT topic_id FROM prism.payload_segment WHERE NOT dropped ORDER BY 1",
										   0, NULL, NULL, 0);
	List	   *ids = NIL;

	for (uint64 i = 0; i < rows.count; i++)
		ids = lappend_int(ids, prism_column_int32(&rows.row[i], 1));
	prism_query_free(&rows);
	return ids;
}

Datum
prism_claim_states(PG_FUNCTION_ARGS)
{
	ClaimLook	look = {.result = (ReturnSetInfo *) fcinfo->resultinfo};
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	foreach(cell, topics_with_payloads())
	{
		bool		busy;
		const char *damage;

		CHECK_FOR_INTERRUPTS();
		look.topic = prism_topic_look_id(lfirst_int(cell), &busy);
		if (look.topic == NULL)
			continue;
		look.left = CLAIMS_MAX;
		if (look.topic->counter != NULL && prism_topic_is_visible(look.topic))
			(void) prism_look_without_waiting(look_at_claims, &look, &damage);
		prism_topic_release(look.topic);
	}
	return (Datum) 0;
}
