/*-------------------------------------------------------------------------
 *
 * server_options.c
 *	  Options of a back end as they stand in the catalogue: foreign servers and user mappings.
 *
 * Checked when a foreign server or a user mapping is written, and again when a
 * worker reads them: a catalogue can be filled by a restore, or after somebody
 * removed the validator.  Whether a role may write it is checked only
 * the first time.
 *
 * src/backend/server_options.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend/backend.h"
#include "backend/option_table.h"
#include "backend/registry.h"
#include "backend/server_options.h"

#include "access/htup_details.h"
#include "access/reloptions.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "nodes/parsenodes.h"
#include "utils/syscache.h"

void
prism_server_options_validate(const PrismOptionTable *table, Datum options, Oid catalog)
{
	List	   *seen = NIL;
	ListCell   *cell;

	foreach(cell, untransformRelOptions(options))
	{
		DefElem    *option = lfirst(cell);

		if (catalog != ForeignServerRelationId && catalog != UserMappingRelationId)
			ereport(ERROR,
					errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					errmsg("invalid option \"%s\"", option->defname),
					errhint("Options belong to servers and user mappings of the wrapper."));
		seen = prism_option_once(seen,
								 prism_option_check(table,
													catalog == ForeignServerRelationId ? PRISM_IN_SERVER : PRISM_IN_USER_MAPPING,
													option->defname, defGetString(option), true));
	}
}

/* The options as a worker hands them to the back end. */
static List *
checked_options(const PrismOptionTable *table, List *options, PrismOptionPlace place, List *result)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *element = lfirst(cell);
		PrismOption *option = palloc(sizeof(PrismOption));

		option->value = pstrdup(defGetString(element));
		option->name = prism_option_check(table, place, element->defname, option->value, false);
		result = lappend(result, option);
	}
	return result;
}

/* The options of a user mapping, NIL when there is none. */
static List *
user_mapping_options(Oid user, Oid server)
{
	HeapTuple	tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(user), ObjectIdGetDatum(server));
	Datum		options;
	bool		is_null;
	List	   *result = NIL;

	if (!HeapTupleIsValid(tuple))
		return NIL;
	options = SysCacheGetAttr(USERMAPPINGUSERSERVER, tuple, Anum_pg_user_mapping_umoptions, &is_null);
	if (!is_null)
		result = untransformRelOptions(options);
	ReleaseSysCache(tuple);
	return result;
}

List *
prism_server_options(const PrismBackendInfo *info, Oid server_oid)
{
	ForeignServer *server = GetForeignServerExtended(server_oid, FSV_MISSING_OK);
	List	   *secrets;
	List	   *result;

	if (server == NULL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("server with OID %u does not exist", server_oid),
				errhint("Apply the namespace again, with a foreign server that is there."));
	if (info->wrapper == NULL)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("backend \"%s\" has no servers, but a sink names server \"%s\"", info->name, server->servername),
				errhint("Apply the namespace again."));
	if (strcmp(GetForeignDataWrapper(server->fdwid)->fdwname, info->wrapper) != 0)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("server \"%s\" does not belong to foreign data wrapper %s", server->servername, info->wrapper),
				errhint("Name another server in the namespace's backend."));
	result = checked_options(info->options, server->options, PRISM_IN_SERVER, NIL);
	secrets = user_mapping_options(server->owner, server->serverid);
	if (secrets == NIL)
		secrets = user_mapping_options(InvalidOid, server->serverid);	/* PUBLIC */
	return checked_options(info->options, secrets, PRISM_IN_USER_MAPPING, result);
}
