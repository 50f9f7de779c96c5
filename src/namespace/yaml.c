/*-------------------------------------------------------------------------
 *
 * yaml.c
 *	  Reads YAML with libyaml's events into a PrismYaml tree.
 *
 * libyaml allocates with malloc, and ereport(ERROR) jumps over its caller, so
 * parser and event are released by a callback of the reader's memory context.
 *
 * What is no YAML, or beyond the bounds, ends the reading: nobody can tell what
 * comes after it.  It is complained of, and there is no tree.
 *
 * src/namespace/yaml.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "namespace/complaint.h"
#include "namespace/yaml.h"
#include "namespace/yaml_encoding.h"

#include <yaml.h>

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define SHOWN_CHARACTERS 64

/* Some editors begin a file with it, and none counts it as a column. */
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

typedef struct YamlReader
{
	const char *text;			/* UTF-8 */
	Size		bytes;
	bool		open;			/* parser is initialised */
	yaml_parser_t parser;
	yaml_event_t event;			/* the current one */
	int			values;
} YamlReader;

static YamlReader *open_reader(const char *text, Size bytes);
static bool check_directives(const char *text, Size bytes);
static void release_reader(void *arg);
static PrismPlace place_of_mark(const yaml_mark_t *mark);
static bool next_event(YamlReader *reader);
static void complain_of_parser(YamlReader *reader);
static int	hint_at(const YamlReader *reader, const char *at);
static const char *text_at(const YamlReader *reader, size_t characters);
static PrismYaml *read_document(YamlReader *reader);
static PrismYaml *read_node(YamlReader *reader, int depth);
static bool check_bounds(YamlReader *reader, const PrismYaml *node, int depth);
static bool read_text(YamlReader *reader, PrismYaml *node);
static bool read_sequence(YamlReader *reader, PrismYaml *list, int depth);
static bool read_mapping(YamlReader *reader, PrismYaml *map, int depth);
static bool check_key(const PrismYaml *map, const PrismYaml *key);
static bool is_new_key(const PrismYaml *map, const PrismYaml *key);
static bool check_plain_node(YamlReader *reader);

PrismYaml *
prism_yaml_read(const char *text, Size bytes)
{
	MemoryContext caller_cxt = CurrentMemoryContext;
	MemoryContext reader_cxt;
	YamlReader *reader;
	PrismYaml  *root;

	if (bytes > PRISM_YAML_BYTES_MAX)
	{
		prism_complain(&prism_whole_document,
					   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					   errmsg("configuration is too long"),
					   errdetail("It has %zu bytes; the limit is %d.", bytes, PRISM_YAML_BYTES_MAX),
					   errhint("Apply the namespaces in several calls."));
		return NULL;
	}

	reader_cxt = AllocSetContextCreate(caller_cxt, "prism yaml reader", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(reader_cxt);
	reader = open_reader(text, bytes);
	MemoryContextSwitchTo(caller_cxt);

	root = reader != NULL ? read_document(reader) : NULL;
	MemoryContextDelete(reader_cxt);
	return root;
}

/*
 * NULL: the text is not for libyaml.
 *
 * The parser lives as long as the current memory context.  The callback is
 * registered before the parser exists, so nothing can throw in between.
 */
static YamlReader *
open_reader(const char *text, Size bytes)
{
	YamlReader *reader = palloc0(sizeof(*reader));
	MemoryContextCallback *release = palloc0(sizeof(*release));

	reader->text = prism_yaml_to_utf8(text, bytes);
	if (reader->text == NULL)
		return NULL;
	reader->bytes = reader->text == text ? bytes : strlen(reader->text);
	if (reader->bytes >= strlen(BYTE_ORDER_MARK) && memcmp(reader->text, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0)
	{
		reader->text += strlen(BYTE_ORDER_MARK);
		reader->bytes -= strlen(BYTE_ORDER_MARK);
	}
	if (!check_directives(reader->text, reader->bytes))
		return NULL;
	release->func = release_reader;
	release->arg = reader;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, release);

	if (!yaml_parser_initialize(&reader->parser))
		ereport(ERROR,
				errcode(ERRCODE_OUT_OF_MEMORY),
				errmsg("could not create a YAML parser"));
	reader->open = true;
	yaml_parser_set_encoding(&reader->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader->parser,
								 (const unsigned char *) reader->text, reader->bytes);
	return reader;
}

/*
 * libyaml compares all %TAG directives with each other before it comes back to
 * us: with as many as fit into the text that takes many seconds, in which
 * nothing can interrupt it.  One may stand wherever a line begins, and YAML
 * has more ends of lines than there are in ASCII.
 */
static bool
check_directives(const char *text, Size bytes)
{
	static const char directive[] = "%TAG";
	const Size	length = sizeof(directive) - 1;
	const char *end = text + bytes;
	int			found = 0;

	for (const char *at = text; (at = memchr(at, '%', end - at)) != NULL; at++)
	{
		if (end - at < (ptrdiff_t) length)
			break;
		if (memcmp(at, directive, length) != 0 ||
			(at > text && at[-1] >= ' ' && !IS_HIGHBIT_SET(at[-1])))
			continue;
		if (++found > PRISM_YAML_TAGS_MAX)
		{
			prism_complain(&prism_whole_document,
						   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						   errmsg("configuration has too many %%TAG directives"),
						   errdetail("The limit is %d.", PRISM_YAML_TAGS_MAX),
						   errhint("Leave them out: tags are not used here."));
			return false;
		}
	}
	return true;
}

static void
release_reader(void *arg)
{
	YamlReader *reader = arg;

	yaml_event_delete(&reader->event);
	if (reader->open)
		yaml_parser_delete(&reader->parser);
}

static PrismPlace
place_of_mark(const yaml_mark_t *mark)
{
	PrismPlace	place = {.line = (int) mark->line + 1,.column = (int) mark->column + 1};

	return place;
}

/* Move to the next event; the one before is gone, so copy what is needed first.  False: there is none. */
static bool
next_event(YamlReader *reader)
{
	CHECK_FOR_INTERRUPTS();
	yaml_event_delete(&reader->event);
	if (yaml_parser_parse(&reader->parser, &reader->event))
		return true;
	complain_of_parser(reader);
	return false;
}

/* libyaml's complaint.  Its texts are constants; for a broken character it knows only the byte. */
static void
complain_of_parser(YamlReader *reader)
{
	yaml_parser_t *parser = &reader->parser;
	const char *problem = parser->problem ? parser->problem : "unknown problem";
	PrismPlace	place = place_of_mark(&parser->problem_mark);
	const char *at = text_at(reader, parser->problem_mark.index);

	if (parser->error == YAML_MEMORY_ERROR)
		ereport(ERROR,
				errcode(ERRCODE_OUT_OF_MEMORY),
				errmsg("out of memory while reading YAML"));

	if (parser->error == YAML_READER_ERROR)
	{
		const char *broken = reader->text + Min(parser->problem_offset, reader->bytes);

		at = reader->text;
		for (place.line = place.column = 1; at < broken; at += pg_utf_mblen((const unsigned char *) at))
		{
			place.column = *at == '\n' ? 1 : place.column + 1;
			place.line += *at == '\n' ? 1 : 0;
		}
	}

	prism_complain(&place,
				   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				   errmsg("configuration is not valid YAML: %s", problem),
				   parser->context ? errdetail("The parser stopped %s.", parser->context) : 0,
				   hint_at(reader, at));
}

static const char *
text_at(const YamlReader *reader, size_t characters)
{
	const char *at = reader->text;

	while (characters-- > 0 && at < reader->text + reader->bytes)
		at += pg_utf_mblen((const unsigned char *) at);
	return at;
}

/* What people mean by what is no YAML: a tab, and ">1MB", with which a folded text would begin. */
static int
hint_at(const YamlReader *reader, const char *at)
{
	const yaml_parser_t *parser = &reader->parser;
	const char *end = reader->text + reader->bytes;
	Size		bytes = 0;

	if (at < end && *at == '\t')
		return errhint("Indent with spaces; YAML does not allow tabs there.");
	if (parser->context != NULL && strcmp(parser->context, "while scanning a block scalar") == 0)
		at = text_at(reader, parser->context_mark.index);
	if (at == end || *at != '>')
		return 0;
	while (at + bytes < end && bytes < SHOWN_CHARACTERS && strchr(",]}#\"\\\r\n\t", at[bytes]) == NULL && !IS_HIGHBIT_SET(at[bytes]))
		bytes++;
	while (at[bytes - 1] == ' ')
		bytes--;
	return errhint("Quote it: \"%s\".", prism_yaml_show(pnstrdup(at, bytes)));
}

static PrismYaml *
read_document(YamlReader *reader)
{
	PrismYaml  *root;
	PrismPlace	place;

	if (!next_event(reader) || !next_event(reader)) /* the stream's start */
		return NULL;
	if (reader->event.type == YAML_STREAM_END_EVENT)
	{
		prism_complain(&prism_whole_document,
					   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					   errmsg("configuration is empty"),
					   errhint("Write at least one namespace, such as \"namespaces: [{name: orders}]\"."));
		return NULL;
	}
	Assert(reader->event.type == YAML_DOCUMENT_START_EVENT);
	if (!next_event(reader))
		return NULL;
	root = read_node(reader, 1);
	if (root == NULL || !next_event(reader) || !next_event(reader)) /* the document's end */
		return NULL;
	if (reader->event.type == YAML_STREAM_END_EVENT)
		return root;
	place = place_of_mark(&reader->event.start_mark);
	prism_complain(&place,
				   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				   errmsg("configuration has a second document"),
				   errhint("Put all namespaces into one list \"namespaces\"."));
	return NULL;
}

/* The node that the current event begins; the reader is left at the node's last event.  NULL: there is no node. */
static PrismYaml *
read_node(YamlReader *reader, int depth)
{
	yaml_event_t *event = &reader->event;
	PrismYaml  *node = palloc0(sizeof(*node));

	node->line = place_of_mark(&event->start_mark).line;
	node->column = place_of_mark(&event->start_mark).column;
	if (!check_bounds(reader, node, depth) || !check_plain_node(reader))
		return NULL;

	switch (event->type)
	{
		case YAML_SCALAR_EVENT:
			return read_text(reader, node) ? node : NULL;
		case YAML_SEQUENCE_START_EVENT:
			node->kind = PRISM_YAML_LIST;
			return read_sequence(reader, node, depth) ? node : NULL;
		case YAML_MAPPING_START_EVENT:
			node->kind = PRISM_YAML_MAP;
			return read_mapping(reader, node, depth) ? node : NULL;
		default:
			elog(ERROR, "unexpected YAML event %d", (int) event->type);
	}
}

static bool
check_bounds(YamlReader *reader, const PrismYaml *node, int depth)
{
	if (depth > PRISM_YAML_DEPTH_MAX)
	{
		prism_complain(node,
					   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					   errmsg("configuration is nested too deeply"),
					   errdetail("The limit is %d levels.", PRISM_YAML_DEPTH_MAX));
		return false;
	}
	if (++reader->values > PRISM_YAML_VALUES_MAX)
	{
		prism_complain(node,
					   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					   errmsg("configuration has too many values"),
					   errdetail("The limit is %d.", PRISM_YAML_VALUES_MAX));
		return false;
	}
	return true;
}

static bool
read_text(YamlReader *reader, PrismYaml *node)
{
	const char *text = (char *) reader->event.data.scalar.value;
	size_t		bytes = reader->event.data.scalar.length;

	node->kind = PRISM_YAML_SCALAR;
	node->quoted = reader->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	if (strlen(text) != bytes)
	{
		prism_complain(node,
					   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					   errmsg("configuration contains a zero character"));
		return false;
	}
	node->text = prism_yaml_from_utf8(text, bytes, node);
	return node->text != NULL;
}

static bool
read_sequence(YamlReader *reader, PrismYaml *list, int depth)
{
	while (next_event(reader))
	{
		PrismYaml  *item;

		if (reader->event.type == YAML_SEQUENCE_END_EVENT)
			return true;
		item = read_node(reader, depth + 1);
		if (item == NULL)
			return false;
		list->faulty |= item->faulty;
		list->items = lappend(list->items, item);
	}
	return false;
}

static bool
read_mapping(YamlReader *reader, PrismYaml *map, int depth)
{
	while (next_event(reader))
	{
		PrismYamlEntry *entry = palloc0(sizeof(*entry));

		if (reader->event.type == YAML_MAPPING_END_EVENT)
			return true;
		entry->key = read_node(reader, depth + 1);
		if (entry->key == NULL || !check_key(map, entry->key) || !next_event(reader))
			return false;
		entry->value = read_node(reader, depth + 1);
		if (entry->value == NULL)
			return false;
		map->faulty |= entry->value->faulty;
		if (is_new_key(map, entry->key))
			map->items = lappend(map->items, entry);
		else
			map->faulty = true;
	}
	return false;
}

static bool
check_key(const PrismYaml *map, const PrismYaml *key)
{
	if (key->kind != PRISM_YAML_SCALAR)
	{
		prism_complain(key,
					   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					   errmsg("a key must be a word"));
		return false;
	}
	if (list_length(map->items) >= PRISM_YAML_KEYS_MAX)
	{
		prism_complain(key,
					   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					   errmsg("too many keys in one map"),
					   errdetail("The limit is %d.", PRISM_YAML_KEYS_MAX));
		return false;
	}
	return true;
}

/* What is given twice does not keep the rest of the document from being read. */
static bool
is_new_key(const PrismYaml *map, const PrismYaml *key)
{
	const PrismYaml *twin = prism_yaml_get(map, key->text);

	if (twin == NULL)
		return true;
	prism_complain(key,
				   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				   errmsg("key \"%s\" is given twice", prism_yaml_show(key->text)),
				   errdetail("The first value is " PRISM_AT ".", prism_at(twin)));
	return false;
}

/* Anchors, aliases and tags make a document say something else than what is seen. */
static bool
check_plain_node(YamlReader *reader)
{
	yaml_event_t *event = &reader->event;
	PrismPlace	place = place_of_mark(&event->start_mark);
	bool		anchor = false;
	bool		tag = false;

	if (event->type == YAML_SCALAR_EVENT)
	{
		anchor = event->data.scalar.anchor != NULL;
		tag = event->data.scalar.tag != NULL;
	}
	else if (event->type == YAML_SEQUENCE_START_EVENT)
	{
		anchor = event->data.sequence_start.anchor != NULL;
		tag = event->data.sequence_start.tag != NULL;
	}
	else if (event->type == YAML_MAPPING_START_EVENT)
	{
		anchor = event->data.mapping_start.anchor != NULL;
		tag = event->data.mapping_start.tag != NULL;
	}
	if (!anchor && !tag && event->type != YAML_ALIAS_EVENT)
		return true;
	prism_complain(&place,
				   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				   anchor ? errmsg("configuration must not use anchors (\"&name\")") :
				   tag ? errmsg("configuration must not use tags (\"!name\")") :
				   errmsg("configuration must not use aliases (\"*name\")"),
				   errhint("Write the value out, and quote text that begins with *, & or !."));
	return false;
}

PrismYaml *
prism_yaml_get(const PrismYaml *map, const char *key)
{
	ListCell   *cell;

	Assert(map->kind == PRISM_YAML_MAP);
	foreach(cell, map->items)
	{
		PrismYamlEntry *entry = lfirst(cell);

		if (strcmp(entry->key->text, key) == 0)
			return entry->value;
	}
	return NULL;
}

bool
prism_yaml_is_null(const PrismYaml *node)
{
	return node->kind == PRISM_YAML_SCALAR && !node->quoted &&
		(node->text[0] == '\0' || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
}

char *
prism_yaml_show(const char *text)
{
	StringInfoData shown;
	int			characters = 0;

	initStringInfo(&shown);
	for (const char *at = text; *at != '\0'; at += pg_mblen(at))
	{
		if (++characters > SHOWN_CHARACTERS)
		{
			appendStringInfoString(&shown, "...");
			break;
		}
		if ((unsigned char) *at < ' ' || *at == 0x7f)
			appendStringInfo(&shown, "\\x%02x", (unsigned char) *at);
		else
			appendBinaryStringInfo(&shown, at, pg_mblen(at));
	}
	return shown.data;
}
