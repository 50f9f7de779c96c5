/*-------------------------------------------------------------------------
 *
 * object_id.c
 *	  Numbers of what prism makes: namespaces, topics, sinks, delay buckets.
 *
 * src/base/object_id.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/extension.h"
#include "base/object_id.h"

#include "catalog/namespace.h"
#include "fmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"

/* Relations named after the number are there: a restore brought them, without the sequence's value. */
static bool
is_id_used(int32 id)
{
	Oid			schema = get_namespace_oid("prism_log", false);
	char		name[NAMEDATALEN];

	snprintf(name, sizeof(name), "topic_%d_mark", id);
	if (OidIsValid(get_relname_relid(name, schema)))
		return true;
	snprintf(name, sizeof(name), "delayed_%d", id);
	if (OidIsValid(get_relname_relid(name, schema)))
		return true;
	snprintf(name, sizeof(name), "sink_%d", id);
	if (OidIsValid(get_relname_relid(name, schema)))
		return true;
	snprintf(name, sizeof(name), "namespace_%d", id);
	return OidIsValid(get_relname_relid(name, schema));
}

int32
prism_next_object_id(void)
{
	Oid			sequence = get_relname_relid("object_id", get_namespace_oid("prism", false));
	PrismIdentity identity = prism_enter_owner();
	int32		id;

	do
		id = (int32) DatumGetInt64(DirectFunctionCall1(nextval_oid, ObjectIdGetDatum(sequence)));
	while (is_id_used(id));
	prism_leave_owner(identity);
	return id;
}
