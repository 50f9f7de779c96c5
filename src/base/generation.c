/*-------------------------------------------------------------------------
 *
 * generation.c
 *	  Whether prism's catalogue is what it was.
 *
 * A change is told as one of a table, which PostgreSQL tells all sessions at
 * commit.  That table is one that hardly anybody opens: of another each session
 * would read the description again, and plan again whatever is about it.
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
static Oid	told_table = InvalidOid;	/* known when the other one is */

static void
hear(Datum arg, Oid relid)
{
	if (relid != InvalidOid && relid != topic_catalog && relid != told_table)
		return;
	generation++;
	topic_catalog = told_table = InvalidOid;
}

/* Both of one moment: that a table which is not known any more is gone would not be heard. */
static void
look_up_tables(void)
{
	uint64		before;

	do
	{
		Oid			schema = get_namespace_oid("prism", true);

		before = generation;
		told_table = OidIsValid(schema) ? get_relname_relid("installation", schema) : InvalidOid;
		topic_catalog = OidIsValid(schema) ? get_relname_relid("topic", schema) : InvalidOid;
	} while (before != generation);
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
		look_up_tables();
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
	(void) prism_topic_catalog();	/* looks both up */
	CacheInvalidateRelcacheByRelid(told_table);
	CommandCounterIncrement();
}
