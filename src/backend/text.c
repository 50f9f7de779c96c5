/*-------------------------------------------------------------------------
 *
 * text.c
 *	  Words of the other side, before anybody here reads them.
 *
 * A broker, or who speaks in its place, writes what it likes into an error: it
 * ends in prism.sinks, in headers of dead letters, in the server log and on an
 * operator's terminal.
 *
 * src/backend/text.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "backend/text.h"

#include "mb/pg_wchar.h"

/* Moves the cursor, hides or reorders what is written: C1 controls, separators of lines, marks of direction. */
static bool
is_unprintable(const unsigned char *at)
{
	if (at[0] == 0xC2)
		return at[1] < 0xA0;	/* U+0080 to U+009F */
	if (at[0] == 0xE2 && at[1] == 0x80)
		return (at[2] >= 0x8B && at[2] <= 0x8F) || (at[2] >= 0xA8 && at[2] <= 0xAE);
	if (at[0] == 0xE2 && at[1] == 0x81)
		return at[2] >= 0xA0 && at[2] <= 0xAF;
	return at[0] == 0xEF && at[1] == 0xBB && at[2] == 0xBF;
}

/* The bytes of the well-formed, printable character at the position; 0: it is none. */
static int
character_bytes(const unsigned char *at, bool utf8)
{
	int			bytes;

	if (*at < 0x80)
		return *at >= 0x20 && *at != 0x7F ? 1 : 0;
	bytes = utf8 ? pg_utf_mblen(at) : 1;
	if (bytes < 2)
		return 0;
	for (int i = 1; i < bytes; i++)
		if (at[i] == '\0')
			return 0;			/* cut off */
	return pg_utf8_islegal(at, bytes) && !is_unprintable(at) ? bytes : 0;
}

void
prism_text_clean(char *text, bool utf8)
{
	unsigned char *at = (unsigned char *) text;

	while (*at != '\0')
	{
		int			bytes = character_bytes(at, utf8);

		if (bytes == 0)
		{
			*at = *at < 0x20 ? ' ' : '?';
			bytes = 1;
		}
		at += bytes;
	}
}
