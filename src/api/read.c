/*-------------------------------------------------------------------------
 *
 * read.c
 *	  prism.read(): replay, without a group and without leaving a trace.
 *
 * src/api/read.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/kept_rows.h"
#include "api/message.h"
#include "pattern/chain.h"
#include "store/log/log.h"
#include "store/log/message_copy.h"
#include "store/payload/payload_end.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(prism_read);

static void
take_up(const PrismTopic *topic, PrismChain *chain, PrismReader *reader, PrismMessage *message)
{
	const PrismMessage stored = *message;
	const char *why;
	PrismConsumed consumed = prism_chain_consume(chain, message, &why);

	if (consumed == PRISM_CONSUMED)
		return;
	if (consumed == PRISM_MISSING && stored.offset < prism_payload_cleaned(topic))
	{
		/* as its namespace wants it: what is left says what it was */
		*message = stored;
		prism_chain_show(chain, message);
		return;
	}
	if (consumed == PRISM_MISSING)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_FILE),
				errmsg("message " INT64_FORMAT " of topic \"%s\" is not complete", message->offset, topic->name),
				errdetail("It was published so, but by now: %s.", why),
				errhint("What comes behind it begins at " INT64_FORMAT ": prism.read(topic, from_position).", message->offset + 1));
	prism_reader_set_damage(reader, message, why);
	prism_reader_refuse(reader);
}

static void
read_messages(PrismTopic *topic, int64 from, int max_messages, ReturnSetInfo *result)
{
	MemoryContext row_cxt = AllocSetContextCreate(CurrentMemoryContext, "prism read", ALLOCSET_DEFAULT_SIZES);
	PrismReader *reader = prism_reader_open(topic, from);
	PrismChain *chain = prism_chain_to_consume(topic);
	PrismMessageRow row;
	PrismMessage message;

	prism_message_row_init(&row, topic->name, NULL, 0);
	for (int count = 0; count < max_messages && prism_reader_next(reader, &message); count++)
	{
		MemoryContext caller = MemoryContextSwitchTo(row_cxt);

		CHECK_FOR_INTERRUPTS();
		prism_message_fetch(&message);
		if (prism_chain_looks_at(chain, &message))
			take_up(topic, chain, reader, &message);
		prism_message_row_fill(&row, &message, 0);
		tuplestore_putvalues(result->setResult, result->setDesc, row.values, row.nulls);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(row_cxt);
	}
	prism_reader_close(reader);
	MemoryContextDelete(row_cxt);
}

/* Arguments: topic, from_position, max_messages. */
Datum
prism_read(PG_FUNCTION_ARGS)
{
	text	   *topic_name = prism_required_text(fcinfo, 0, "topic");
	int64		from = PG_ARGISNULL(1) ? 0 : PG_GETARG_INT64(1);
	int			max_messages = prism_count_argument(fcinfo, 2, "max_messages");
	PrismTopic *topic = prism_topic_argument(topic_name, PRISM_READ, "prism.read()");

	if (from < 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("from_position must not be negative"),
				errdetail("It is " INT64_FORMAT ".", from));
	PreventCommandIfParallelMode("prism.read()");
	if (!PG_ARGISNULL(1))
		prism_log_refuse_lost(topic, from, NULL);
	prism_rows_begin(fcinfo);
	read_messages(topic, from, max_messages, (ReturnSetInfo *) fcinfo->resultinfo);
	/* what was dropped just before it was reached is missing without a trace */
	if (!PG_ARGISNULL(1))
		prism_log_refuse_lost(topic, from, NULL);
	return (Datum) 0;
}
