/*-------------------------------------------------------------------------
 *
 * filter.c
 *	  Which messages a consumer wants: a jsonpath over their payloads.
 *
 * Whatever a publisher has sent, it is no error of the consumer: a message that
 * made a filter fail would stand in the way of its group for ever.
 *
 * src/api/filter.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/filter.h"

#include "catalog/pg_collation.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

struct PrismFilter
{
	JsonPath   *path;
	PGFunction	evaluate;
	Jsonb	   *variables;		/* none */
	MemoryContext message_cxt;	/* reset for each message */
};

/* One that PostgreSQL calls a predicate check expression: its value is true, false or unknown, never nothing. */
static bool
is_predicate(JsonPath *path)
{
	JsonPathItem root;

	jspInit(&root, path);
	switch (root.type)
	{
		case jpiAnd:
		case jpiOr:
		case jpiNot:
		case jpiIsUnknown:
		case jpiEqual:
		case jpiNotEqual:
		case jpiLess:
		case jpiGreater:
		case jpiLessOrEqual:
		case jpiGreaterOrEqual:
		case jpiExists:
		case jpiStartsWith:
		case jpiLikeRegex:
			return true;
		default:
			return false;
	}
}

PrismFilter *
prism_filter_new(JsonPath *path)
{
	PrismFilter *filter = palloc(sizeof(PrismFilter));

	filter->path = path;
	/* as @@ and @?, but dates with and without a time zone can be compared */
	filter->evaluate = is_predicate(path) ? jsonb_path_match_tz : jsonb_path_exists_tz;
	filter->variables = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
	filter->message_cxt = AllocSetContextCreate(CurrentMemoryContext, "prism filtered message",
												ALLOCSET_DEFAULT_SIZES);
	return filter;
}

static bool
evaluate(const PrismFilter *filter, const char *json)
{
	LOCAL_FCINFO(call, 4);
	Datum		matches;

	InitFunctionCallInfoData(*call, NULL, 4, DEFAULT_COLLATION_OID, NULL, NULL);
	/* JSON lies in the log in UTF-8 */
	json = pg_any_to_server(json, (int) strlen(json), PG_UTF8);
	call->args[0] = (NullableDatum) {DirectFunctionCall1(jsonb_in, CStringGetDatum(json)), false};
	call->args[1] = (NullableDatum) {PointerGetDatum(filter->path), false};
	call->args[2] = (NullableDatum) {JsonbPGetDatum(filter->variables), false};
	call->args[3] = (NullableDatum) {BoolGetDatum(true), false};	/* silent */
	matches = filter->evaluate(call);
	return !call->isnull && DatumGetBool(matches);
}

/*
 * Does the error say something of the data?  Everything else is not ours to
 * hide: memory that is short, a cancel.
 */
static bool
is_fault_of_data(int sqlstate)
{
	int			category = ERRCODE_TO_CATEGORY(sqlstate);

	/*
	 * The second: nested too deeply, or with a number or text too large for
	 * jsonb.  The third: more elements than fit into one piece of memory.
	 */
	return category == ERRCODE_DATA_EXCEPTION || category == ERRCODE_PROGRAM_LIMIT_EXCEEDED ||
		category == ERRCODE_INTERNAL_ERROR;
}

/*
 * No subtransaction: parsing and evaluating work on memory alone, which is
 * reset afterwards, and hold nothing that an error would leave behind.
 */
static bool
evaluate_silently(const PrismFilter *filter, const char *json)
{
	MemoryContext message_cxt = CurrentMemoryContext;
	volatile bool matches = false;

	PG_TRY();
	{
		matches = evaluate(filter, json);
	}
	PG_CATCH();
	{
		if (!is_fault_of_data(geterrcode()))
			PG_RE_THROW();
		FlushErrorState();
		MemoryContextSwitchTo(message_cxt);
	}
	PG_END_TRY();
	return matches;
}

bool
prism_filter_matches(PrismFilter *filter, const PrismMessage *message)
{
	MemoryContext caller_cxt;
	bytea	   *payload;
	bool		matches;

	/* what cannot be looked at is handed over */
	if (message->withheld)
		return true;
	if (!message->has_payload)
		return false;
	MemoryContextReset(filter->message_cxt);
	caller_cxt = MemoryContextSwitchTo(filter->message_cxt);
	payload = DatumGetByteaPP(message->payload);
	matches = pg_verify_mbstr(PG_UTF8, VARDATA_ANY(payload), VARSIZE_ANY_EXHDR(payload), true) &&
		evaluate_silently(filter, text_to_cstring((text *) payload));
	MemoryContextSwitchTo(caller_cxt);
	return matches;
}
