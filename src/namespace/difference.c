/*-------------------------------------------------------------------------
 *
 * difference.c
 *	  What a configuration changes of the one before, key by key.
 *
 * Both are taken apart into paths and values, as a person would write them in
 * YAML, and compared.  The table says what each stored key is in the document,
 * and when a change of it holds.  What is stored may have been edited: whatever
 * it is, it differs from what is wanted.
 *
 * src/namespace/difference.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "namespace/difference.h"
#include "namespace/units.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

typedef char *(*WriteValue) (int64 value);

typedef struct StoredKey
{
	const char *stored;			/* its path in the normalised form */
	const char *path;			/* in the document */
	WriteValue	write;			/* NULL: as it is */
	PrismChangeMode mode;
	const char *reason;			/* why not online */
	Size		place;			/* in PrismNamespaceKeys; 0: the namespace's */
} StoredKey;

#define KEY(member) offsetof(PrismNamespaceKeys, member)
#define CLAIM_CHECK "patterns.claim-check."
#define WHERE_THEY_ARE "payloads that are there stay where they are, and are read from there"

/* What is not here keeps its path, holds at once, and is at the namespace's place. */
static const StoredKey stored_keys[] = {
	{"client_api", "client_api",.place = KEY(client_api)},
	{"topic", "topic",.place = KEY(backend.topic)},
	{"patterns", "patterns",.mode = PRISM_CHANGE_NEXT,.reason = "each message is read as it was published",.place = KEY(patterns)},
	{"patterns.outbox.publisher.interval_ms", "patterns.outbox.publisher.interval",.write = prism_write_interval},
	{CLAIM_CHECK "threshold", CLAIM_CHECK "threshold",.write = prism_write_size,.mode = PRISM_CHANGE_NEXT,.reason = WHERE_THEY_ARE},
	{CLAIM_CHECK "storage.backend", CLAIM_CHECK "storage.backend",.mode = PRISM_CHANGE_NEXT,.reason = WHERE_THEY_ARE},
	{CLAIM_CHECK "storage.server", CLAIM_CHECK "storage.server",.mode = PRISM_CHANGE_NEXT,.reason = WHERE_THEY_ARE},
	{CLAIM_CHECK "storage.bucket", CLAIM_CHECK "storage.bucket",.mode = PRISM_CHANGE_NEXT,.reason = WHERE_THEY_ARE},
	{CLAIM_CHECK "storage.prefix", CLAIM_CHECK "storage.prefix",.mode = PRISM_CHANGE_NEXT,.reason = WHERE_THEY_ARE},
	{CLAIM_CHECK "compression", CLAIM_CHECK "compression",.mode = PRISM_CHANGE_NEXT,.reason = "each payload says how it is packed"},
	{CLAIM_CHECK "cleanup.ttl_ms", CLAIM_CHECK "cleanup.ttl",.write = prism_write_interval},
	{CLAIM_CHECK "max_pending", CLAIM_CHECK "max_pending",.write = prism_write_size},
	{"backend.type", "backend.type",.place = KEY(backend.type)},
	{"backend.server", "backend.server",.place = KEY(backend.server)},
	{"backend.brokers", "backend.brokers",.place = KEY(backend.brokers)},
	{"backend.topic", "backend.topic",.place = KEY(backend.topic)},
	{"backend.partitions", "backend.partitions",.place = KEY(backend.partitions)},
	{"backend.replication", "backend.replication",.place = KEY(backend.replication)},
	{"consistency", "needs.consistency",.place = KEY(needs.consistency)},
	{"delivery_guarantee", "needs.delivery_guarantee",.mode = PRISM_CHANGE_DRAIN,
	.reason = "the forwarder settles what is under way first, and goes on at the same position",.place = KEY(needs.delivery_guarantee)},
	{"max_message_size", "needs.max_message_size",.write = prism_write_size,.mode = PRISM_CHANGE_NEXT,
	.reason = "what is in the log stays as it is",.place = KEY(needs.max_message_size)},
	{"durability", "needs.durability",.place = KEY(needs.durability)},
	{"replay", "needs.replay",.place = KEY(needs.replay)},
	{"ordered", "needs.ordered",.place = KEY(needs.ordered)},
	{"retention", "needs.retention.time",.place = KEY(needs.retention)},
	{"retention_ms", "needs.retention.time",.write = prism_write_interval,.place = KEY(needs.retention)},
	{"retention_bytes", "needs.retention.size",.write = prism_write_size,.place = KEY(needs.retention)},
	{"retain", "needs.retain",.place = KEY(needs.retain)},
	{"max_backlog", "needs.max_backlog",.place = KEY(needs.max_backlog)},
	{"on_full", "needs.on_full",.place = KEY(needs.on_full)},
	{"trace_patterns", "observability.trace_patterns",.place = KEY(observability.trace_patterns)},
	{"pattern_metrics", "observability.pattern_metrics",.place = KEY(observability.pattern_metrics)},
};

/* A path with its value. */
typedef struct Entry
{
	const char *path;
	const StoredKey *key;		/* NULL: not in the table */
	char	   *text;
} Entry;

static void take_apart(List **entries, const char *path, JsonbValue *value);
static void add_entry(List **entries, const char *path, char *text);

const char *
prism_change_mode_name(PrismChangeMode mode)
{
	static const char *const names[] = {
		[PRISM_CHANGE_ONLINE] = "online",
		[PRISM_CHANGE_NEXT] = "next",
		[PRISM_CHANGE_DRAIN] = "drain",
		[PRISM_CHANGE_REFUSED] = "refused"
	};

	return names[mode];
}

/* ---------- taking a configuration apart ---------- */

static const StoredKey *
find_stored_key(const char *stored)
{
	for (int i = 0; i < (int) lengthof(stored_keys); i++)
		if (strcmp(stored_keys[i].stored, stored) == 0)
			return &stored_keys[i];
	return NULL;
}

static void
add_entry(List **entries, const char *path, char *text)
{
	Entry	   *entry = palloc_object(Entry);
	int64		number;

	entry->key = find_stored_key(path);
	entry->path = entry->key != NULL ? entry->key->path : path;
	entry->text = text;
	if (entry->key != NULL && entry->key->write != NULL && prism_parse_integer(text, &number))
		entry->text = entry->key->write(number);
	*entries = lappend(*entries, entry);
}

static char *
container_text(JsonbContainer *container)
{
	return JsonbToCString(NULL, container, 0);
}

static char *
string_text(const JsonbValue *value)
{
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/* A member of an object, when that is what it is, and the member a text; else NULL. */
static char *
text_member(const JsonbValue *object, const char *name)
{
	JsonbValue *member;

	if (object->type != jbvBinary || !JsonContainerIsObject(object->val.binary.data))
		return NULL;
	member = getKeyJsonValueFromContainer(object->val.binary.data, name, (int) strlen(name), NULL);
	return member != NULL && member->type == jbvString ? string_text(member) : NULL;
}

static void
take_members(List **entries, const char *path, JsonbContainer *object, const char *but)
{
	JsonbIterator *iterator = JsonbIteratorInit(object);
	JsonbValue	name;
	JsonbValue	value;

	(void) JsonbIteratorNext(&iterator, &value, true);
	while (JsonbIteratorNext(&iterator, &name, true) == WJB_KEY)
	{
		char	   *text = string_text(&name);

		(void) JsonbIteratorNext(&iterator, &value, true);
		if (but == NULL || strcmp(text, but) != 0)
			take_apart(entries, path != NULL ? psprintf("%s.%s", path, text) : text, &value);
	}
}

/* The names of a list's maps, each another one; NIL: it is not such a list. */
static List *
names_in(JsonbContainer *array, const char *name)
{
	List	   *names = NIL;

	for (uint32 i = 0; i < JsonContainerSize(array); i++)
	{
		char	   *text = text_member(getIthJsonbValueFromContainer(array, i), name);
		ListCell   *cell;

		if (text == NULL)
			return NIL;
		foreach(cell, names)
			if (strcmp(lfirst(cell), text) == 0)
				return NIL;
		names = lappend(names, text);
	}
	return names;
}

/* The chain as one value, and the options of each link. */
static bool
take_patterns(List **entries, JsonbContainer *array)
{
	List	   *names = names_in(array, "type");
	StringInfoData chain;
	ListCell   *cell;

	if (names == NIL)
		return JsonContainerSize(array) == 0;
	initStringInfo(&chain);
	foreach(cell, names)
	{
		JsonbValue *pattern = getIthJsonbValueFromContainer(array, foreach_current_index(cell));

		appendStringInfo(&chain, "%s%s", chain.len > 0 ? ", " : "", (char *) lfirst(cell));
		take_members(entries, psprintf("patterns.%s", (char *) lfirst(cell)), pattern->val.binary.data, "type");
	}
	add_entry(entries, "patterns", chain.data);
	return true;
}

static char *
number_text(const JsonbValue *value)
{
	return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
}

/* What no time can be is shown as it stands. */
static char *
microseconds_text(const JsonbValue *value)
{
	char	   *text = value->type == jbvNumeric ? number_text(value) : pstrdup("none");
	int64		number;

	return prism_parse_integer(text, &number) ? prism_write_interval(number / 1000) : text;
}

/* An option of a group; those in microseconds have names that say so. */
static void
append_option(StringInfo text, const JsonbValue *name, const JsonbValue *value)
{
	int			bytes = name->val.string.len;
	bool		time = bytes > 3 && memcmp(name->val.string.val + bytes - 3, "_us", 3) == 0;

	appendStringInfo(text, "%s%.*s: ", text->len > 1 ? ", " : "", time ? bytes - 3 : bytes, name->val.string.val);
	if (time && value->type == jbvNumeric)
		appendStringInfoString(text, microseconds_text(value));
	else if (time && value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data))
	{
		for (uint32 i = 0; i < JsonContainerSize(value->val.binary.data); i++)
			appendStringInfo(text, "%s%s", i > 0 ? ", " : "[",
							 microseconds_text(getIthJsonbValueFromContainer(value->val.binary.data, i)));
		appendStringInfoChar(text, ']');
	}
	else if (value->type == jbvString)
		appendBinaryStringInfo(text, value->val.string.val, value->val.string.len);
	else
		appendStringInfoString(text, value->type == jbvNumeric ? number_text(value) : "none");
}

/* "{ordering: none, lease: 2min}" */
static char *
options_text(const JsonbValue *options)
{
	StringInfoData text;
	JsonbIterator *iterator;
	JsonbValue	name;
	JsonbValue	value;

	initStringInfo(&text);
	appendStringInfoChar(&text, '{');
	if (options != NULL && options->type == jbvBinary && JsonContainerIsObject(options->val.binary.data))
	{
		iterator = JsonbIteratorInit(options->val.binary.data);
		(void) JsonbIteratorNext(&iterator, &value, true);
		while (JsonbIteratorNext(&iterator, &name, true) == WJB_KEY)
		{
			(void) JsonbIteratorNext(&iterator, &value, true);
			append_option(&text, &name, &value);
		}
	}
	appendStringInfoChar(&text, '}');
	return text.data;
}

/* A group by its name; all of its options are one value. */
static bool
take_consumers(List **entries, JsonbContainer *array)
{
	List	   *names = names_in(array, "group");
	ListCell   *cell;

	foreach(cell, names)
	{
		JsonbValue *consumer = getIthJsonbValueFromContainer(array, foreach_current_index(cell));
		JsonbValue *options = getKeyJsonValueFromContainer(consumer->val.binary.data, "options", strlen("options"), NULL);

		add_entry(entries, psprintf("consumers.%s", (char *) lfirst(cell)), options_text(options));
	}
	return names != NIL || JsonContainerSize(array) == 0;
}

static void
take_container(List **entries, const char *path, JsonbContainer *container)
{
	if (JsonContainerIsObject(container))
		take_members(entries, path, container, NULL);
	else if (!((strcmp(path, "patterns") == 0 && take_patterns(entries, container)) ||
			   (strcmp(path, "consumers") == 0 && take_consumers(entries, container))))
		add_entry(entries, path, container_text(container));
}

static void
take_apart(List **entries, const char *path, JsonbValue *value)
{
	switch (value->type)
	{
		case jbvBinary:
			take_container(entries, path, value->val.binary.data);
			break;
		case jbvString:
			add_entry(entries, path, string_text(value));
			break;
		case jbvNumeric:
			add_entry(entries, path, number_text(value));
			break;
		case jbvBool:
			add_entry(entries, path, pstrdup(value->val.boolean ? "true" : "false"));
			break;
		default:
			add_entry(entries, path, pstrdup("null"));
			break;
	}
}

static int
compare_entries(const ListCell *left, const ListCell *right)
{
	return strcmp(((const Entry *) lfirst(left))->path, ((const Entry *) lfirst(right))->path);
}

/* List of Entry, by path. */
static List *
entries_of(const char *config)
{
	Jsonb	   *jsonb = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(config)));
	List	   *entries = NIL;

	if (JB_ROOT_IS_OBJECT(jsonb))
		take_members(&entries, NULL, &jsonb->root, NULL);
	list_sort(entries, compare_entries);
	return entries;
}

/* ---------- comparing ---------- */

/* Where the document speaks of it. */
static const PrismPlace *
place_of(const char *path, const StoredKey *key, const PrismNamespace *wanted)
{
	const PrismNamespaceKeys *given = wanted->given;
	ListCell   *cell;

	if (key != NULL && key->place != 0)
	{
		const PrismPlace *place = (const PrismPlace *) ((const char *) given + key->place);

		if (place->line > 0)
			return place;
	}
	foreach(cell, wanted->patterns)
	{
		const PrismChosenPattern *chosen = lfirst(cell);
		Size		bytes = strlen(chosen->pattern->name);

		if (strncmp(path, "patterns.", 9) == 0 && strncmp(path + 9, chosen->pattern->name, bytes) == 0 && path[9 + bytes] == '.')
			return chosen->place;
	}
	foreach(cell, given->consumers.list)
	{
		const PrismConsumerKeys *consumer = lfirst(cell);

		if (strncmp(path, "consumers.", 10) == 0 && strcmp(path + 10, consumer->group.text) == 0)
			return &consumer->group.place;
	}
	return strncmp(path, "backend.", 8) == 0 ? wanted->backend_place : &given->name.place;
}

static PrismDifference *
difference_of(const Entry *before, const Entry *after, const PrismNamespace *wanted)
{
	const Entry *entry = after != NULL ? after : before;
	PrismDifference *difference = palloc0_object(PrismDifference);

	difference->path = entry->path;
	difference->before = before != NULL ? before->text : NULL;
	difference->after = after != NULL ? after->text : NULL;
	if (entry->key != NULL)
	{
		difference->mode = entry->key->mode;
		difference->reason = entry->key->reason;
	}
	else if (after == NULL && strncmp(entry->path, "consumers.", 10) == 0)
		difference->reason = "the group stays as it is; prism.drop_group() drops it";
	difference->place = place_of(entry->path, entry->key, wanted);
	return difference;
}

List *
prism_namespace_differences(const char *stored, const char *config, const PrismNamespace *wanted)
{
	List	   *differences = NIL;
	List	   *before;
	List	   *after;
	int			b = 0;
	int			a = 0;

	if (strcmp(stored, config) == 0)
		return NIL;
	before = entries_of(stored);
	after = entries_of(config);
	while (b < list_length(before) || a < list_length(after))
	{
		Entry	   *old = b < list_length(before) ? list_nth(before, b) : NULL;
		Entry	   *new = a < list_length(after) ? list_nth(after, a) : NULL;
		int			order = old == NULL ? 1 : new == NULL ? -1 : strcmp(old->path, new->path);

		b += order <= 0;
		a += order >= 0;
		if (order != 0 || strcmp(old->text, new->text) != 0)
			differences = lappend(differences, difference_of(order <= 0 ? old : NULL, order >= 0 ? new : NULL, wanted));
	}
	if (differences == NIL)
	{
		Entry		whole = {.path = "configuration",.text = pstrdup("as stored")};
		Entry		written = {.path = "configuration",.text = pstrdup("as prism writes it")};

		differences = list_make1(difference_of(&whole, &written, wanted));
	}
	return differences;
}
