/*-------------------------------------------------------------------------
 *
 * access_lock.c
 *	  Sessions that change namespaces and rights wait for those that change the same, and not for ever.
 *
 * Three locks, taken in this order and kept to the end of the transaction:
 *	names	of namespaces, topics and outbox views that are made, changed or
 *		dropped, or on which rights change; shared by those who only look.
 *		Each kind has names of its own: what one namespace calls its outbox view
 *		may be another's name, and administrators of different ones do not meet.
 *	roles	what a role may use of schema prism follows from all that it holds:
 *		who takes something away must see what others give, so that they wait
 *		for each other; those who give do not.
 *	shared	the objects of schema prism, of which PostgreSQL lets one transaction
 *		at a time change the rights, and prism's own topics while they are made.
 *		Seldom needed: for a role's first privilege of a kind, or its last.
 *
 * All of a kind that a call needs are taken before the first of the next kind, in
 * an order that is everybody's, so calls cannot lock each other out.  Dropping a
 * namespace waits for its publishers and readers, who may take long: so these
 * come first, with no role locked, and the roles behind them without waiting, or
 * it begins again.
 *
 * What a transaction takes by several calls, in its own order, can: 40P01, as
 * with rows.
 *
 * src/api/access_lock.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/access.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/extension.h"
#include "base/patience.h"
#include "base/query.h"
#include "namespace/spec.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* Whoever has left a transaction open is not waited for any longer. */
#define PATIENCE_MS 5000

/* The last part of the tag of a lock that is no name's; PostgreSQL's own locks on these objects have 0. */
#define LOCK_OF_PRISM 1

/* Of a name's hash, what the last two parts of a tag hold. */
#define NAME_NUMBER_MASK UINT64CONST(0xFFFFFFFFFFFF)

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
 * Under REPEATABLE READ the caller sees namespaces as they were when the
 * transaction began, but what he asks for is done to those that there are: that
 * is refused as PostgreSQL refuses an update of a row that was updated meanwhile.
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

/* Names the processes that have the lock; a prepared transaction has none. */
static char *
lock_holders(const LOCKTAG *tag)
{
	Oid			types[] = {OIDOID, OIDOID, OIDOID, INT2OID, BOOLOID};
	Datum		values[] = {
		ObjectIdGetDatum(tag->locktag_field1), ObjectIdGetDatum(tag->locktag_field2),
		ObjectIdGetDatum(tag->locktag_field3), Int16GetDatum((int16) tag->locktag_field4),
		BoolGetDatum(tag->locktag_type == LOCKTAG_RELATION)
	};
	PrismQueryRows rows;
	char	   *names;

	rows = prism_query("SELECT string_agg(DISTINCT coalesce('process ' || l.pid, 'prepared transaction ' || quote_literal(x.gid)), ', ')"
					   " FROM pg_locks l LEFT JOIN pg_locks t ON l.pid IS NULL AND t.pid IS NULL AND t.locktype = 'transactionid'"
					   "  AND t.virtualtransaction = l.virtualtransaction"
					   " LEFT JOIN pg_prepared_xacts x ON x.transaction = t.transactionid"
					   " WHERE CASE WHEN $5 THEN l.locktype = 'relation' AND l.database = $1 AND l.relation = $2"
					   " ELSE l.locktype = 'object' AND l.database = $1 AND l.classid = $2 AND l.objid = $3 AND l.objsubid = $4 END"
					   " AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()",
					   lengthof(types), types, values, NULL);
	names = prism_column_text(&rows.row[0], 1);
	return names != NULL ? names : "one that has just ended";
}

/* Of the caller's own lock_timeout and ours the shorter one. */
static int
patience(void)
{
	return LockTimeout > 0 ? Min(LockTimeout, PATIENCE_MS) : PATIENCE_MS;
}

/* False: not within that many milliseconds. */
static bool
wait_for_lock(const LOCKTAG *tag, LOCKMODE mode, int patience_ms)
{
	MemoryContext caller_cxt = CurrentMemoryContext;
	volatile int caller_timeout = LockTimeout;
	volatile bool locked = false;

	LockTimeout = patience_ms;
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
lock_tag(const LOCKTAG *tag, LOCKMODE mode, const char *what)
{
	if (LockAcquire(tag, mode, false, true) == LOCKACQUIRE_NOT_AVAIL)
	{
		char	   *names = lock_holders(tag);

		if (!wait_for_lock(tag, mode, patience()))
			ereport(ERROR,
					errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					errmsg("another transaction is at work on %s", what),
					errdetail("It is that of %s.", names),
					errhint("Try again when it has ended; pg_stat_activity tells what a process does, SELECT pg_terminate_backend(pid) ends it, ROLLBACK PREPARED a prepared transaction."));
	}
	AcceptInvalidationMessages();
}

static void
lock(Oid class, uint32 number, uint16 part, LOCKMODE mode, const char *what)
{
	LOCKTAG		tag;

	if (mode != AccessShareLock)
		PreventCommandDuringRecovery("changes of namespaces and rights");
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, class, number, part);
	lock_tag(&tag, mode, what);
}

/* What a kind's names are locked as: things of this class, which nothing else locks by such numbers. */
static Oid
class_of(PrismNameKind kind)
{
	static const char *const relations[] = {
		[PRISM_NAME_NAMESPACE] = "namespace",
		[PRISM_NAME_TOPIC] = "topic",
		[PRISM_NAME_TABLE] = "outbox"
	};

	return get_relname_relid(relations[kind], get_namespace_oid("prism", false));
}

List *
prism_access_add_name(List *names, PrismNameKind kind, const char *text)
{
	PrismAccessName *name = palloc_object(PrismAccessName);

	if (text == NULL)
		return names;
	/* as many bits as a tag has room for: another name is not met by chance */
	*name = (PrismAccessName) {kind, text, hash_bytes_extended((const unsigned char *) text, (int) strlen(text), 0) & NAME_NUMBER_MASK};
	return lappend(names, name);
}

static int
compare_names(const ListCell *left, const ListCell *right)
{
	const PrismAccessName *a = lfirst(left);
	const PrismAccessName *b = lfirst(right);

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return a->number < b->number ? -1 : a->number > b->number;
}

List *
prism_access_names(const char *namespace_name, const PrismStoredNamespace *stored)
{
	List	   *names = prism_access_add_name(NIL, PRISM_NAME_NAMESPACE, pstrdup(namespace_name));

	if (stored == NULL)
		return names;
	names = prism_access_add_name(names, PRISM_NAME_TOPIC, stored->topic);
	return prism_access_add_name(names, PRISM_NAME_TABLE, stored->table);
}

/* In the order of kinds and numbers, which is everybody's. */
void
prism_access_lock_names(List *names, LOCKMODE mode)
{
	static const char *const kinds[] = {
		[PRISM_NAME_NAMESPACE] = "namespace",
		[PRISM_NAME_TOPIC] = "topic",
		[PRISM_NAME_TABLE] = "outbox view"
	};
	ListCell   *cell;

	list_sort(names, compare_names);
	foreach(cell, names)
	{
		const PrismAccessName *name = lfirst(cell);

		lock(class_of(name->kind), (uint32) name->number, (uint16) (name->number >> 32), mode,
			 psprintf("%s \"%s\"", kinds[name->kind], prism_yaml_show(name->text)));
	}
	prism_access_refuse_old_snapshot();
}

static LOCKTAG
tag_of(Oid class, Oid object)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, class, object, LOCK_OF_PRISM);
	return tag;
}

void
prism_access_lock_role(Oid role, bool gives)
{
	lock(AuthIdRelationId, role, LOCK_OF_PRISM, gives ? AccessShareLock : AccessExclusiveLock,
		 psprintf("privileges of role \"%s\"", GetUserNameFromId(role, false)));
}

void
prism_access_lock_shared_objects(void)
{
	lock(ExtensionRelationId, prism_extension_oid(), LOCK_OF_PRISM, AccessExclusiveLock, "what all namespaces share");
	prism_access_refuse_old_snapshot();
}

/* Anybody may have it locked, by PREPARE: that asks for no right on it. */
void
prism_access_lock_view(Oid view, const char *name)
{
	LOCKTAG		tag;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, view);
	lock_tag(&tag, AccessExclusiveLock, psprintf("outbox view \"%s\"", prism_yaml_show(name)));
}

/* The same lock as that of a session that makes the topic of dead letters (dead_letter.c). */
void
prism_access_lock_dead_letters(int32 topic_id, const char *topic_name)
{
	lock(class_of(PRISM_NAME_TOPIC), (uint32) topic_id, 0, AccessExclusiveLock,
		 psprintf("the dead letters of topic \"%s\"", prism_yaml_show(topic_name)));
}

bool
prism_access_try(const List *roles, bool shared)
{
	LOCKTAG		tag = tag_of(ExtensionRelationId, prism_extension_oid());
	List	   *taken = NIL;
	ListCell   *cell;

	foreach(cell, roles)
	{
		LOCKTAG		role = tag_of(AuthIdRelationId, lfirst_oid(cell));

		if (LockAcquire(&role, AccessExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
			break;
		taken = lappend_oid(taken, lfirst_oid(cell));
	}
	if (cell == NULL && (!shared || LockAcquire(&tag, AccessExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL))
	{
		AcceptInvalidationMessages();
		return true;
	}
	prism_access_release(taken, false);
	return false;
}

void
prism_access_release(const List *roles, bool shared)
{
	LOCKTAG		tag = tag_of(ExtensionRelationId, prism_extension_oid());
	ListCell   *cell;

	if (shared)
		LockRelease(&tag, AccessExclusiveLock, false);
	foreach(cell, roles)
	{
		LOCKTAG		role = tag_of(AuthIdRelationId, lfirst_oid(cell));

		LockRelease(&role, AccessExclusiveLock, false);
	}
}

/* Wait for the transactions that use it, at most until 'until'. */
static void
wait_for_topic(Oid mark_relid, PrismInstant until)
{
	LOCKTAG		tag;
	char	   *names;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, mark_relid);
	names = lock_holders(&tag);
	if (!wait_for_lock(&tag, AccessExclusiveLock, (int) Max(prism_ms_until(until, prism_instant()), 1)))
		ereport(ERROR,
				errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				errmsg("a topic whose backend changes is in use"),
				errdetail("It is used by %s.", names),
				errhint("Try again when that has ended; pg_stat_activity tells what a process does, SELECT pg_terminate_backend(pid) ends it, ROLLBACK PREPARED a prepared transaction."));
}

void
prism_access_shut_topics(const List *marks)
{
	PrismInstant until = prism_instant_after(prism_instant(), patience());
	Oid			held = InvalidOid;
	Oid			used;

	while (OidIsValid(used = prism_try_topics(marks, held)))
	{
		if (OidIsValid(held))
			UnlockRelationOid(held, AccessExclusiveLock);
		CHECK_FOR_INTERRUPTS();
		wait_for_topic(used, until);
		held = used;
	}
	AcceptInvalidationMessages();
}

int
prism_access_begin_patience(void)
{
	int			nest_level = NewGUCNestLevel();
	char		value[16];

	snprintf(value, sizeof(value), "%d", patience());
	(void) set_config_option("lock_timeout", value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return nest_level;
}

void
prism_access_end_patience(int nest_level)
{
	AtEOXact_GUC(true, nest_level);
}
