/*-------------------------------------------------------------------------
 *
 * repair.c
 *	  prism.repair(): what prism.doctor() finds in a log is put right.
 *
 * src/api/repair.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/access.h"
#include "api/message.h"
#include "base/compat.h"
#include "base/extension.h"
#include "store/log/segment_misplaced.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(prism_repair);

/* Argument: topic. */
Datum
prism_repair(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	text	   *topic_name = prism_required_text(fcinfo, 0, "topic");
	ListCell   *cell;

	if (!prism_access_is_owner())
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("permission denied for prism.repair()"),
				errhint("It is for the owner of the extension."));
	prism_require_writable("prism.repair()");
	prism_check_version();
	InitMaterializedSRF(fcinfo, 0);
	foreach(cell, prism_segments_put_right(text_to_cstring(topic_name)))
	{
		PrismMisplaced *moved = lfirst(cell);
		Datum		values[] = {
			Int64GetDatum(moved->first), Int64GetDatum(moved->first + moved->messages - 1), Int32GetDatum(moved->messages)
		};
		bool		nulls[lengthof(values)] = {false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
