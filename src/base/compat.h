/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  What differs between PostgreSQL's major versions, and nothing else.
 *
 * The only file that names PG_VERSION_NUM.  An entry is a wrapper with the
 * newest signature.
 *
 * No .c of its name: the wrappers are inline.
 *
 * src/base/compat.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_COMPAT_H
#define PRISM_COMPAT_H

#include "postgres.h"

#include "access/genam.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "common/jsonapi.h"
#include "executor/executor.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#if PG_VERSION_NUM < 150000
#error "prism needs PostgreSQL 15 or newer"
#endif

/* The index of this process in ProcGlobal->allProcs. */
static inline int
prism_my_proc_number(void)
{
#if PG_VERSION_NUM >= 170000
	return MyProcNumber;
#else
	return MyProc->pgprocno;
#endif
}

static inline bool
prism_database_ownercheck(Oid database, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(DatabaseRelationId, database, role);
#else
	return pg_database_ownercheck(database, role);
#endif
}

static inline bool
prism_extension_ownercheck(Oid extension, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(ExtensionRelationId, extension, role);
#else
	return pg_extension_ownercheck(extension, role);
#endif
}

/* A set that is freed by hand; from 17 on it belongs to a resource owner, if one is given. */
static inline WaitEventSet *
prism_create_wait_event_set(int events_max)
{
#if PG_VERSION_NUM >= 170000
	return CreateWaitEventSet(NULL, events_max);
#else
	return CreateWaitEventSet(CurrentMemoryContext, events_max);
#endif
}

/* Tells this backend's transactions apart. */
static inline LocalTransactionId
prism_my_local_xid(void)
{
#if PG_VERSION_NUM >= 170000
	return MyProc->vxid.lxid;
#else
	return MyProc->lxid;
#endif
}

/* 17 lets extensions name what they wait for; a session that asks for a name again gets the same event. */
static inline uint32
prism_wait_event_new(const char *name)
{
#if PG_VERSION_NUM >= 170000
	return WaitEventExtensionNew(name);
#else
	return PG_WAIT_EXTENSION;
#endif
}

/* Settings that a worker must not inherit and that older versions do not know. */
#if PG_VERSION_NUM >= 170000
#define PRISM_NEWER_WORKER_SETTINGS {"transaction_timeout", "0", false},
#else
#define PRISM_NEWER_WORKER_SETTINGS
#endif

/* Before the declaration of a function that does not return. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn __attribute__((noreturn))
#endif

/* 18 gave index scans an instrumentation argument. */
static inline IndexScanDesc
prism_index_beginscan(Relation heap, Relation index, Snapshot snapshot, int keys)
{
#if PG_VERSION_NUM >= 180000
	return index_beginscan(heap, index, snapshot, NULL, keys, 0);
#else
	return index_beginscan(heap, index, snapshot, keys, 0);
#endif
}

/* The text parses as JSON. 17 lets the caller own the lexer. */
static inline bool
prism_json_is_valid(char *json, int length)
{
	JsonLexContext *lexer;

#if PG_VERSION_NUM >= 170000
	lexer = makeJsonLexContextCstringLen(NULL, json, length, GetDatabaseEncoding(), false);
#else
	lexer = makeJsonLexContextCstringLen(json, length, GetDatabaseEncoding(), false);
#endif
	return pg_parse_json(lexer, &nullSemAction) == JSON_SUCCESS;
}

/* 16 made one function of many. */
static inline bool
prism_object_allows(Oid class_id, Oid object, Oid role, AclMode mode)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(class_id, object, role, mode) == ACLCHECK_OK;
#else
	switch (class_id)
	{
		case DatabaseRelationId:
			return pg_database_aclcheck(object, role, mode) == ACLCHECK_OK;
		case ForeignServerRelationId:
			return pg_foreign_server_aclcheck(object, role, mode) == ACLCHECK_OK;
		case NamespaceRelationId:
			return pg_namespace_aclcheck(object, role, mode) == ACLCHECK_OK;
		case ProcedureRelationId:
			return pg_proc_aclcheck(object, role, mode) == ACLCHECK_OK;
	}
	elog(ERROR, "no privileges on objects of class %u are asked for", class_id);
#endif
}

/* May 'member' SET ROLE 'role'?  Before 16 every member may. */
static inline bool
prism_member_can_set_role(Oid member, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return member_can_set_role(member, role);
#else
	return is_member_of_role(member, role);
#endif
}

/* Entries of a new row in all indexes of its table. 16 can leave out all but summarizing ones. */
static inline List *
prism_insert_index_tuples(ResultRelInfo *relation, TupleTableSlot *slot, EState *estate)
{
#if PG_VERSION_NUM >= 160000
	return ExecInsertIndexTuples(relation, slot, estate, false, false, NULL, NIL, false);
#else
	return ExecInsertIndexTuples(relation, slot, estate, false, false, NULL, NIL);
#endif
}

/*
 * ExecutorCheckPerms_hook.  Since 16 the rights that a statement needs stand
 * beside its range table, not in it.
 */
#if PG_VERSION_NUM >= 160000
#define PRISM_CHECK_PERMS_PARAMETERS List *range_table, List *needs, bool report
#define PRISM_CHECK_PERMS_ARGUMENTS range_table, needs, report
typedef RTEPermissionInfo PrismNeededPerms;
#else
#define PRISM_CHECK_PERMS_PARAMETERS List *needs, bool report
#define PRISM_CHECK_PERMS_ARGUMENTS needs, report
typedef RangeTblEntry PrismNeededPerms;
#endif

#endif /* PRISM_COMPAT_H */
