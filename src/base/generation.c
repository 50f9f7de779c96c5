/*-------------------------------------------------------------------------
 *
 * generation.c
 *	  Whether prism's catalogue is what it was.
 *
 * src/base/generation.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/generation.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"

static uint64 generation = 1;
static Oid	topic_catalog = InvalidOid;

static void
hear(Datum arg, Oid relid)
{
	if (relid != InvalidOid && relid != topic_catalog)
		return;
	generation++;
	topic_catalog = InvalidOid;
}

Oid
prism_topic_catalog(void)
{
	static bool listening = false;

	if (!listening)
	{
		CacheRegisterRelcacheCallback(hear, (Datum) 0);
		listening = true;
	}
	if (!OidIsValid(topic_catalog))
	{
		Oid			schema = get_namespace_oid("prism", true);

		if (OidIsValid(schema))
			topic_catalog = get_relname_relid("topic", schema);
		if (!OidIsValid(topic_catalog))
			ereport(ERROR,
					errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("extension \"prism\" is not installed in this database"),
					errhint("Run CREATE EXTENSION prism."));
	}
	return topic_catalog;
}

uint64
prism_catalog_generation(void)
{
	/* a relid not looked up yet would make us deaf to its invalidations */
	(void) prism_topic_catalog();
	return generation;
}

bool
prism_catalog_is_of(uint64 wanted)
{
	return wanted == generation;
}

void
prism_catalog_changed(void)
{
	CacheInvalidateRelcacheByRelid(prism_topic_catalog());
	CommandCounterIncrement();
}
