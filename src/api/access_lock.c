/*-------------------------------------------------------------------------
 *
 * access_lock.c
 *	  Who changes namespaces and rights waits for who changes the same, and not for ever.
 *
 * Three locks, taken in this order and kept to the end of the transaction:
 *	names	of namespaces, topics and outbox views that are made, changed or
 *		dropped, or on which rights change; shared by those who only look.
 *		Administrators of different ones do not meet.
 *	roles	what a role may use of schema prism follows from all that it holds:
 *		who takes something away must see what others give, so that they wait
 *		for each other; those who give do not.
 *	shared	the objects of schema prism, of which PostgreSQL lets one transaction
 *		at a time change the rights, and prism's own topics while they are made.
 *		Seldom needed: for a role's first privilege of a kind, or its last.
 *
 * All of a kind that a call needs are taken before the first of the next kind, in
 * an order that is everybody's, so calls cannot lock each other out.  What a
 * transaction takes by several calls, in its own order, can: 40P01, as with rows.
 *
 * src/api/access_lock.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"
#include "compat.h"
#include "query.h"
#include "api/access.h"
#include "namespace/namespace.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* Whoever has left a transaction open is not waited for any longer. */
#define PATIENCE_MS 5000

/* The last part of a lock's tag. */
enum
{
	LOCK_SHARED_OBJECTS = 1,
	LOCK_ROLE,
	LOCK_NAME
};

/* A row of the table is visible to one of the snapshots and not to the other. */
static bool
snapshots_differ(Relation table, Snapshot scanned, Snapshot other)
{
	TableScanDesc scan = table_beginscan(table, scanned, 0, NULL);
	TupleTableSlot *slot = table_slot_create(table, NULL);
	bool		differ = false;

	while (!differ && table_scan_getnextslot(scan, ForwardScanDirection, slot))
		differ = !table_tuple_satisfies_snapshot(table, slot, other);
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	return differ;
}

/*
 * Under REPEATABLE READ statements see namespaces as they were when the
 * transaction began, but act on what there is: that is refused as PostgreSQL
 * refuses an update of a row that was updated meanwhile.
 */
void
prism_access_refuse_old_snapshot(void)
{
	Relation	table;
	Snapshot	latest;
	Snapshot	own;

	if (!IsolationUsesXactSnapshot())
		return;
	table = table_open(get_relname_relid("namespace", get_namespace_oid("prism", false)), AccessShareLock);
	latest = RegisterSnapshot(GetLatestSnapshot());
	own = RegisterSnapshot(GetTransactionSnapshot());
	if (snapshots_differ(table, latest, own) || snapshots_differ(table, own, latest))
		ereport(ERROR,
				errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				errmsg("could not serialize access due to concurrent changes of namespaces"),
				errhint("Run the transaction again."));
	UnregisterSnapshot(own);
	UnregisterSnapshot(latest);
	table_close(table, NoLock);
}

/* Who has the lock, for people. */
static char *
holders(const LOCKTAG *tag)
{
	Oid			types[] = {OIDOID, OIDOID, OIDOID, INT4OID};
	Datum		values[] = {
		ObjectIdGetDatum(tag->locktag_field1), ObjectIdGetDatum(tag->locktag_field2),
		ObjectIdGetDatum(tag->locktag_field3), Int32GetDatum(tag->locktag_field4)
	};
	char	   *pids;

	prism_query("SELECT pg_catalog.string_agg(DISTINCT l.pid::pg_catalog.text, ', ') FROM pg_catalog.pg_locks l"
				" WHERE l.locktype OPERATOR(pg_catalog.=) 'object' AND l.database OPERATOR(pg_catalog.=) $1"
				" AND l.classid OPERATOR(pg_catalog.=) $2 AND l.objid OPERATOR(pg_catalog.=) $3"
				" AND l.objsubid OPERATOR(pg_catalog.=) $4 AND l.granted"
				" AND l.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()",
				lengthof(types), types, values, NULL);
	pids = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	SPI_freetuptable(SPI_tuptable);
	return pids != NULL ? pids : "that has just ended";
}

/* False: not within our patience. */
static bool
wait_for_lock(const LOCKTAG *tag, LOCKMODE mode)
{
	MemoryContext caller_cxt = CurrentMemoryContext;
	volatile int caller_timeout = LockTimeout;
	volatile bool locked = false;

	LockTimeout = caller_timeout > 0 ? Min(caller_timeout, PATIENCE_MS) : PATIENCE_MS;
	PG_TRY();
	{
		(void) LockAcquire(tag, mode, false, false);
		locked = true;
	}
	PG_CATCH();
	{
		LockTimeout = caller_timeout;
		MemoryContextSwitchTo(caller_cxt);
		if (geterrcode() != ERRCODE_LOCK_NOT_AVAILABLE)
			PG_RE_THROW();
		FlushErrorState();
	}
	PG_END_TRY();
	LockTimeout = caller_timeout;
	return locked;
}

/* An error follows when it fails, so nothing is left of the wait that was given up. */
static void
lock(uint32 number, uint16 part, LOCKMODE mode, const char *what)
{
	LOCKTAG		tag;

	if (mode != AccessShareLock)
		PreventCommandDuringRecovery("changes of namespaces and rights");
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, get_relname_relid("namespace", get_namespace_oid("prism", false)),
					   number, part);
	if (LockAcquire(&tag, mode, false, true) == LOCKACQUIRE_NOT_AVAIL)
	{
		char	   *pids = holders(&tag);

		if (!wait_for_lock(&tag, mode))
			ereport(ERROR,
					errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					errmsg("another transaction is at work on %s", what),
					errdetail("It is that of process %s.", pids),
					errhint("Try again when it has ended; pg_stat_activity tells what it does, SELECT pg_terminate_backend(pid) ends it."));
	}
	AcceptInvalidationMessages();
}

static uint32
name_number(const char *name)
{
	return hash_bytes((const unsigned char *) name, (int) strlen(name));
}

static int
compare_numbers(const ListCell *left, const ListCell *right)
{
	uint32		a = name_number(lfirst(left));
	uint32		b = name_number(lfirst(right));

	return a < b ? -1 : a > b;
}

List *
prism_access_names(const char *namespace_name, const PrismStoredNamespace *stored)
{
	List	   *names = list_make1(pstrdup(namespace_name));

	if (stored != NULL && stored->topic != NULL)
		names = lappend(names, stored->topic);
	if (stored != NULL && stored->table != NULL)
		names = lappend(names, stored->table);
	return names;
}

/* In the order of their numbers; two names of one number wait for each other, no more. */
void
prism_access_lock_names(List *names, LOCKMODE mode)
{
	ListCell   *cell;

	list_sort(names, compare_numbers);
	foreach(cell, names)
	{
		const char *name = lfirst(cell);

		lock(name_number(name), LOCK_NAME, mode, psprintf("namespace or topic \"%s\"", prism_yaml_show(name)));
	}
	prism_access_refuse_old_snapshot();
}

void
prism_access_lock_role(Oid role, bool gives)
{
	lock(role, LOCK_ROLE, gives ? AccessShareLock : AccessExclusiveLock,
		 psprintf("privileges of role \"%s\"", GetUserNameFromId(role, false)));
}

void
prism_access_lock_shared_objects(void)
{
	lock(0, LOCK_SHARED_OBJECTS, AccessExclusiveLock, "what all namespaces share");
	prism_access_refuse_old_snapshot();
}
