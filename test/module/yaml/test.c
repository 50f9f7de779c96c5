/*-------------------------------------------------------------------------
 *
 * test.c
 *	  The YAML reader and the units, without a server and with sanitizers.
 *
 * Named situations and limits first, then many documents broken at random: the
 * reader answers with a tree or with an error that names a place inside the
 * document, touches no memory that is not its own, and leaves none behind (the
 * sanitizer fails the program at its end otherwise).
 *
 * test/module/yaml/test.c
 *
 *-------------------------------------------------------------------------
 */
#include "shim.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "namespace/units.h"
#include "namespace/yaml.h"

#undef printf					/* the system's: this program links nothing of the server */
#undef sprintf
#undef snprintf

#define TAP_DIAGNOSTIC() printf("# the last error: %s\n", shim_error.message)
#include "../tap.h"

#define RANDOM_DOCUMENTS 100000
#define DOCUMENT_BYTES_MAX 4096

/* The tree, or NULL and shim_error. */
static PrismYaml *
read_text(const char *text, Size bytes)
{
	PrismYaml  *volatile root = NULL;

	memset(&shim_error, 0, sizeof(shim_error));
	if (setjmp(shim_catch) == 0)
		root = prism_yaml_read(text, bytes);
	return root;
}

/* The last error was this one, at that place; 0: at none. */
static bool
failed(const char *message, int line, int column)
{
	char		place[SHIM_TEXT_BYTES] = "";

	if (line > 0)
		sprintf(place, "line %d, column %d of the configuration", line, column);
	return shim_error.sqlstate == ERRCODE_INVALID_PARAMETER_VALUE &&
		strcmp(shim_error.message, message) == 0 && strcmp(shim_error.context, place) == 0;
}

static bool
refused_with(const char *text, const char *message, int line, int column, const char *hint)
{
	bool		result = read_text(text, strlen(text)) == NULL && failed(message, line, column) && strcmp(shim_error.hint, hint) == 0;

	if (!result)
		printf("# %s, %s, hint: %s\n", shim_error.message, shim_error.context, shim_error.hint);
	shim_reset();
	return result;
}

static bool
refused(const char *text, const char *message, int line, int column)
{
	bool		result = read_text(text, strlen(text)) == NULL && failed(message, line, column);

	shim_reset();
	return result;
}

/* As many %TAG as fit would keep libyaml busy for many seconds. */
static bool
refused_tags(const char *before, const char *line_end, const char *after)
{
	Size		bytes_max = PRISM_YAML_BYTES_MAX;
	char	   *text = malloc(bytes_max + 1);
	Size		bytes = snprintf(text, bytes_max, "%s", before);
	bool		result;

	for (int i = 0; bytes + 64 < bytes_max; i++)
		bytes += snprintf(text + bytes, bytes_max - bytes, "%%TAG !%x! t%s", i, line_end);
	snprintf(text + bytes, bytes_max - bytes, "%s", after);
	result = refused(text, "configuration has too many %TAG directives", 0, 0);
	free(text);
	return result;
}

static bool
is_at(const PrismYaml *node, int line, int column)
{
	return node != NULL && node->line == line && node->column == column;
}

/* ---------- trees ---------- */

static void
test_places(void)
{
	const char *text = "name: a\n"
		"list:\n"
		"  - x\n"
		"  - {\u00fc: 'true', d: }\n"
		"text: |\n"
		"  two\n"
		"  lines\n";
	PrismYaml  *root = read_text(text, strlen(text));
	PrismYaml  *list = prism_yaml_get(root, "list");
	PrismYaml  *map = list_nth(list->items, 1);

	ok(root->kind == PRISM_YAML_MAP && is_at(root, 1, 1), "the document is a map at its beginning");
	ok(is_at(prism_yaml_get(root, "name"), 1, 7), "a value knows its line and column");
	ok(list->kind == PRISM_YAML_LIST && list_length(list->items) == 2, "a list has its items");
	ok(is_at(map, 4, 5) && is_at(((PrismYamlEntry *) linitial(map->items))->key, 4, 6), "a key in braces knows its place");
	ok(is_at(((PrismYamlEntry *) lsecond(map->items))->key, 4, 17), "columns count characters, not bytes");
	ok(prism_yaml_get(map, "\u00fc")->quoted && !prism_yaml_is_null(prism_yaml_get(map, "\u00fc")), "quotes are remembered");
	ok(prism_yaml_is_null(prism_yaml_get(map, "d")), "a key without a value is nothing");
	ok(strcmp(prism_yaml_get(root, "text")->text, "two\nlines\n") == 0, "a block of text keeps its lines");
	ok(prism_yaml_get(root, "other") == NULL, "what is not there is not found");
	shim_reset();

	root = read_text("\xef\xbb\xbf{a: 1}", 9);
	ok(root != NULL && is_at(prism_yaml_get(root, "a"), 1, 5), "a byte order mark is no column");
	shim_reset();

	root = read_text("a: 1\r\nb: 2\r\n", 12);
	ok(root != NULL && is_at(prism_yaml_get(root, "b"), 2, 4), "lines may end as on Windows");
	shim_reset();
}

/* ---------- refusals ---------- */

static void
test_refusals(void)
{
	ok(refused("", "configuration is empty", 0, 0), "nothing is refused");
	ok(refused("a: b\n\tc: d", "configuration is not valid YAML: found a tab character that violates indentation", 2, 1), "a tab is found");
	ok(refused("a: [b", "configuration is not valid YAML: did not find expected ',' or ']'", 2, 1), "an open bracket is found");
	ok(refused("a: 1\nb: \x01", "configuration is not valid YAML: control characters are not allowed", 2, 4), "a control character is found");
	ok(refused("a: 1\nb: \xff", "configuration is not valid YAML: invalid leading UTF-8 octet", 2, 4), "what is not UTF-8 is found");
	ok(refused_with("a:\n  b: >1MB # large", "configuration is not valid YAML: did not find expected comment or line break", 2, 8, "Quote it: \">1MB\"."), "a size with > misses its quotes");
	ok(refused_with("a: \xc3\xa4\nb: [>500 MiB ]", "configuration is not valid YAML: found character that cannot start any token", 2, 5, "Quote it: \">500 MiB\"."), "with a space, behind what is not ASCII");
	ok(refused_with("a: |x\n", "configuration is not valid YAML: did not find expected comment or line break", 1, 5, ""), "a block of text does not");
	ok(refused("a: &x 1", "configuration must not use anchors (\"&name\")", 1, 4), "anchors are refused");
	ok(refused("a: *x", "configuration must not use aliases (\"*name\")", 1, 4), "aliases are refused");
	ok(refused("a: !!str 1", "configuration must not use tags (\"!name\")", 1, 4), "tags are refused");
	ok(refused_tags("", "\n", "---\na: 1"), "directives of tags are counted");
	ok(refused_tags("a: 1\n...\n", "\n", "---\na: 1"), "those of a second document as well");
	ok(refused_tags("\xef\xbb\xbf", "\xc2\x85", "---\na: 1"), "whatever ends their lines");
	ok(read_text("a: 1\nb: 2\na: 3\nc: 4", 19) != NULL && failed("key \"a\" is given twice", 3, 1), "a key given twice is found, and the rest is read");
	shim_reset();
	ok(refused("a: 1\n---\nb: 2", "configuration has a second document", 2, 1), "a second document is refused");
	ok(refused("[a]: 1", "a key must be a word", 1, 1), "a list is no key");
	ok(refused("a: \"b\\0c\"", "configuration contains a zero character", 1, 4), "a zero character is found");
}

/* A document of 'head', 'count' times 'part' and 'tail'. */
static PrismYaml *
read_repeated(const char *head, const char *part, int count, const char *tail)
{
	Size		bytes = strlen(head) + strlen(part) * count + strlen(tail);
	char	   *text = palloc(bytes + 1);
	char	   *end = text + sprintf(text, "%s", head);

	for (int i = 0; i < count; i++)
		end += sprintf(end, "%s", part);
	sprintf(end, "%s", tail);
	return read_text(text, bytes);
}

static void
test_limits(void)
{
	char		keys[PRISM_YAML_KEYS_MAX * 16] = "";

	ok(read_repeated("a: 1", " ", PRISM_YAML_BYTES_MAX - 4, "") != NULL, "a document of the greatest length is read");
	shim_reset();
	ok(read_repeated("a: 1", " ", PRISM_YAML_BYTES_MAX - 3, "") == NULL, "a longer one is refused");
	shim_reset();
	ok(read_repeated("", "[", PRISM_YAML_DEPTH_MAX, "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]") != NULL, "the deepest nesting is read");
	shim_reset();
	ok(read_repeated("", "[", PRISM_YAML_DEPTH_MAX + 1, "") == NULL &&
	   failed("configuration is nested too deeply", 1, 33), "a deeper one is refused");
	shim_reset();
	ok(read_repeated("[", "a,", PRISM_YAML_VALUES_MAX - 1, "]") != NULL, "the greatest number of values is read");
	shim_reset();
	ok(read_repeated("[", "a,", PRISM_YAML_VALUES_MAX, "]") == NULL, "one more is refused");
	shim_reset();

	for (int i = 0; i < PRISM_YAML_KEYS_MAX; i++)
		sprintf(keys + strlen(keys), "k%d: 1\n", i);
	ok(read_text(keys, strlen(keys)) != NULL, "the greatest number of keys is read");
	shim_reset();
	strcat(keys, "more: 1\n");
	ok(read_text(keys, strlen(keys)) == NULL &&
	   failed("too many keys in one map", 65, 1), "one more is refused");
	shim_reset();
}

/* ---------- what is shown of a text ---------- */

static void
test_show(void)
{
	char		text[PRISM_YAML_DEPTH_MAX * 8];

	ok(strcmp(prism_yaml_show("plain"), "plain") == 0, "a text is shown as it is");
	ok(strcmp(prism_yaml_show("a\nb\x7f\x01"), "a\\x0ab\\x7f\\x01") == 0, "control characters are escaped");
	memset(text, 'x', 64);
	strcpy(text + 64, "");
	ok(strlen(prism_yaml_show(text)) == 64, "64 characters are shown");
	strcpy(text + 64, "y");
	ok(strcmp(prism_yaml_show(text) + 64, "...") == 0, "what comes after them is not");
	shim_reset();
}

/* ---------- units ---------- */

static bool
size_is(const char *text, int64 expected)
{
	int64		bytes = -1;

	return prism_parse_size(text, &bytes) ? bytes == expected : expected == -1;
}

static bool
interval_is(const char *text, int64 expected)
{
	int64		ms = -1;

	return prism_parse_interval(text, &ms) ? ms == expected : expected == -1;
}

static bool
size_or_more_is(const char *text, int64 expected, bool expected_more)
{
	int64		bytes = -1;
	bool		more = false;

	return prism_parse_size_or_more(text, &bytes, &more) ? bytes == expected && more == expected_more : expected == -1;
}

static bool
rate_is(const char *text, int64 expected, bool expected_more)
{
	int64		a_second = -1;
	bool		more = false;

	return prism_parse_rate(text, &a_second, &more) ? a_second == expected && more == expected_more : expected == -1;
}

static bool
kept_is(const char *text, int64 expected_ms)
{
	int64		ms = -2;

	return prism_parse_retention_time(text, &ms) ? ms == expected_ms : expected_ms == -2;
}

static bool
kept_bytes_are(const char *text, int64 expected)
{
	int64		bytes = -1;

	return prism_parse_retention_size(text, &bytes) ? bytes == expected : expected == -1;
}

static void
test_units(void)
{
	ok(size_is("1MB", 1000000) && size_is("1 MB", 1000000) && size_is("1M", 1000000) && size_is("3k", 3000), "decimal sizes");
	ok(size_is("1MiB", 1048576) && size_is("1Ki", 1024) && size_is("2GiB", INT64CONST(2147483648)), "binary sizes");
	ok(size_is("5GB", INT64CONST(5000000000)) && size_is("9TB", INT64CONST(9000000000000)), "sizes above 32 bits");
	ok(size_is("9223372036854775807", INT64CONST(9223372036854775807)) && size_is("9223372036854775808", -1), "the greatest number, and one more");
	ok(size_is("9223372036854775807k", -1) && size_is("99999999TB", -1), "a product that does not fit is refused");
	ok(size_is("", -1) && size_is("MB", -1) && size_is("-1", -1) && size_is("1.5MB", -1) && size_is("1 MB ", -1) && size_is("1mb", -1) && size_is("+1", -1), "what is no size is refused");
	ok(interval_is("100ms", 100) && interval_is("2", 2000) && interval_is("30days", INT64CONST(2592000000)) && interval_is("30 days", INT64CONST(2592000000)), "intervals");
	ok(size_or_more_is(">1MB", 1000000, true) && size_or_more_is("> 1 MB", 1000000, true) && size_or_more_is("1MB", 1000000, false), "more than a size");
	ok(size_or_more_is(">", -1, false) && size_or_more_is(">>1MB", -1, false) && size_or_more_is("<1MB", -1, false) && size_or_more_is(">=1MB", -1, false) && size_or_more_is(" >1MB", -1, false), "what is none is refused");
	ok(rate_is("5000", 5000, false) && rate_is("10k msgs/s", 10000, false) && rate_is("2M", 2000000, false) && rate_is("1msg/s", 1, false) && rate_is("7 messages/s", 7, false) &&
	   rate_is("7k rps", 7000, false) && rate_is("7/s", 7, false) && rate_is("9223372036854775807", INT64CONST(9223372036854775807), false), "rates");
	ok(rate_is("100k+", 100000, true) && rate_is("100k+ msgs/s", 100000, true) && rate_is("5+/s", 5, true), "at least such a rate");
	ok(rate_is("", -1, false) && rate_is("k", -1, false) && rate_is("+5", -1, false) && rate_is("-5", -1, false) && rate_is("1.5k", -1, false) && rate_is("1_000", -1, false) &&
	   rate_is("5kk", -1, false) && rate_is("5kM", -1, false) && rate_is("5K", -1, false) && rate_is("5G", -1, false) && rate_is("5 k", -1, false) && rate_is("5++", -1, false) && rate_is("5 msgs/min", -1, false) &&
	   rate_is("5 Msgs/s", -1, false) && rate_is("5 rps ", -1, false) && rate_is("5MB", -1, false) && rate_is("9223372036854775807k", -1, false) && rate_is("9223372036854775808", -1, false),
	   "what is no rate is refused");
	ok(kept_is("forever", -1) && kept_is("1s", 1000) && kept_is("90days", INT64CONST(7776000000)) && kept_is("36500 days", INT64CONST(3153600000000)), "how long messages are kept");
	ok(kept_is("999ms", -2) && kept_is("36501 days", -2) && kept_is("-1", -2) && kept_is("Forever", -2) && kept_is("10GB", -2), "what is too short, too long or no time is refused");
	ok(kept_bytes_are("1MB", 1000000) && kept_bytes_are("10GB", INT64CONST(10000000000)) && kept_bytes_are("999999", -1) && kept_bytes_are("30d", -1), "how much of them");
	ok(interval_is("1 month", -1) && interval_is("1M", -1) && interval_is("ms", -1) && interval_is("", -1), "what is no interval is refused");
}

/* ---------- documents broken at random ---------- */

static const char *const documents[] = {
	"namespaces:\n  - name: a\n    patterns:\n      - type: outbox\n        publisher: {interval: 100ms}\n    backend: {type: kafka, brokers: [k:9092, \"l:9092\"]}\n",
	"name: b # comment\nneeds:\n  consistency: strong\n  max_message_size: 1MB\ntext: |\n  some\n  lines\nfolded: >-\n  more\n",
	"{name: c, list: [1, 2, {d: 'e'}], \"quoted\\n\": ~, ? complex : value}",
	"%YAML 1.1\n---\n&anchor name: !!str *alias\n...\n",
};

/* The specification's, as they are in test/rfc. */
static char *specified[64];
static int	specified_count;

static void
read_specified(const char *folder)
{
	glob_t		found;

	if (glob(folder, GLOB_BRACE, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc && specified_count < (int) lengthof(specified); i++)
	{
		FILE	   *file = fopen(found.gl_pathv[i], "r");
		char	   *text = calloc(1, DOCUMENT_BYTES_MAX);

		if (file != NULL && fread(text, 1, DOCUMENT_BYTES_MAX - 1, file) > 0)
			specified[specified_count++] = text;
		if (file != NULL)
			fclose(file);
	}
	globfree(&found);
}

static void
test_specified(void)
{
	int			trees = 0;

	for (int i = 0; i < specified_count; i++)
	{
		trees += read_text(specified[i], strlen(specified[i])) != NULL;
		shim_reset();
	}
	ok(specified_count >= 19 && trees == specified_count, "the specification's documents are read");
}

static const char *const pieces[] = {
	"- ", ": ", ", ", "{", "}", "[", "]", "&a ", "*a ", "!x ", "!!map ", "|", ">", "\"", "'", "\t", "\n", "\n  ", "\r\n", "---\n", "...\n",
	"%TAG ! tag:x,2000:\n", "? ", "# ", "\\", "\\x41", "\\u00e9", "\\U0001F600", "\\ud800", "\xc3\xa9", "\xe2\x80\xa8", "\xef\xbb\xbf",
	"\xf0\x9f\x98\x80", "\xff", "\xc3", "\xed\xa0\x80", "\x01", "\x7f", "\x85", "~", "null", "<<: *a", "0", "a",
};

static uint64 state = 42;

static int
random_below(int limit)
{
	state = state * UINT64CONST(6364136223846793005) + UINT64CONST(1442695040888963407);
	return (int) ((state >> 33) % limit);
}

/* Replace 'removed' bytes at a random place by some text. */
static Size
splice(char *text, Size bytes, int removed, const char *inserted, Size inserted_bytes)
{
	Size		at = random_below(bytes + 1);

	removed = Min((Size) removed, bytes - at);
	if (bytes - removed + inserted_bytes > DOCUMENT_BYTES_MAX)
		return bytes;
	memmove(text + at + inserted_bytes, text + at + removed, bytes - at - removed);
	memcpy(text + at, inserted, inserted_bytes);
	return bytes - removed + inserted_bytes;
}

static Size
break_document(char *text)
{
	int			which = random_below((int) lengthof(documents) + specified_count);
	const char *document = which < (int) lengthof(documents) ? documents[which] : specified[which - lengthof(documents)];
	Size		bytes = strlen(document);

	memcpy(text, document, bytes);
	for (int i = random_below(6); i >= 0; i--)
	{
		const char *piece = pieces[random_below(lengthof(pieces))];

		if (random_below(4) == 0)
			bytes = splice(text, bytes, random_below(6), document, random_below(strlen(document)));
		else
			bytes = splice(text, bytes, random_below(3), piece, strlen(piece));
	}
	return bytes;
}

/* An error names a place, and the place is in the document or right behind it. */
static bool
is_good_error(const char *text, Size bytes)
{
	const char *place = strstr(shim_error.context, "line ");
	int			line;
	int			column;
	int			lines = 1;

	if (strcmp(shim_error.message, "configuration is empty") == 0)
		return true;
	for (Size i = 0; i < bytes; i++)
		if (text[i] == '\n' || text[i] == '\r' || (unsigned char) text[i] == 0x85 || (unsigned char) text[i] == 0xa8)
			lines++;
	return shim_error.sqlstate == ERRCODE_INVALID_PARAMETER_VALUE && place != NULL &&
		sscanf(place, "line %d, column %d", &line, &column) == 2 &&
		line >= 1 && line <= lines + 1 && column >= 1 && column <= (int) bytes + 1;
}

static void
test_random(void)
{
	char	   *text = malloc(DOCUMENT_BYTES_MAX);
	int			trees = 0;
	int			bad = 0;

	for (int i = 0; i < RANDOM_DOCUMENTS; i++)
	{
		Size		bytes = break_document(text);
		char	   *exact = memcpy(malloc(bytes), text, bytes);	/* so that one byte too far is seen */

		if (read_text(exact, bytes) != NULL)
			trees++;
		else if (!is_good_error(exact, bytes))
		{
			bad++;
			printf("# document %d of %zu bytes: %s, %s\n", i, bytes, shim_error.message, shim_error.context);
		}
		free(exact);
		shim_reset();
	}
	free(text);
	printf("# %d of %d documents were still YAML\n", trees, RANDOM_DOCUMENTS);
	ok(bad == 0, "every error names a place in the document");
	ok(trees > RANDOM_DOCUMENTS / 100 && trees < RANDOM_DOCUMENTS, "some documents are read and some refused");
}

int
main(void)
{
	read_specified("../../rfc/*.{yaml,json}");
	test_places();
	test_refusals();
	test_limits();
	test_show();
	test_units();
	test_specified();
	test_random();
	for (int i = 0; i < specified_count; i++)
		free(specified[i]);
	return end_tests();
}
