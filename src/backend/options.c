/*-------------------------------------------------------------------------
 *
 * options.c
 *	  Options of back ends: what may be typed, and where.
 *
 * Checked when a foreign server or a user mapping is written, and again when a
 * worker reads them: a catalogue can be filled by a restore, or after somebody
 * removed the validator.  Who may write what is checked only the
 * first time.
 *
 * src/backend/options.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/guc.h"
#include "base/guess.h"

#include "backend.h"
#include "kafka_option_table.h"

#include "access/htup_details.h"
#include "access/reloptions.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(prism_kafka_validator);

/* Where an option was written. */
typedef enum OptionPlace
{
	IN_SERVER,					/* readable by everybody */
	IN_USER_MAPPING				/* secrets, and what belongs to them */
} OptionPlace;

#define OPTION_NAME_BYTES 64
#define TEXT_BYTES_MAX 1024
#define PEM_BYTES_MAX 65536
#define BROKERS_MAX 32

/* librdkafka's spelling: _ stands for a dot, which SQL would want quoted. */
static void
canonical_name(const char *typed, char *name)
{
	strlcpy(name, typed, OPTION_NAME_BYTES);
	for (char *at = name; *at != '\0'; at++)
		if (*at == '_')
			*at = '.';
}

/* As SQL takes it without quotes. */
static char *
sql_name(const char *name)
{
	char	   *result = pstrdup(name);

	for (char *at = result; *at != '\0'; at++)
		if (*at == '.')
			*at = '_';
	return result;
}

static const KafkaOption *
find_option(const char *name)
{
	for (size_t i = 0; i < lengthof(kafka_option_table); i++)
		if (strcmp(kafka_option_table[i].name, name) == 0)
			return &kafka_option_table[i];
	return NULL;
}

/* * matches any characters; the rest stands for itself, in any case of letters. */
static bool
matches(const char *pattern, const char *text)
{
	const char *star = NULL;	/* the last * seen, and what it matched up to */
	const char *resume = NULL;

	while (*text != '\0')
	{
		if (*pattern == '*')
		{
			star = pattern++;
			resume = text;
		}
		else if (pg_tolower((unsigned char) *pattern) == pg_tolower((unsigned char) *text))
		{
			pattern++;
			text++;
		}
		else if (star != NULL)
		{
			pattern = star + 1;
			text = ++resume;
		}
		else
			return false;
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

static const KafkaRefusal *
find_refusal(const char *name)
{
	for (size_t i = 0; i < lengthof(kafka_refusal_table); i++)
		if (matches(kafka_refusal_table[i].name, name))
			return &kafka_refusal_table[i];
	return NULL;
}

static bool
fits_place(const KafkaOption *option, OptionPlace place)
{
	if (option->flags & KAFKA_SECRET)
		return place == IN_USER_MAPPING;
	if (option->flags & KAFKA_CREDENTIAL)
		return true;
	return place != IN_USER_MAPPING;
}

/* The name that may have been meant, or NULL. */
static const char *
nearest_name(const char *name, OptionPlace place)
{
	PrismGuess	guess;

	prism_guess_begin(&guess, name);
	for (size_t i = 0; i < lengthof(kafka_option_table); i++)
	{
		if (fits_place(&kafka_option_table[i], place))
			prism_guess_try(&guess, kafka_option_table[i].name);
	}
	return guess.best;
}

/* All names for a place, as the last hint. */
static char *
names_for(OptionPlace place)
{
	StringInfoData names;

	initStringInfo(&names);
	for (size_t i = 0; i < lengthof(kafka_option_table); i++)
		if (fits_place(&kafka_option_table[i], place))
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", sql_name(kafka_option_table[i].name));
	return names.data;
}

pg_noreturn static void
refuse_name(const char *typed, const char *name, OptionPlace place)
{
	const KafkaRefusal *refusal = find_refusal(name);
	const char *nearest;

	if (refusal != NULL)
		ereport(ERROR,
				errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				errmsg("option \"%s\" is refused", typed),
				errdetail("It %s.", refusal->reason));
	nearest = nearest_name(name, place);
	ereport(ERROR,
			errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			errmsg("invalid option \"%s\"", typed),
			nearest != NULL ?
			errhint("Perhaps you meant the option \"%s\".", sql_name(nearest)) :
			errhint("Valid here are librdkafka's properties, each dot written as an underscore: %s.",
					names_for(place)));
}

pg_noreturn static void
refuse_place(const KafkaOption *option, OptionPlace place)
{
	if (place == IN_USER_MAPPING)
		ereport(ERROR,
				errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				errmsg("option \"%s\" does not belong to a user mapping", sql_name(option->name)),
				errhint("Use it in CREATE SERVER or ALTER SERVER."));
	ereport(ERROR,
			errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			errmsg("option \"%s\" belongs to a user mapping", sql_name(option->name)),
			errdetail("Options of a foreign server can be read by everybody."),
			errhint("CREATE USER MAPPING FOR <owner of the server> SERVER ... OPTIONS (%s '...')",
					sql_name(option->name)));
}

/* May the value be repeated in a message?  Not a secret, nothing that upsets a terminal. */
static bool
printable(const KafkaOption *option, const char *value)
{
	if ((option->flags & KAFKA_SECRET) || option->kind == KAFKA_PEM)
		return false;
	if (option->kind == KAFKA_BROKERS && strchr(value, '@') != NULL)
		return false;
	for (const char *at = value; *at != '\0'; at++)
		if ((unsigned char) *at < 0x20 || *at == 0x7F)
			return false;
	return true;
}

pg_noreturn static void
refuse_value(const KafkaOption *option, const char *value, const char *hint)
{
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			printable(option, value) ?
			errmsg("invalid value for option \"%s\": \"%s\"", sql_name(option->name),
				   pnstrdup(value, pg_mbcliplen(value, strlen(value), 64))) :
			errmsg("invalid value for option \"%s\"", sql_name(option->name)),
			errhint("%s", hint));
}

/* Is the word one of the comma separated list? */
static bool
listed(const char *list, const char *word)
{
	size_t		bytes = strlen(word);

	while (list != NULL && *list != '\0')
	{
		const char *end = strchrnul(list, ',');

		if ((size_t) (end - list) == bytes && strncmp(list, word, bytes) == 0)
			return true;
		list = *end == ',' ? end + 1 : end;
	}
	return false;
}

static void
check_brokers(const KafkaOption *option, const char *value, bool check_rights)
{
	char	   *list = pstrdup(value);
	char	   *rest = NULL;
	int			count = 0;

	for (char *endpoint = strtok_r(list, ", ", &rest); endpoint != NULL;
		 endpoint = strtok_r(NULL, ", ", &rest))
	{
		char		parsed[PRISM_ENDPOINT_BYTES];

		if (++count > BROKERS_MAX || !prism_endpoint_parse(endpoint, parsed))
			refuse_value(option, value, "Write host:port, several ones separated by commas.");
		if (check_rights && !superuser() && !prism_endpoint_allowed(prism_allowed_endpoints, parsed))
			ereport(ERROR,
					errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("endpoint \"%s\" is not allowed", parsed),
					errhint("A superuser can write it, or add it to prism.allowed_endpoints."));
	}
	if (count == 0)
		refuse_value(option, value, "Write host:port, several ones separated by commas.");
}

static void
check_integer(const KafkaOption *option, const char *value)
{
	char	   *end;
	long long	number;

	errno = 0;
	number = strtoll(value, &end, 10);
	if (end == value || *end != '\0' || errno != 0 ||
		number < option->range_min || number > option->range_max)
		refuse_value(option, value,
					 psprintf("Write a whole number from " INT64_FORMAT " to " INT64_FORMAT ".",
							  option->range_min, option->range_max));
}

static void
check_text(const KafkaOption *option, const char *value)
{
	if (value[0] == '\0' || strlen(value) > TEXT_BYTES_MAX)
		refuse_value(option, value, psprintf("Write 1 to %d bytes.", TEXT_BYTES_MAX));
	for (const char *at = value; *at != '\0'; at++)
		if ((unsigned char) *at < 0x20 || *at == 0x7F)
			refuse_value(option, value, "Control characters are not allowed.");
}

static void
check_value(const KafkaOption *option, const char *value, bool check_rights)
{
	switch (option->kind)
	{
		case KAFKA_TEXT:
			check_text(option, value);
			break;
		case KAFKA_BROKERS:
			check_brokers(option, value, check_rights);
			break;
		case KAFKA_PEM:
			if (strncmp(value, "-----BEGIN ", 11) != 0 || strlen(value) > PEM_BYTES_MAX)
				refuse_value(option, value, "Write the text of the PEM file, which begins with -----BEGIN.");
			break;
		case KAFKA_INTEGER:
			check_integer(option, value);
			break;
		case KAFKA_BOOLEAN:
			if (!listed("true,false", value))
				refuse_value(option, value, "Write true or false.");
			break;
		case KAFKA_CHOICE:
			if (!listed(option->choices, value))
				refuse_value(option, value, psprintf("Write one of: %s.", option->choices));
			if (check_rights && !superuser() && listed(option->superuser_choices, value))
				ereport(ERROR,
						errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("only a superuser may set option \"%s\" to \"%s\"",
							   sql_name(option->name), value),
						errdetail("It lets others on the network read or replace messages and credentials."));
			break;
	}
}

static const char *
check_option(OptionPlace place, const char *typed, const char *value, bool check_rights)
{
	char		name[OPTION_NAME_BYTES];
	const KafkaOption *option;

	canonical_name(typed, name);
	option = find_option(name);
	if (option == NULL)
		refuse_name(typed, name, place);
	if (!fits_place(option, place))
		refuse_place(option, place);
	check_value(option, value, check_rights);
	return option->same_as != NULL ? option->same_as : option->name;
}

/* Two spellings or names of one option would leave it open which one counts. */
static void
refuse_repetition(List *seen, const char *name)
{
	ListCell   *cell;

	foreach(cell, seen)
		if (strcmp(lfirst(cell), name) == 0)
			ereport(ERROR,
					errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					errmsg("option \"%s\" is given twice", sql_name(name)),
					errdetail("Underscores and dots in its name mean the same, and some options have two names."));
}

Datum
prism_kafka_validator(PG_FUNCTION_ARGS)
{
	List	   *options = untransformRelOptions(PG_GETARG_DATUM(0));
	Oid			catalog = PG_GETARG_OID(1);
	List	   *seen = NIL;
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *option = lfirst(cell);
		const char *name;

		if (catalog != ForeignServerRelationId && catalog != UserMappingRelationId)
			ereport(ERROR,
					errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					errmsg("invalid option \"%s\"", option->defname),
					errhint("Options belong to servers and user mappings of the wrapper."));
		name = check_option(catalog == ForeignServerRelationId ? IN_SERVER : IN_USER_MAPPING,
							option->defname, defGetString(option), true);
		refuse_repetition(seen, name);
		seen = lappend(seen, unconstify(char *, name));
	}
	PG_RETURN_VOID();
}

/* The options as a worker hands them to the back end. */
static List *
checked_options(List *options, OptionPlace place, List *result)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *element = lfirst(cell);
		PrismOption *option = palloc(sizeof(PrismOption));

		option->value = pstrdup(defGetString(element));
		option->name = check_option(place, element->defname, option->value, false);
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
prism_backend_server_options(const PrismBackendInfo *info, Oid server_oid)
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
				errmsg("back end \"%s\" has no servers, but a sink names server \"%s\"", info->name, server->servername),
				errhint("Apply the namespace again."));
	if (strcmp(GetForeignDataWrapper(server->fdwid)->fdwname, info->wrapper) != 0)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("server \"%s\" does not belong to foreign data wrapper %s", server->servername, info->wrapper),
				errhint("Name another server in the namespace's backend."));
	result = checked_options(server->options, IN_SERVER, NIL);
	secrets = user_mapping_options(server->owner, server->serverid);
	if (secrets == NIL)
		secrets = user_mapping_options(InvalidOid, server->serverid);	/* PUBLIC */
	return checked_options(secrets, IN_USER_MAPPING, result);
}
