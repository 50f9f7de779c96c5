/*-------------------------------------------------------------------------
 *
 * option_check.c
 *	  May this option stand here, with this value?  The same for all back ends.
 *
 * src/backend/option_check.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/guc.h"
#include "base/guess.h"

#include "backend/endpoint_rule.h"
#include "backend/option_table.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#define OPTION_NAME_BYTES 64
#define TEXT_BYTES_MAX 1024
#define PEM_BYTES_MAX 65536

/* The library's spelling: _ stands for a dot. */
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

static const PrismOptionRule *
find_rule(const PrismOptionTable *table, const char *name)
{
	for (int i = 0; i < table->rule_count; i++)
		if (strcmp(table->rules[i].name, name) == 0)
			return &table->rules[i];
	return NULL;
}

/* * matches any characters; the rest stands for itself, in any case of letters. */
static bool
matches_option(const char *pattern, const char *text)
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

static const PrismOptionRefusal *
find_refusal(const PrismOptionTable *table, const char *name)
{
	for (int i = 0; i < table->refusal_count; i++)
		if (matches_option(table->refusals[i].name, name))
			return &table->refusals[i];
	return NULL;
}

static bool
fits_place(const PrismOptionRule *option, PrismOptionPlace place)
{
	if (option->flags & PRISM_OPTION_SECRET)
		return place == PRISM_IN_USER_MAPPING;
	if (option->flags & PRISM_OPTION_CREDENTIAL)
		return true;
	return place != PRISM_IN_USER_MAPPING;
}

/* The name that may have been meant, or NULL. */
static const char *
nearest_name(const PrismOptionTable *table, const char *name, PrismOptionPlace place)
{
	PrismGuess	guess;

	prism_guess_begin(&guess, name);
	for (int i = 0; i < table->rule_count; i++)
		if (fits_place(&table->rules[i], place))
			prism_guess_try(&guess, table->rules[i].name);
	return guess.best;
}

/* All names for a place, as the last hint. */
static char *
names_for(const PrismOptionTable *table, PrismOptionPlace place)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < table->rule_count; i++)
		if (fits_place(&table->rules[i], place))
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", sql_name(table->rules[i].name));
	return names.data;
}

pg_noreturn static void
refuse_name(const PrismOptionTable *table, const char *typed, const char *name, PrismOptionPlace place)
{
	const PrismOptionRefusal *refusal = find_refusal(table, name);
	const char *nearest;

	if (refusal != NULL)
		ereport(ERROR,
				errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				errmsg("option \"%s\" is refused", typed),
				errdetail("It %s.", refusal->reason));
	nearest = nearest_name(table, name, place);
	ereport(ERROR,
			errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			errmsg("invalid option \"%s\"", typed),
			nearest != NULL ?
			errhint("Perhaps you meant the option \"%s\".", sql_name(nearest)) :
			errhint("Valid here are %s: %s.", table->whose, names_for(table, place)));
}

pg_noreturn static void
refuse_place(const PrismOptionRule *option, PrismOptionPlace place)
{
	if (place == PRISM_IN_USER_MAPPING)
		ereport(ERROR,
				errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				errmsg("option \"%s\" does not belong to a user mapping", sql_name(option->name)),
				errhint("Use it in CREATE SERVER or ALTER SERVER."));
	ereport(ERROR,
			errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			errmsg("option \"%s\" belongs to a user mapping", sql_name(option->name)),
			errdetail("Options of a foreign server can be read by everybody."),
			errhint("Use CREATE USER MAPPING FOR <owner of the server> SERVER ... OPTIONS (%s '...').",
					sql_name(option->name)));
}

/* May the value be repeated in a message?  Not a secret, nothing that upsets a terminal. */
static bool
printable(const PrismOptionRule *option, const char *value)
{
	if ((option->flags & PRISM_OPTION_SECRET) || option->kind == PRISM_OPTION_PEM)
		return false;
	if ((option->kind == PRISM_OPTION_ENDPOINTS || option->kind == PRISM_OPTION_URL) && strchr(value, '@') != NULL)
		return false;
	for (const char *at = value; *at != '\0'; at++)
		if ((unsigned char) *at < 0x20 || *at == 0x7F)
			return false;
	return true;
}

pg_noreturn static void
refuse_value(const PrismOptionRule *option, const char *value, const char *hint)
{
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			printable(option, value) ?
			errmsg("invalid value for option \"%s\": \"%s\"", sql_name(option->name),
				   pnstrdup(value, pg_mbcliplen(value, strlen(value), 64))) :
			errmsg("invalid value for option \"%s\"", sql_name(option->name)),
			errhint("%s", hint));
}

pg_noreturn static void
refuse_unsafe(const PrismOptionRule *option, const char *value)
{
	ereport(ERROR,
			errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			errmsg("only a superuser may set option \"%s\" to \"%s\"", sql_name(option->name), value),
			errdetail("It lets others on the network read or replace messages and credentials."));
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
check_fault(const PrismOptionRule *option, const char *value, const char *hint, PrismEndpointFault fault, const char *endpoint)
{
	switch (fault)
	{
		case PRISM_ENDPOINT_GOOD:
			break;
		case PRISM_ENDPOINT_MALFORMED:
			refuse_value(option, value, hint);
			break;
		case PRISM_ENDPOINT_FORBIDDEN:
			ereport(ERROR,
					errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("endpoint \"%s\" is not allowed", endpoint),
					errhint("A superuser can write it, or add it to prism.allowed_endpoints."));
			break;
	}
}

/* The patterns that hold for who writes an endpoint; NULL: he may write any. */
static const char *
patterns_for_writer(bool check_rights)
{
	return check_rights && !superuser() ? prism_allowed_endpoints : NULL;
}

static void
check_endpoints(const PrismOptionRule *option, const char *value, bool check_rights)
{
	const char *hint = "Write host:port, several ones separated by commas.";
	char		endpoint[PRISM_ENDPOINT_BYTES];
	char		text[PRISM_ENDPOINT_BYTES];
	const char *rest = value;

	/* the port first: who may write nothing is not told of another back end's */
	while ((option->flags & PRISM_OPTION_WITH_PORT) && prism_endpoint_next(&rest, text))
		if (!prism_endpoint_parse(text, endpoint) || strcmp(text, endpoint) != 0)
			refuse_value(option, value, hint);
	check_fault(option, value, hint, prism_endpoint_judge_list(value, patterns_for_writer(check_rights), endpoint), endpoint);
}

/* Nothing behind the host: what is asked for there is the back end's business. */
static void
check_url(const PrismOptionRule *option, const char *value, bool check_rights)
{
	const char *hint = "Write https://host or https://host:port.";
	bool		plain = strncmp(value, "http://", 7) == 0;
	char		endpoint[PRISM_ENDPOINT_BYTES];
	char		text[PRISM_ENDPOINT_BYTES];
	Size		bytes;

	if ((!plain && strncmp(value, "https://", 8) != 0) || strlen(value) >= PRISM_ENDPOINT_BYTES)
		refuse_value(option, value, hint);
	strlcpy(text, value + (plain ? 7 : 8), sizeof(text));
	bytes = strlen(text);
	if (bytes > 0 && text[bytes - 1] == '/')
		text[--bytes] = '\0';
	if (!prism_endpoint_parse(text, endpoint))
		refuse_value(option, value, hint);
	if (strcmp(text, endpoint) != 0)	/* without a port it is that of the scheme */
		snprintf(text + bytes, sizeof(text) - bytes, ":%d", plain ? 80 : 443);
	check_fault(option, value, hint, prism_endpoint_judge(text, patterns_for_writer(check_rights), endpoint), endpoint);
	if (plain && check_rights && !superuser())
		refuse_unsafe(option, value);
}

static void
check_integer(const PrismOptionRule *option, const char *value)
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
check_text(const PrismOptionRule *option, const char *value)
{
	if (value[0] == '\0' || strlen(value) > TEXT_BYTES_MAX)
		refuse_value(option, value, psprintf("Write 1 to %d bytes.", TEXT_BYTES_MAX));
	for (const char *at = value; *at != '\0'; at++)
		if ((unsigned char) *at < 0x20 || *at == 0x7F)
			refuse_value(option, value, "Control characters are not allowed.");
}

static void
check_value(const PrismOptionRule *option, const char *value, bool check_rights)
{
	switch (option->kind)
	{
		case PRISM_OPTION_TEXT:
			check_text(option, value);
			break;
		case PRISM_OPTION_ENDPOINTS:
			check_endpoints(option, value, check_rights);
			break;
		case PRISM_OPTION_URL:
			check_url(option, value, check_rights);
			break;
		case PRISM_OPTION_PEM:
			if (strncmp(value, "-----BEGIN ", 11) != 0 || strlen(value) > PEM_BYTES_MAX)
				refuse_value(option, value, "Write the text of the PEM file, which begins with -----BEGIN.");
			break;
		case PRISM_OPTION_INTEGER:
			check_integer(option, value);
			break;
		case PRISM_OPTION_BOOLEAN:
			if (!listed("true,false", value))
				refuse_value(option, value, "Write true or false.");
			break;
		case PRISM_OPTION_CHOICE:
			if (!listed(option->choices, value))
				refuse_value(option, value, psprintf("Write one of: %s.", option->choices));
			if (check_rights && !superuser() && listed(option->superuser_choices, value))
				refuse_unsafe(option, value);
			break;
	}
}

const char *
prism_option_check(const PrismOptionTable *table, PrismOptionPlace place,
				   const char *typed, const char *value, bool check_rights)
{
	char		name[OPTION_NAME_BYTES];
	const PrismOptionRule *option;

	canonical_name(typed, name);
	option = find_rule(table, name);
	if (option == NULL)
		refuse_name(table, typed, name, place);
	if (!fits_place(option, place))
		refuse_place(option, place);
	check_value(option, value, check_rights);
	return option->same_as != NULL ? option->same_as : option->name;
}

/* Two spellings or names of one option would leave it open which one counts. */
List *
prism_option_once(List *seen, const char *name)
{
	ListCell   *cell;

	foreach(cell, seen)
		if (strcmp(lfirst(cell), name) == 0)
			ereport(ERROR,
					errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					errmsg("option \"%s\" is given twice", sql_name(name)),
					errdetail("Underscores and dots in its name mean the same, and some options have two names."));
	return lappend(seen, unconstify(char *, name));
}
