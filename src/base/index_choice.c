/*-------------------------------------------------------------------------
 *
 * index_choice.c
 *	  Which index of a table serves.
 *
 * src/base/index_choice.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/index_choice.h"
#include "base/patience.h"

#include "access/htup_details.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* The columns alone: keys of another order or operator class are nothing that anybody has a reason to make unique. */
static bool
fits(Form_pg_index index, HeapTuple tuple, int columns)
{
	if (!index->indisvalid || !index->indisready || !index->indislive || !index->indisunique || !index->indimmediate ||
		index->indnkeyatts != columns || index->indnatts != columns ||
		!heap_attisnull(tuple, Anum_pg_index_indpred, NULL))
		return false;
	for (int i = 0; i < columns; i++)
	{
		if (index->indkey.values[i] != i + 1)
			return false;
	}
	return true;
}

bool
prism_index_serves(Relation index, int columns)
{
	return index->rd_rel->relam == BTREE_AM_OID && fits(index->rd_index, index->rd_indextuple, columns);
}

/* The same by the catalogue, without opening it: that would wait for the session that has it locked. */
static bool
serves(Oid index_relid, int columns)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index_relid));
	bool		found;

	if (!HeapTupleIsValid(tuple))
		return false;
	found = fits((Form_pg_index) GETSTRUCT(tuple), tuple, columns);
	ReleaseSysCache(tuple);
	return found;				/* only a btree can be unique */
}

Oid
prism_index_choose(Relation table, int columns)
{
	List	   *indexes = RelationGetIndexList(table);
	Oid			chosen = InvalidOid;
	ListCell   *cell;

	foreach(cell, indexes)
	{
		if (serves(lfirst_oid(cell), columns))
		{
			chosen = lfirst_oid(cell);
			break;
		}
	}
	list_free(indexes);
	if (!OidIsValid(chosen))
		ereport(ERROR,
				prism_not_ready(),
				errmsg("table \"%s\" has no valid unique index on its first %d columns", RelationGetRelationName(table), columns),
				errhint("A restore that is under way makes it last; after a REINDEX that failed make it again."));
	return chosen;
}
