/*-------------------------------------------------------------------------
 *
 * json_writer.c
 *	  Members of JSON objects, as they are stored.
 *
 * src/namespace/json_writer.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "namespace/json_writer.h"

#include "utils/json.h"

void
prism_json_add_key(StringInfo json, const char *key)
{
	char		last = json->data[json->len - 1];

	if (last != '{' && last != '[')
		appendStringInfoChar(json, ',');
	escape_json(json, key);
	appendStringInfoChar(json, ':');
}

void
prism_json_add_text(StringInfo json, const char *key, const char *value)
{
	if (value == NULL)
		return;
	prism_json_add_key(json, key);
	escape_json(json, value);
}

void
prism_json_add_integer(StringInfo json, const char *key, int64 value)
{
	if (value == 0)
		return;
	prism_json_add_key(json, key);
	appendStringInfo(json, INT64_FORMAT, value);
}

void
prism_json_add_boolean(StringInfo json, const char *key, bool value)
{
	prism_json_add_key(json, key);
	appendStringInfoString(json, value ? "true" : "false");
}
