/*-------------------------------------------------------------------------
 *
 * log_value.c
 *	  Values of a segment's rows that are compressed or out of line: opening them.
 *
 * PostgreSQL throws where such a value is damaged.  A reader for many must
 * not be stopped by one row, so here that is an answer.
 *
 * src/store/log/log_value.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "store/log/log.h"

#include "access/detoast.h"
#include "access/xact.h"
#include "utils/elog.h"
#include "utils/resowner.h"

/* Damaged data, or something in it that is not what it should be; not what passes, nor a wish to end. */
static bool
is_damage_code(int code)
{
	return ERRCODE_TO_CATEGORY(code) == ERRCODE_TO_CATEGORY(ERRCODE_INTERNAL_ERROR);
}

/* It takes nothing but memory: no subtransaction has to clean up after it. */
static struct varlena *
decompress(struct varlena *stored)
{
	MemoryContext caller_cxt = CurrentMemoryContext;
	struct varlena *volatile value = NULL;

	PG_TRY();
	{
		value = pg_detoast_datum_packed(stored);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller_cxt);
		if (!is_damage_code(geterrcode()))
			PG_RE_THROW();
		FlushErrorState();
	}
	PG_END_TRY();
	return value;
}

/*
 * What was opened and locked when it failed is let go of by a subtransaction.
 * It is released when all is well: a rollback is for who has lost something, and
 * before a COMMIT, where publishers look how far groups are behind, PostgreSQL
 * does not expect one.
 */
static struct varlena *
fetch(struct varlena *stored, struct varlena *(*open) (struct varlena *))
{
	MemoryContext caller_cxt = CurrentMemoryContext;
	ResourceOwner caller_owner = CurrentResourceOwner;
	struct varlena *volatile value = NULL;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller_cxt);
	PG_TRY();
	{
		value = open(stored);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller_cxt);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	if (error == NULL)
		ReleaseCurrentSubTransaction();
	else
		RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(caller_cxt);
	CurrentResourceOwner = caller_owner;

	/* only now: an error that left the subtransaction open would leave the session in it */
	if (error != NULL && !is_damage_code(error->sqlerrcode))
		ReThrowError(error);
	return error == NULL ? value : NULL;
}

struct varlena *
prism_log_value(Datum stored)
{
	struct varlena *value = (struct varlena *) DatumGetPointer(stored);

	/* what is not on disk points into memory, and was never written there */
	if (VARATT_IS_EXTERNAL(value))
		return VARATT_IS_EXTERNAL_ONDISK(value) ? fetch(value, pg_detoast_datum_packed) : NULL;
	return VARATT_IS_COMPRESSED(value) ? decompress(value) : value;
}

struct varlena *
prism_log_value_inline(Datum stored)
{
	struct varlena *value = (struct varlena *) DatumGetPointer(stored);

	if (VARATT_IS_EXTERNAL(value))
		return VARATT_IS_EXTERNAL_ONDISK(value) ? fetch(value, detoast_external_attr) : NULL;
	return value;
}
