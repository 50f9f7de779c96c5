/*-------------------------------------------------------------------------
 *
 * marker.c
 *	  Rows of prism's tables, marked with their origin, where no SQL writes them.
 *
 * src/base/marker.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/marker.h"

#include "catalog/indexing.h"

typedef enum RowChange
{
	ROW_INSERT,
	ROW_UPDATE,
	ROW_DELETE
} RowChange;

static void
write_row(RowChange change, Relation table, HeapTuple row, ItemPointer place)
{
	if (change == ROW_INSERT)
		CatalogTupleInsert(table, row);
	else if (change == ROW_UPDATE)
		CatalogTupleUpdate(table, place, row);
	else
		CatalogTupleDelete(table, place);
}

static void
change_row(RowChange change, Relation table, HeapTuple row, ItemPointer place)
{
	RepOriginId former = prism_marker_begin();

	PG_TRY();
	{
		write_row(change, table, row, place);
	}
	PG_CATCH();
	{
		prism_marker_end(former);
		PG_RE_THROW();
	}
	PG_END_TRY();
	prism_marker_end(former);
}

void
prism_marked_insert(Relation table, HeapTuple row)
{
	change_row(ROW_INSERT, table, row, NULL);
}

void
prism_marked_update(Relation table, HeapTuple row)
{
	change_row(ROW_UPDATE, table, row, &row->t_self);
}

void
prism_marked_delete(Relation table, ItemPointer row)
{
	change_row(ROW_DELETE, table, NULL, row);
}
