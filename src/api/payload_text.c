/*-------------------------------------------------------------------------
 *
 * payload_text.c
 *	  A payload as text: JSON, plain text, or the text form of bytes.
 *
 * src/api/payload_text.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/payload_text.h"
#include "base/compat.h"

#include "catalog/namespace.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* How deep a text payload may nest to be looked at as JSON. */
#define JSON_NESTING_MAX 1000

PG_FUNCTION_INFO_V1(prism_payload_text);

/* ---------- JSON ---------- */

/* The parser recurses, and an error of it would be one of publish(): deeper text is text. */
static bool
nests_deeply(const char *bytes, int length)
{
	int			depth = 0;
	bool		in_string = false;

	for (int i = 0; i < length; i++)
	{
		if (in_string)
		{
			if (bytes[i] == '\\')
				i++;
			else if (bytes[i] == '"')
				in_string = false;
		}
		else if (bytes[i] == '"')
			in_string = true;
		else if (bytes[i] == '{' || bytes[i] == '[')
		{
			if (++depth > JSON_NESTING_MAX)
				return true;
		}
		else if (bytes[i] == '}' || bytes[i] == ']')
			depth--;
	}
	return false;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

bool
prism_text_is_json(const struct varlena *payload)
{
	const char *bytes = VARDATA_ANY(payload);
	int			length = VARSIZE_ANY_EXHDR(payload);
	int			i = 0;

	while (i < length && is_space(bytes[i]))
		i++;
	if (i == length || (bytes[i] != '{' && bytes[i] != '['))
		return false;
	if (nests_deeply(bytes, length) || !pg_verifymbstr(bytes, length, true))
		return false;
	return prism_json_is_valid(unconstify(char *, bytes), length);
}

/* ---------- UTF-8 ---------- */

/* SQL_ASCII does not say what its bytes are: they go out as they are, or not at all. */
static void
check_bytes(const char *bytes, int length, const char *what)
{
	if (GetDatabaseEncoding() != PG_SQL_ASCII || pg_verify_mbstr(PG_UTF8, bytes, length, true))
		return;
	ereport(ERROR,
			errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
			errmsg("%s is not in UTF-8", what),
			errdetail("The encoding of this database is SQL_ASCII: prism cannot tell which one the text has, and text leaves prism in UTF-8."),
			errhint("Convert it, as in convert(..., 'LATIN1', 'UTF8'); a payload can be of type bytea."));
}

static const char *
to_utf8(const char *bytes, int length, const char *what)
{
	check_bytes(bytes, length, what);
	return pg_server_to_any(bytes, length, PG_UTF8);
}

struct varlena *
prism_payload_to_utf8(struct varlena *payload)
{
	const char *bytes = VARDATA_ANY(payload);
	const char *converted = to_utf8(bytes, VARSIZE_ANY_EXHDR(payload), "payload");

	return converted == bytes ? payload : (struct varlena *) cstring_to_text(converted);
}

void
prism_check_goes_out(text *key, Jsonb *headers)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	item;

	if (key != NULL)
		(void) to_utf8(VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key), "key");
	if (headers == NULL)
		return;
	iterator = JsonbIteratorInit(&headers->root);
	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		if (token == WJB_KEY || token == WJB_VALUE)
			(void) to_utf8(item.val.string.val, item.val.string.len, "a header");
	}
}

/* ---------- the text form of bytes ---------- */

static bool
is_hex_digit(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Behind "\x": the end of the pairs of digits, or NULL when the last one lacks its second. */
static const char *
skip_hex(const char *at, const char *end)
{
	const char *begin = at;

	while (at < end && is_hex_digit(*at))
		at++;
	return (at - begin) % 2 == 0 ? at : NULL;
}

/* bytea's output in format "hex". */
static bool
is_bytes(const char *at, const char *end)
{
	return end - at >= 2 && at[0] == '\\' && at[1] == 'x' && skip_hex(at + 2, end) == end;
}

/* One element of an array literal: the backslash is doubled there.  Behind it, or NULL. */
static const char *
skip_bytes_element(const char *at, const char *end)
{
	bool		quoted = at < end && *at == '"';

	if (quoted)
		at++;
	if (end - at < 3 || memcmp(at, "\\\\x", 3) != 0)
		return NULL;
	at = skip_hex(at + 3, end);
	if (at == NULL || !quoted)
		return at;
	return at < end && *at == '"' ? at + 1 : NULL;
}

/* What bytea[] writes: NULLs and bytes, of these at least one. */
static bool
is_bytes_array(const char *at, const char *end)
{
	bool		found = false;

	if (at == end || *at != '{')
		return false;
	do
	{
		at++;
		while (at < end && is_space(*at))
			at++;
		if (end - at >= 4 && pg_strncasecmp(at, "null", 4) == 0)
			at += 4;
		else if ((at = skip_bytes_element(at, end)) != NULL)
			found = true;
		else
			return false;
		while (at < end && is_space(*at))
			at++;
	} while (at < end && *at == ',');
	return found && at == end - 1 && *at == '}';
}

void
prism_text_refuse_bytes(const struct varlena *payload)
{
	const char *begin = VARDATA_ANY(payload);
	const char *end = begin + VARSIZE_ANY_EXHDR(payload);
	bool		is_array;

	if (begin == end || (*begin != '\\' && *begin != '{'))
		return;
	is_array = *begin == '{';
	if (is_array ? !is_bytes_array(begin, end) : !is_bytes(begin, end))
		return;
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			is_array ? errmsg("payload is the text form of an array of bytes") : errmsg("payload is the text form of bytes"),
			errdetail("A parameter or literal without a type is taken as text, so this text would be sent, not the bytes."),
			is_array
			? errhint("Say which type it is: $2::jsonb for JSON, $2::bytea for bytes; prism.publish_batch() takes $2::bytea[].")
			: errhint("Say which type it is: $2::bytea for the bytes, $2::jsonb for JSON; convert_to($2, 'UTF8') if the text itself is meant."));
}

struct varlena *
prism_text_to_bytes(struct varlena *payload)
{
	const char *begin = VARDATA_ANY(payload);
	const char *end = begin + VARSIZE_ANY_EXHDR(payload);

	if (!is_bytes(begin, end))
		return payload;
	return DatumGetByteaPP(DirectFunctionCall1(byteain, CStringGetDatum(text_to_cstring((text *) payload))));
}

ArrayType *
prism_text_to_array(text *literal, Oid array_type)
{
	Oid			input;
	Oid			ioparam;

	getTypeInputInfo(array_type, &input, &ioparam);
	return DatumGetArrayTypeP(OidInputFunctionCall(input, text_to_cstring(literal), ioparam, -1));
}

/* ---------- prism_internal.payload_text() ---------- */

static text *
hex_text(const char *bytes, int length)
{
	text	   *result;

	if ((Size) length > (MaxAllocSize - VARHDRSZ - 2) / 2)
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("payload is too large to be written as text"),
				errdetail("It has %d bytes.", length));
	result = palloc(VARHDRSZ + 2 + 2 * (Size) length);
	SET_VARSIZE(result, VARHDRSZ + 2 + 2 * (Size) length);
	memcpy(VARDATA(result), "\\x", 2);
	(void) hex_encode(bytes, length, VARDATA(result) + 2);
	return result;
}

/* Bytes that are text in UTF-8, in the database's encoding; NULL: they are none, or it lacks a character. */
static text *
readable_text(const char *bytes, int length)
{
	int			encoding = GetDatabaseEncoding();
	Size		room = (Size) length * MAX_CONVERSION_GROWTH + 1;
	char	   *converted;

	if (!pg_verify_mbstr(PG_UTF8, bytes, length, true))
		return NULL;
	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII)
		return cstring_to_text_with_len(bytes, length);
	if (room > MaxAllocSize)
		return NULL;
	converted = palloc(room);
	if (pg_do_encoding_conversion_buf(FindDefaultConversionProc(PG_UTF8, encoding), PG_UTF8, encoding,
									  (unsigned char *) unconstify(char *, bytes), length,
									  (unsigned char *) converted, (int) room, true) < length)
		return NULL;
	return cstring_to_text(converted);
}

Datum
prism_payload_text(PG_FUNCTION_ARGS)
{
	bytea	   *payload;
	text	   *text;
	const char *begin;
	int			length;

	/* not STRICT: the server would answer for NULL without asking for the right to call it */
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	payload = PG_GETARG_BYTEA_PP(0);
	begin = VARDATA_ANY(payload);
	length = VARSIZE_ANY_EXHDR(payload);

	/* bytes that look like the text form of others are written in it as well: each text stands for one payload */
	if (!is_bytes(begin, begin + length) && (text = readable_text(begin, length)) != NULL)
		PG_RETURN_TEXT_P(text);
	PG_RETURN_TEXT_P(hex_text(begin, length));
}
