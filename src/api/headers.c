/*-------------------------------------------------------------------------
 *
 * headers.c
 *	  A message's headers.
 *
 * src/api/headers.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/headers.h"
#include "base/compat.h"

#include "utils/builtins.h"
#include "utils/memutils.h"

#define CONTENT_TYPE "content-type"
#define JSON_CONTENT_TYPE "application/json"

/* Headers that prism writes itself. */
static bool
is_reserved(const JsonbValue *name)
{
	static const char *const reserved[] = {
		"id", "claim_check_id", "claim_check_uri", "payload_size", "payload_sha256"
	};

	for (int i = 0; i < (int) lengthof(reserved); i++)
	{
		if ((int) strlen(reserved[i]) == name->val.string.len &&
			memcmp(reserved[i], name->val.string.val, name->val.string.len) == 0)
			return true;
	}
	return false;
}

static bool
is_content_type(const JsonbValue *name)
{
	return name->val.string.len == (int) strlen(CONTENT_TYPE) &&
		pg_strncasecmp(name->val.string.val, CONTENT_TYPE, name->val.string.len) == 0;
}

static void
refuse_as_headers(const char *detail)
{
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("headers must be a flat JSON object of strings"),
			errdetail("%s", detail),
			errhint("For example '{\"content-type\": \"application/json\"}'."));
}

/* A flat object of strings, or 22023. Returns whether the caller named a content type. */
static bool
check(Jsonb *headers)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;
	bool		has_content_type = false;

	if (VARSIZE(headers) > PRISM_HEADERS_BYTES_MAX)
		refuse_as_headers("They are longer than 1 MiB.");
	if (!JB_ROOT_IS_OBJECT(headers))
		refuse_as_headers("They are not an object.");
	iterator = JsonbIteratorInit(&headers->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			if (is_reserved(&value))
				refuse_as_headers(psprintf("The header \"%.*s\" is written by prism itself.",
										   value.val.string.len, value.val.string.val));
			has_content_type |= is_content_type(&value);
		}
		else if (token == WJB_VALUE && value.type != jbvString)
			refuse_as_headers("A value is not a string.");
	}
	return has_content_type;
}

/* {"content-type": "application/json"}, made once. */
static Jsonb *
json_headers(void)
{
	static Jsonb *headers = NULL;

	if (headers == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
		Datum		text = CStringGetDatum("{\"" CONTENT_TYPE "\": \"" JSON_CONTENT_TYPE "\"}");

		headers = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, text));
		MemoryContextSwitchTo(caller);
	}
	return headers;
}

Jsonb *
prism_headers_complete(Jsonb *headers, bool is_json)
{
	if (headers == NULL)
		return is_json ? json_headers() : NULL;
	if (!check(headers) && is_json)
		headers = DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(headers),
													 JsonbPGetDatum(json_headers())));
	return JB_ROOT_COUNT(headers) == 0 ? NULL : headers;
}
