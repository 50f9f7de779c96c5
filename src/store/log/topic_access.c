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
 * As pg_class_aclcheck(), without pg_read_all_data and pg_write_all_data: whoever
 * reads or writes all tables does not thereby read, consume and publish with
 * the help of prism's functions.
 */
bool
prism_rights_allow(Oid rights_relid, Oid role, PrismPrivilege privilege)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(rights_relid));
	Oid			owner;
	Datum		value;
	bool		isnull;
	Acl		   *acl;
	AclMode		held;

	if (!HeapTupleIsValid(tuple))
		return false;
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	if (superuser_arg(role))
	{
		ReleaseSysCache(tuple);
		return true;
	}
	value = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relacl, &isnull);
	acl = isnull ? acldefault(OBJECT_TABLE, owner) : DatumGetAclP(value);
	held = aclmask(acl, role, owner, privilege_mode(privilege), ACLMASK_ANY);
	if (isnull || (Pointer) acl != DatumGetPointer(value))
		pfree(acl);
	ReleaseSysCache(tuple);
	return held != ACL_NO_RIGHTS;
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

void
prism_topic_check_name(const char *name)
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
	if (reason != NULL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("invalid topic name \"%.*s\"",
					   pg_mbcliplen(name, length, 64), name),
				errdetail("%s", reason));
}
