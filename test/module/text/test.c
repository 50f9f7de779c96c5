/*-------------------------------------------------------------------------
 *
 * test.c
 *	  What a broker's text looks like when prism shows it.
 *
 * test/module/text/test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdio.h>

#include "mb/pg_wchar.h"
#include "backend/text.h"

#undef printf					/* the system's: this program links nothing of the server */

static int	tests;

static int
shows(const char *what, const char *text, bool utf8, const char *expected)
{
	char		buffer[256];
	bool		passed;

	strlcpy(buffer, text, sizeof(buffer));
	prism_text_clean(buffer, utf8);
	passed = strcmp(buffer, expected) == 0;
	printf("%s %d - %s\n", passed ? "ok" : "not ok", ++tests, what);
	if (!passed)
		printf("# shown: %s\n# right: %s\n", buffer, expected);
	return passed ? 0 : 1;
}

/* Whatever the bytes are, what is left is UTF-8 without control characters. */
static int
any_bytes(void)
{
	uint32		seed = 1;

	for (int round = 0; round < 200000; round++)
	{
		char		text[12];
		int			length = 0;

		for (; length < 11; length++)
		{
			static const unsigned char often[] = {0xC2, 0xE2, 0x80, 0x81, 0xF0, 0x9F, 0xED, 0xA0, 0xEF, 0xBB, 0xBF, 0x1B};

			seed = seed * 1664525 + 1013904223;
			text[length] = (char) ((seed >> 30) != 0 ? often[(seed >> 8) % lengthof(often)] : (seed >> 16) & 0xFF);
			if (text[length] == '\0')
				break;
		}
		text[length] = '\0';
		prism_text_clean(text, true);
		for (const unsigned char *at = (unsigned char *) text; *at != '\0'; at += pg_utf_mblen(at))
		{
			if (*at < 0x20 || *at == 0x7F || (*at == 0xC2 && at[1] < 0xA0) ||
				!pg_utf8_islegal(at, pg_utf_mblen(at)) ||
				strlen((const char *) at) < (size_t) pg_utf_mblen(at))
			{
				printf("not ok %d - any bytes: round %d\n", ++tests, round);
				return 1;
			}
		}
	}
	printf("ok %d - any bytes become printable UTF-8\n", ++tests);
	return 0;
}

int
main(void)
{
	int			failures = 0;

	failures += shows("plain text stays", "kafka-1:9092: refused (100%)", true, "kafka-1:9092: refused (100%)");
	failures += shows("UTF-8 stays", "gr\303\274n \342\202\254 \360\237\220\230", true, "gr\303\274n \342\202\254 \360\237\220\230");
	failures += shows("lines become one", "a\r\nFATAL: b\tc\v", true, "a  FATAL: b c ");
	failures += shows("escape sequences", "\033[2J\033]0;title\007\177", true, " [2J ]0;title ?");
	failures += shows("C1 control characters", "\302\2332J\302\205\302\240", true, "??2J??\302\240");
	failures += shows("marks of direction and order", "a\342\200\256b\342\201\246c\342\200\250d\357\273\277e", true, "a???b???c???d???e");
	failures += shows("dashes stay", "a\342\200\223b", true, "a\342\200\223b");
	failures += shows("broken bytes", "\377a\200b\300\257c", true, "?a?b??c");
	failures += shows("surrogates and what is beyond Unicode", "\355\240\200\364\220\200\200", true, "???????");
	failures += shows("a character that is cut off", "a\342\202", true, "a??");
	failures += shows("nothing but ASCII in another encoding", "gr\303\274n\033", false, "gr??n ");
	failures += shows("nothing", "", true, "");
	failures += any_bytes();
	printf("1..%d\n", tests);
	return failures > 0;
}
