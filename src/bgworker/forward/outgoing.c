/*-------------------------------------------------------------------------
 *
 * outgoing.c
 *	  What leaves the database is UTF-8, whatever its encoding is.
 *
 * Payloads lie in the log as they go out: publish() has converted them.  Keys
 * and headers are text and jsonb there, in the database's encoding.  They are
 * converted when they are read, as that needs a transaction; publish() has made
 * sure that they can be.
 *
 * src/bgworker/forward/outgoing.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "bgworker/forward/forwarder.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

bool
prism_outgoing_differs(void)
{
	return GetDatabaseEncoding() != PG_UTF8;
}

const char *
prism_text_to_utf8(const char *text)
{
	return prism_outgoing_differs() ? pg_server_to_any(text, (int) strlen(text), PG_UTF8) : text;
}

static Datum
key_to_utf8(Datum key, Size *bytes)
{
	char	   *plain = TextDatumGetCString(key);
	text	   *converted = cstring_to_text(prism_text_to_utf8(plain));

	*bytes += VARSIZE(converted);
	return PointerGetDatum(converted);
}

static void
push_utf8(JsonbParseState **state, JsonbIteratorToken token, const JsonbValue *text)
{
	JsonbValue	item = {.type = jbvString};

	item.val.string.val = unconstify(char *, prism_text_to_utf8(pnstrdup(text->val.string.val, text->val.string.len)));
	item.val.string.len = (int) strlen(item.val.string.val);
	pushJsonbValue(state, token, &item);
}

/* Headers that are no flat object of strings are refused by the back end: they stay as they are. */
static Datum
headers_to_utf8(Datum headers, Size *bytes)
{
	Jsonb	   *object = DatumGetJsonbP(headers);
	JsonbIterator *iterator = JsonbIteratorInit(&object->root);
	JsonbParseState *state = NULL;
	JsonbIteratorToken token;
	JsonbValue	item;
	Jsonb	   *converted;

	if (!JB_ROOT_IS_OBJECT(object))
		return headers;
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		if (token != WJB_KEY && token != WJB_VALUE)
			continue;
		if (item.type != jbvString)
			return headers;
		push_utf8(&state, token, &item);
	}
	converted = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
	*bytes += VARSIZE(converted);
	return JsonbPGetDatum(converted);
}

void
prism_message_to_utf8(const PrismMessage *message, PrismMessage *outgoing, Size *bytes)
{
	*outgoing = *message;
	if (message->has_key)
		outgoing->key = key_to_utf8(message->key, bytes);
	if (message->has_headers)
		outgoing->headers = headers_to_utf8(message->headers, bytes);
}
