/*-------------------------------------------------------------------------
 *
 * outbox_view.c
 *	  prism.outbox: the log as the RFC's outbox table, to look at and to insert into.
 *
 * A row is a message of this transaction that waits for its commit (position
 * NULL), one that is committed and waits for the slowest sink (published_at
 * NULL), or a recent one that is out.
 *
 * src/api/outbox_view.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/payload_text.h"
#include "api/publish.h"
#include "base/compat.h"
#include "base/extension.h"
#include "base/patience.h"
#include "pattern/chain.h"
#include "store/delay/delay.h"
#include "store/log/counter.h"
#include "store/log/holders.h"
#include "store/log/log.h"
#include "store/log/message_copy.h"
#include "store/log/message_row.h"
#include "store/log/topic.h"
#include "store/sink/sink.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* How many messages behind the slowest sink (or the end, without sinks) are shown as recent. */
#define OUTBOX_RECENT 1000

/* Columns of prism.outbox. */
enum
{
	OUTBOX_ID = 1,
	OUTBOX_TOPIC,
	OUTBOX_KEY,
	OUTBOX_HEADERS,
	OUTBOX_PAYLOAD,
	OUTBOX_POSITION,
	OUTBOX_CREATED_AT,
	OUTBOX_PUBLISHED_AT,
	OUTBOX_DELIVER_AT,
	OUTBOX_COLUMNS = OUTBOX_DELIVER_AT
};

PG_FUNCTION_INFO_V1(prism_outbox_messages);
PG_FUNCTION_INFO_V1(prism_outbox_insert);

/* Where the rows of a topic go. */
typedef struct Outbox
{
	ReturnSetInfo *result;
	PrismTopic *topic;
	PrismChain *chain;			/* NULL: nobody looks at messages on their way up */
	MemoryContext row_cxt;
} Outbox;

static void put_delayed(const Outbox *outbox);

/* ---------- looking ---------- */

static void
put_row(const Outbox *outbox, PrismMessage *message, bool pending, TimestampTz deliver_at)
{
	MemoryContext caller;
	PrismTopic *topic = outbox->topic;
	Datum		values[OUTBOX_COLUMNS];
	bool		nulls[OUTBOX_COLUMNS];
	TimestampTz published_at = 0;
	bool		is_out = !pending && prism_sink_published_at(topic->topic_id, message->offset, &published_at);

	caller = MemoryContextSwitchTo(outbox->row_cxt);
	prism_message_fetch(message);
	if (outbox->chain != NULL)
		prism_chain_show(outbox->chain, message);
	values[OUTBOX_ID - 1] = UUIDPGetDatum(&message->id);
	values[OUTBOX_TOPIC - 1] = CStringGetTextDatum(topic->name);
	values[OUTBOX_KEY - 1] = message->key;
	values[OUTBOX_HEADERS - 1] = message->headers;
	values[OUTBOX_PAYLOAD - 1] = message->payload;
	values[OUTBOX_POSITION - 1] = Int64GetDatum(message->offset);
	values[OUTBOX_CREATED_AT - 1] = TimestampTzGetDatum(message->created_at);
	memset(nulls, false, sizeof(nulls));
	nulls[OUTBOX_KEY - 1] = !message->has_key;
	nulls[OUTBOX_HEADERS - 1] = !message->has_headers;
	nulls[OUTBOX_PAYLOAD - 1] = !message->has_payload;
	nulls[OUTBOX_POSITION - 1] = pending;

	nulls[OUTBOX_PUBLISHED_AT - 1] = !is_out;
	/* without sinks a message is out with its commit */
	values[OUTBOX_PUBLISHED_AT - 1] =
		TimestampTzGetDatum(published_at != 0 ? published_at : message->created_at);
	values[OUTBOX_DELIVER_AT - 1] = TimestampTzGetDatum(deliver_at);
	nulls[OUTBOX_DELIVER_AT - 1] = deliver_at == PRISM_DELIVER_AT_ONCE;
	tuplestore_putvalues(outbox->result->setResult, outbox->result->setDesc, values, nulls);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(outbox->row_cxt);
}

/* The largest offset with OUTBOX_RECENT messages up to the position: a restart leaves gaps that are far larger. */
static int64
recent_start(PrismTopic *topic, int64 position)
{
	int64		low = 0;
	int64		high = position;

	while (low < high)
	{
		int64		middle = low + (high - low + 1) / 2;

		if (prism_counter_distance(topic, middle, position) >= OUTBOX_RECENT)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

static void
put_topic(const Outbox *outbox)
{
	PrismTopic *topic = outbox->topic;
	PrismPendingScan *scan;
	PrismReader *reader;
	PrismMessage message;
	int64		stable = prism_log_stable(topic);
	int64		position = prism_sink_slowest(topic);

	prism_sink_ask_anew();
	reader = prism_reader_open(topic, recent_start(topic, position == PRISM_NOBODY ? stable : position));
	while (prism_reader_look(reader, &message))
	{
		CHECK_FOR_INTERRUPTS();
		if (prism_reader_damage(reader) != NULL)
			prism_reader_warn(reader, "It is shown without what it holds.");
		put_row(outbox, &message, false, PRISM_DELIVER_AT_ONCE);
	}
	prism_reader_close(reader);

	scan = prism_pending_scan(topic);
	while (prism_pending_next(scan, &message))
	{
		CHECK_FOR_INTERRUPTS();
		put_row(outbox, &message, true, PRISM_DELIVER_AT_ONCE);
	}
	put_delayed(outbox);
}

/* What this transaction has published for later. */
static void
put_delayed(const Outbox *outbox)
{
	PrismTopic *journal = prism_topic_lookup(PRISM_DELAY_TOPIC, true);
	PrismPendingScan *scan = journal != NULL ? prism_pending_scan(journal) : NULL;
	PrismMessage message;

	while (prism_pending_next(scan, &message))
	{
		PrismDelayEntry entry;

		CHECK_FOR_INTERRUPTS();
		if (prism_delay_peek(&message, &entry) != PRISM_DELAY_PUBLISH || entry.topic_id != outbox->topic->topic_id)
			continue;
		prism_delay_unseal(&message);
		put_row(outbox, &message, true, entry.due_at);
	}
}

static void
look_at_topic(void *arg)
{
	Outbox	   *outbox = arg;

	outbox->chain = prism_chain_to_consume(outbox->topic);
	put_topic(outbox);
}

/* Argument: topic, or NULL for all that the caller may read. */
Datum
prism_outbox_messages(PG_FUNCTION_ARGS)
{
	Outbox		outbox = {.result = (ReturnSetInfo *) fcinfo->resultinfo};

	prism_require_preload();
	InitMaterializedSRF(fcinfo, 0);
	outbox.row_cxt = AllocSetContextCreate(CurrentMemoryContext, "prism outbox", ALLOCSET_DEFAULT_SIZES);
	if (PG_ARGISNULL(0))
	{
		ListCell   *cell;

		foreach(cell, prism_topic_names())
		{
			bool		busy;
			PrismTopic *topic = prism_topic_try(lfirst(cell), &busy);
			const char *damage;

			if (topic == NULL)
				continue;
			outbox.topic = topic;
			if (prism_topic_allows(topic, PRISM_READ) && !prism_look_without_waiting(look_at_topic, &outbox, &damage))
				ereport(WARNING,
						errcode(damage != NULL ? ERRCODE_DATA_CORRUPTED : ERRCODE_LOCK_NOT_AVAILABLE),
						errmsg("messages of topic \"%s\" are left out", topic->name),
						damage != NULL ? errdetail("Those that could be read are shown. What stands in the way: %s.", damage)
						: errdetail("Another session has tables of it locked. Those that could be read are shown."));
			prism_topic_release(topic);
		}
	}
	else
	{
		outbox.topic = prism_topic_for(text_to_cstring(PG_GETARG_TEXT_PP(0)), PRISM_READ);
		look_at_topic(&outbox);
	}
	return (Datum) 0;
}

/* ---------- inserting ---------- */

typedef struct NewRow
{
	HeapTuple	tuple;
	TupleDesc	descriptor;
} NewRow;

static const Oid text_types[] = {TEXTOID, VARCHAROID, InvalidOid};
static const Oid payload_types[] = {TEXTOID, VARCHAROID, JSONOID, JSONBOID, BYTEAOID, InvalidOid};
static const Oid headers_types[] = {JSONBOID, InvalidOid};
static const Oid id_types[] = {UUIDOID, InvalidOid};
static const Oid time_types[] = {TIMESTAMPTZOID, InvalidOid};

/* A column's type, of a domain that under it; InvalidOid: views over prism.outbox may have fewer columns. */
static Oid
column_type(const NewRow *row, const char *name, int *number)
{
	for (*number = 1; *number <= row->descriptor->natts; (*number)++)
	{
		Form_pg_attribute column = TupleDescAttr(row->descriptor, *number - 1);

		if (!column->attisdropped && namestrcmp(&column->attname, name) == 0)
			return getBaseType(column->atttypid);
	}
	return InvalidOid;
}

/*
 * A column of the inserted row by its name.  Whoever makes a view of his own
 * chooses its types: a value of another one must not be taken for one of ours.
 */
static Datum
column(const NewRow *row, const char *name, const Oid *types, Oid *type, bool *isnull)
{
	int			number;

	*type = column_type(row, name, &number);
	*isnull = true;
	if (!OidIsValid(*type))
		return (Datum) 0;
	for (int i = 0; types[i] != *type; i++)
	{
		if (!OidIsValid(types[i]))
			ereport(ERROR,
					errcode(ERRCODE_DATATYPE_MISMATCH),
					errmsg("column \"%s\" of an outbox cannot have type %s", name, format_type_be(*type)),
					errhint("It can have type %s, as in prism.outbox.", format_type_be(types[0])));
	}
	return heap_getattr(row->tuple, number, row->descriptor, isnull);
}

static void
refuse_column(const NewRow *row, const char *name)
{
	int			number;
	bool		isnull = true;

	if (OidIsValid(column_type(row, name, &number)))
		(void) heap_getattr(row->tuple, number, row->descriptor, &isnull);
	if (!isnull)
		ereport(ERROR,
				errcode(ERRCODE_GENERATED_ALWAYS),
				errmsg("cannot insert a value into column \"%s\"", name),
				errdetail("prism fills it in."));
}

/* The topic: the trigger's argument, else the row's; both must agree. */
static PrismTopic *
topic_of_row(const Trigger *trigger, const NewRow *row)
{
	bool		isnull;
	Oid			type;
	Datum		value = column(row, "topic", text_types, &type, &isnull);
	text	   *name = isnull ? NULL : DatumGetTextPP(value);

	if (trigger->tgnargs > 0)
	{
		if (name != NULL && strcmp(text_to_cstring(name), trigger->tgargs[0]) != 0)
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("this outbox belongs to topic \"%s\"", trigger->tgargs[0]),
					errhint("Leave the column \"topic\" out, or insert into prism.outbox."));
		name = cstring_to_text(trigger->tgargs[0]);
	}
	return prism_publish_topic(name, NULL);
}

/*
 * The server has turned what was inserted into a bytea into text by itself when
 * the column is text; in the format "escape" that text could be anything.
 */
static struct varlena *
payload_of_text(struct varlena *payload, PrismPayloadForm *form)
{
	struct varlena *bytes = prism_text_to_bytes(payload);

	*form = bytes == payload ? PRISM_PAYLOAD_TEXT : PRISM_PAYLOAD_BYTES;
	if (bytea_output == BYTEA_OUTPUT_ESCAPE &&
		memchr(VARDATA_ANY(payload), '\\', VARSIZE_ANY_EXHDR(payload)) != NULL)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("cannot tell whether the payload was text or bytes"),
				errdetail("It has a backslash, and bytea_output is \"escape\"."),
				errhint("SET bytea_output = 'hex', or use prism.publish()."));
	return bytes;
}

static struct varlena *
payload_of_row(const NewRow *row, PrismPayloadForm *form)
{
	Oid			type;
	bool		isnull;
	Datum		value = column(row, "payload", payload_types, &type, &isnull);

	*form = PRISM_PAYLOAD_BYTES;
	if (isnull)
		return NULL;
	switch (type)
	{
		case JSONBOID:
			*form = PRISM_PAYLOAD_JSON;
			return prism_jsonb_bytes(DatumGetJsonbP(value));
		case JSONOID:
			*form = PRISM_PAYLOAD_JSON;
			return PG_DETOAST_DATUM_PACKED(value);
		case BYTEAOID:
			return PG_DETOAST_DATUM_PACKED(value);
		default:
			return payload_of_text(PG_DETOAST_DATUM_PACKED(value), form);
	}
}

/* The row as RETURNING shall show it: with what prism has filled in. */
static HeapTuple
complete_row(const NewRow *row, PrismTopic *topic, const PrismPublished *published)
{
	const struct
	{
		const char *name;
		const Oid  *types;
		Datum		value;
		bool		isnull;
	}			filled[] = {
		{"id", id_types, UUIDPGetDatum(&published->id), false},
		{"topic", text_types, CStringGetTextDatum(topic->name), false},
		{"headers", headers_types, PointerGetDatum(published->headers), published->headers == NULL},
		{"created_at", time_types, TimestampTzGetDatum(published->created_at), false}
	};
	int			numbers[lengthof(filled)];
	Datum		values[lengthof(filled)];
	bool		nulls[lengthof(filled)];
	int			count = 0;

	for (size_t i = 0; i < lengthof(filled); i++)
	{
		int			number;
		Oid			type = column_type(row, filled[i].name, &number);

		if (!OidIsValid(type) || type != filled[i].types[0])
			continue;
		numbers[count] = number;
		values[count] = filled[i].value;
		nulls[count++] = filled[i].isnull;
	}
	return heap_modify_tuple_by_cols(row->tuple, row->descriptor, count, numbers, values, nulls);
}

/* INSTEAD OF INSERT on prism.outbox and on the views that namespaces name. */
Datum
prism_outbox_insert(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	NewRow		row;
	PrismTopic *topic;
	PrismPublished published;
	PrismPayloadForm form;
	struct varlena *payload;
	Oid			type;
	Datum		id;
	Datum		key;
	Datum		headers;
	Datum		deliver_at;
	bool		no_id;
	bool		no_key;
	bool		no_headers;
	bool		no_time;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BY_INSERT(data->tg_event) ||
		!TRIGGER_FIRED_INSTEAD(data->tg_event))
		ereport(ERROR,
				errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("prism.outbox_insert() must be called by an INSTEAD OF INSERT trigger"));
	row = (NewRow) {data->tg_trigtuple, RelationGetDescr(data->tg_relation)};
	topic = topic_of_row(data->tg_trigger, &row);
	refuse_column(&row, "position");
	refuse_column(&row, "created_at");
	refuse_column(&row, "published_at");

	id = column(&row, "id", id_types, &type, &no_id);
	key = column(&row, "key", text_types, &type, &no_key);
	headers = column(&row, "headers", headers_types, &type, &no_headers);
	deliver_at = column(&row, "deliver_at", time_types, &type, &no_time);
	payload = payload_of_row(&row, &form);
	published = prism_publish_as(topic, no_id ? NULL : DatumGetUUIDP(id),
								 no_time ? PRISM_DELIVER_AT_ONCE : prism_publish_check_time(DatumGetTimestampTz(deliver_at)),
								 form, payload,
								 no_key ? NULL : DatumGetTextPP(key),
								 no_headers ? NULL : DatumGetJsonbP(headers));
	return PointerGetDatum(complete_row(&row, topic, &published));
}
