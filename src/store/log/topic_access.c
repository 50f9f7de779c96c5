/*-------------------------------------------------------------------------
 *
 * topic_access.c
 *	  What a caller may do with a topic, and what he is told who names a wrong one.
 *
 * A namespace's rights are PostgreSQL's privileges on its rights view; a caller
 * without any is not told whether a topic exists.
 *
 * src/store/log/topic_access.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/extension.h"
#include "store/log/topic.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/inval.h"
#include "utils/syscache.h"

/* ---------- rights ---------- */

static AclMode
privilege_mode(PrismPrivilege privilege)
{
	switch (privilege)
	{
		case PRISM_PUBLISH:
			return ACL_INSERT;
		case PRISM_CONSUME:
			return ACL_UPDATE;
		case PRISM_READ:
			return ACL_SELECT;
		case PRISM_ADMIN:
			return ACL_REFERENCES;
	}
	pg_unreachable();
}

static const char *
privilege_name(PrismPrivilege privilege)
{
	static const char *const names[] = {"publish", "consume", "read", "admin"};

	return names[privilege];
}

/*
 * Rights are asked about with each message, and to look them up takes a tenth of
 * what publishing one does.  So answers are kept, until something is heard of that
 * may have changed one.  That is heard of when a look-up would see it, by the
 * same messages: after each command of this transaction, at the end of one that is
 * rolled back, and of others' when they are next accepted.
 */
static uint64 rights_generation = 1;

/* The catalogues that an answer is made of. */
static const int rights_caches[] = {
	RELOID,						/* the rights view: what is granted, its owner */
	AUTHOID,					/* roles: superusers, and before PostgreSQL 16 INHERIT */
	AUTHMEMROLEMEM,				/* members, from 16 on with INHERIT */
	DATABASEOID					/* the database's owner, by himself a member of pg_database_owner */
};

#define KNOWN_RIGHTS_MAX 64

/* All that a role holds on a rights view, by both.  Two that share a place take it from each other. */
static struct
{
	Oid			rights_relid;
	Oid			role;
	AclMode		held;
	uint64		known_at;		/* the generation that it is of */
}			known_rights[KNOWN_RIGHTS_MAX];

static void
hear_of_rights(Datum arg, int cache, uint32 hash_value)
{
	rights_generation++;
}

uint64
prism_rights_generation(void)
{
	static bool listening = false;

	if (unlikely(!listening))
	{
		for (int i = 0; i < (int) lengthof(rights_caches); i++)
			CacheRegisterSyscacheCallback(rights_caches[i], hear_of_rights, (Datum) 0);
		listening = true;
	}
	return rights_generation;
}

/*
 * As pg_class_aclmask(), without pg_read_all_data and pg_write_all_data: whoever
 * reads or writes all tables does not thereby read, consume and publish with
 * the help of prism's functions.  False: there is no such view.
 */
static bool
look_up_rights(Oid rights_relid, Oid role, AclMode *held)
{
	const AclMode all = ACL_INSERT | ACL_UPDATE | ACL_SELECT | ACL_REFERENCES;
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(rights_relid));
	Oid			owner;
	Datum		value;
	bool		isnull;
	Acl		   *acl;

	if (!HeapTupleIsValid(tuple))
		return false;
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	if (superuser_arg(role))
	{
		ReleaseSysCache(tuple);
		*held = all;
		return true;
	}
	value = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relacl, &isnull);
	acl = isnull ? acldefault(OBJECT_TABLE, owner) : DatumGetAclP(value);
	*held = aclmask(acl, role, owner, all, ACLMASK_ALL);
	if (isnull || (Pointer) acl != DatumGetPointer(value))
		pfree(acl);
	ReleaseSysCache(tuple);
	return true;
}

bool
prism_rights_allow(Oid rights_relid, Oid role, PrismPrivilege privilege)
{
	uint64		now = prism_rights_generation();
	int			place = (rights_relid ^ role) % KNOWN_RIGHTS_MAX;

	if (known_rights[place].known_at != now ||
		known_rights[place].rights_relid != rights_relid || known_rights[place].role != role)
	{
		AclMode		held;

		if (!look_up_rights(rights_relid, role, &held))
			return false;
		known_rights[place].rights_relid = rights_relid;
		known_rights[place].role = role;
		known_rights[place].held = held;
		/* what was heard of meanwhile may be younger than the answer */
		known_rights[place].known_at = now;
	}
	return (known_rights[place].held & privilege_mode(privilege)) != 0;
}

bool
prism_topic_allows_role(const PrismTopic *topic, PrismPrivilege privilege, Oid role)
{
	if (!OidIsValid(topic->rights_relid))
		return superuser_arg(role) || role == prism_owner();
	return prism_rights_allow(topic->rights_relid, role, privilege);
}

bool
prism_topic_allows(const PrismTopic *topic, PrismPrivilege privilege)
{
	return prism_topic_allows_role(topic, privilege, GetUserId());
}

bool
prism_topic_is_visible(const PrismTopic *topic)
{
	return has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) ||
		prism_topic_allows(topic, PRISM_PUBLISH) || prism_topic_allows(topic, PRISM_CONSUME) ||
		prism_topic_allows(topic, PRISM_READ) || prism_topic_allows(topic, PRISM_ADMIN);
}

PrismTopic *
prism_topic_for(const char *name, PrismPrivilege privilege)
{
	PrismTopic *topic;

	prism_check_version();
	topic = prism_topic_lookup(name, true);
	if (topic != NULL && prism_topic_allows(topic, privilege))
		return topic;
	if (topic == NULL && (superuser() || GetUserId() == prism_owner()))
		prism_topic_missing(name);
	ereport(ERROR,
			errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			errmsg("permission denied for topic \"%s\"", name),
			errdetail("The topic does not exist, or you do not have the privilege \"%s\" on its namespace.",
					  privilege_name(privilege)),
			errhint("The namespace's administrator can run prism.grant(namespace, '%s', role).",
					privilege_name(privilege)));
}

/* ---------- names ---------- */

void
prism_topic_check_namespace(const PrismTopic *topic, const char *namespace_name)
{
	if (strcmp(topic->namespace_name, namespace_name) != 0)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("topic \"%s\" does not belong to namespace \"%s\"", topic->name, namespace_name),
				errdetail("It belongs to namespace \"%s\".", topic->namespace_name),
				errhint("Leave the argument out, or name that namespace."));
}

const char *
prism_topic_name_fault(const char *name)
{
	Size		length = strlen(name);
	const char *reason = NULL;

	if (length == 0)
		reason = "A topic needs a name.";
	else if (length > PRISM_TOPIC_NAME_MAX)
		reason = "A topic's name has at most 249 characters, and so has that of its dead letters, which ends with \".dlq\".";
	else if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		reason = "A topic cannot be called \".\" or \"..\".";
	else if (strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != length)
		reason = "A topic's name consists of ASCII letters, digits, \".\", \"_\" and \"-\", as in Kafka.";
	else if (strncmp(name, PRISM_RESERVED_PREFIX, strlen(PRISM_RESERVED_PREFIX)) == 0)
		reason = "Names that begin with \"__prism\" are prism's own.";
	return reason;
}
