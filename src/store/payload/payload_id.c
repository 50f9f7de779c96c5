/*-------------------------------------------------------------------------
 *
 * payload_id.c
 *	  How a new payload is called.
 *
 * src/store/payload/payload_id.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/query.h"
#include "base/uuid7.h"
#include "store/payload/payload_id.h"

#include "common/hashfn.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

void
prism_payload_make_id(pg_uuid_t *id)
{
	PrismQueryRows rows = prism_query_latest("SELECT installation_id FROM prism.installation", 0, NULL, NULL, 1);
	TimestampTz now = GetCurrentTimestamp();
	bool		isnull;

	if (rows.count > 0)
		prism_uuid7_tagged(now, hash_bytes(DatumGetUUIDP(prism_column_value(&rows.row[0], 1, &isnull))->data, UUID_LEN), id);
	else
		prism_uuid7(now, id);
	prism_query_free(&rows);
}
