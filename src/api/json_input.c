/*-------------------------------------------------------------------------
 *
 * json_input.c
 *	  A JSON value as the text that a type's input function reads.
 *
 * Values never become part of a statement: they go through the input function
 * of the type that the parser inferred, so they mean what a bound parameter of
 * any driver means.
 *
 * src/api/json_input.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/statement.h"
#include "base/compat.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

static void append_array(StringInfo text, JsonbContainer *array, Oid element_type, char delimiter);

static char *
scalar_text(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
		case jbvBool:
			return pstrdup(value->val.boolean ? "true" : "false");
		default:
			elog(ERROR, "unexpected type %d of a JSON scalar", (int) value->type);
	}
}

static char *
json_text(const JsonbValue *value)
{
	Jsonb	   *jsonb = JsonbValueToJsonb(unconstify(JsonbValue *, value));

	return JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
}

static bool
is_json_type(Oid base_type)
{
	return base_type == JSONOID || base_type == JSONBOID;
}

pg_noreturn static void
no_place_for(bool is_array, Oid type)
{
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			is_array ? errmsg("a JSON array cannot become a value of type %s", format_type_be(type))
			: errmsg("a JSON object cannot become a value of type %s", format_type_be(type)),
			errhint("Take it as JSON in the statement: $1::jsonb."));
}

/* Quoted, so that nothing in it means anything to array_in(). */
static void
append_quoted(StringInfo text, const char *value)
{
	appendStringInfoChar(text, '"');
	for (const char *c = value; *c != '\0'; c++)
	{
		if (*c == '"' || *c == '\\')
			appendStringInfoChar(text, '\\');
		appendStringInfoChar(text, *c);
	}
	appendStringInfoChar(text, '"');
}

/* Arrays in an array are its further dimensions, unless the elements are JSON themselves. */
static void
append_element(StringInfo text, const JsonbValue *value, Oid element_type, char delimiter)
{
	bool		is_json = is_json_type(getBaseType(element_type));

	if (value->type == jbvNull)
		appendStringInfoString(text, "NULL");
	else if (is_json)
		append_quoted(text, json_text(value));
	else if (value->type != jbvBinary)
		append_quoted(text, scalar_text(value));
	else if (JsonContainerIsArray(value->val.binary.data))
		append_array(text, value->val.binary.data, element_type, delimiter);
	else
		no_place_for(false, element_type);
}

static void
append_array(StringInfo text, JsonbContainer *array, Oid element_type, char delimiter)
{
	uint32		count = JsonContainerSize(array);

	check_stack_depth();
	appendStringInfoChar(text, '{');
	for (uint32 i = 0; i < count; i++)
	{
		if (i > 0)
			appendStringInfoChar(text, delimiter);
		append_element(text, getIthJsonbValueFromContainer(array, i), element_type, delimiter);
	}
	appendStringInfoChar(text, '}');
}

static char *
array_text(JsonbContainer *array, Oid element_type)
{
	StringInfoData text;
	int16		length;
	bool		by_value;
	char		alignment;
	char		delimiter;
	Oid			ioparam;
	Oid			input;

	get_type_io_data(element_type, IOFunc_input, &length, &by_value, &alignment, &delimiter,
					 &ioparam, &input);
	initStringInfo(&text);
	append_array(&text, array, element_type, delimiter);
	return text.data;
}

char *
prism_json_to_input(const JsonbValue *value, Oid type)
{
	Oid			base_type = getBaseType(type);
	bool		is_array = value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data);
	Oid			element_type;

	if (value->type == jbvNull)
		return NULL;
	if (is_json_type(base_type))
		return json_text(value);
	if (value->type != jbvBinary)
		return scalar_text(value);
	element_type = get_element_type(base_type);
	if (!is_array || !OidIsValid(element_type))
		no_place_for(is_array, type);
	return array_text(value->val.binary.data, element_type);
}
