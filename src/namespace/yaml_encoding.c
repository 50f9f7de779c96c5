/*-------------------------------------------------------------------------
 *
 * yaml_encoding.c
 *	  A configuration between the database's encoding and YAML's, UTF-8.
 *
 * The server's own conversions throw; here a character that the other encoding
 * lacks is complained of, so that prism.check() has a row for it.
 *
 * src/namespace/yaml_encoding.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "namespace/complaint.h"
#include "namespace/yaml_encoding.h"

#include "catalog/namespace.h"
#include "common/string.h"
#include "mb/pg_wchar.h"

static char *convert(const char *text, Size bytes, int from, int to, Size *good);
static PrismPlace place_of_byte(const char *text, Size bytes);

/* What is no UTF-8 in a database without an encoding, libyaml finds. */
char *
prism_yaml_to_utf8(const char *text, Size bytes)
{
	int			encoding = GetDatabaseEncoding();
	PrismPlace	place;
	char	   *converted;
	Size		good;

	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII)
		return unconstify(char *, text);
	converted = convert(text, bytes, encoding, PG_UTF8, &good);
	if (good == bytes)
		return converted;
	place = place_of_byte(text, good);
	prism_complain(&place,
				   errcode(ERRCODE_UNTRANSLATABLE_CHARACTER),
				   errmsg("configuration has a character that is not in UTF-8"),
				   errdetail("The database's encoding is %s.", pg_encoding_to_char(encoding)));
	return NULL;
}

char *
prism_yaml_from_utf8(const char *text, Size bytes, const PrismYaml *node)
{
	int			encoding = GetDatabaseEncoding();
	char	   *converted;
	Size		good;

	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII || pg_is_ascii(text))
		return pnstrdup(text, bytes);
	converted = convert(text, bytes, PG_UTF8, encoding, &good);
	if (good == bytes)
		return converted;
	prism_complain(node,
				   errcode(ERRCODE_UNTRANSLATABLE_CHARACTER),
				   errmsg("configuration has a character that is not in the database's encoding"),
				   errdetail("It is U+%04X; the encoding is %s.",
							 utf8_to_unicode((const unsigned char *) text + good), pg_encoding_to_char(encoding)));
	return NULL;
}

/* 'good' is how many bytes could be converted. */
static char *
convert(const char *text, Size bytes, int from, int to, Size *good)
{
	Oid			conversion = FindDefaultConversionProc(from, to);
	Size		room = bytes * MAX_CONVERSION_GROWTH + 1;
	unsigned char *converted = palloc(room);

	converted[0] = '\0';
	*good = 0;
	if (OidIsValid(conversion))
		*good = pg_do_encoding_conversion_buf(conversion, from, to,
											  (unsigned char *) unconstify(char *, text), (int) bytes,
											  converted, (int) room, true);
	return (char *) converted;
}

static PrismPlace
place_of_byte(const char *text, Size bytes)
{
	PrismPlace	place = {1, 1};

	for (const char *at = text; at < text + bytes; at += pg_mblen(at))
	{
		place.column = *at == '\n' ? 1 : place.column + 1;
		place.line += *at == '\n' ? 1 : 0;
	}
	return place;
}
