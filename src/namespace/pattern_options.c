/*-------------------------------------------------------------------------
 *
 * pattern_options.c
 *	  The options of patterns: what they mean together, and how they are stored.
 *
 * Whatever a pattern may be given is kept, by the table of its keys, also of one
 * that is not built: whoever builds it finds its options where they are stored.
 *
 * src/namespace/pattern_options.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "namespace/complaint.h"
#include "namespace/spec.h"

#include "utils/json.h"

static void check_storage(const PrismStorageKeys *storage);
static bool has_only(const PrismValue *value, const char *allowed, const char *rule);
static void check_field(const PrismValue *field);
static void check_pending(const PrismPatternKeys *given);
static void check_template(const PrismValue *value);
static void read_destination(PrismPatternKeys *given);
static void check_listeners(const List *listeners);
static void add_values(StringInfo json, const PrismKey *keys, const void *values);
static void add_value(StringInfo json, const PrismKey *key, const void *value);
static void add_listed(StringInfo json, const PrismKey *key, const PrismValue *value);
static void add_scalar(StringInfo json, const PrismKey *key, const PrismValue *value);
static bool is_stored(const PrismKey *key, const void *value);

/* ---------- all patterns in one list ---------- */

/* Those that are maps of the namespace stand at the end, in the order of the chain: a cache is kept right by what captures changes. */
void
prism_patterns_gather(PrismNamespaceKeys *given)
{
	ListCell   *cell;

	if (prism_is_given(&given->cache))
		given->patterns.list = lappend(given->patterns.list, &given->cache);
	if (prism_is_given(&given->cdc))
		given->patterns.list = lappend(given->patterns.list, &given->cdc);
	foreach(cell, given->patterns.list)
		read_destination(lfirst(cell));
}

/* "destination" says in one word what "sink" or an entry of "consumers" says: it is put there. */
static void
read_destination(PrismPatternKeys *given)
{
	const PrismValue *destination = &given->destination;
	PrismListenerKeys *listener;

	if (!prism_is_given(destination))
		return;
	if (!prism_value_is(destination, PRISM_LISTENER_CACHE))
	{
		if (prism_is_given(&given->sink.backend))
			prism_complain(&destination->place,
						   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						   errmsg("\"destination\" and \"sink\" must not be given both"),
						   errdetail("Both say where changes go; the sink is " PRISM_AT ".", prism_at(&given->sink.backend.place)),
						   errhint("Remove one of the two."));
		given->sink.backend = *destination;
		return;
	}
	listener = palloc0(sizeof(*listener));
	listener->place = destination->place;
	listener->type = *destination;
	given->consumers.list = lappend(given->consumers.list, listener);
}

/* ---------- what options mean together ---------- */

void
prism_pattern_options_check(const PrismPatternKeys *given)
{
	check_storage(&given->storage);
	prism_cleanup_check(&given->cleanup);
	check_field(&given->metadata_field);
	check_pending(given);
	check_template(&given->key_pattern);
	if (prism_is_given(&given->source.table) && prism_is_given(&given->tables))
		prism_complain(&given->tables.place,
					   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					   errmsg("\"tables\" and the table of \"source\" must not be given both"),
					   errdetail("The table is " PRISM_AT ".", prism_at(&given->source.table.place)),
					   errhint("Name all of them in \"tables\"."));
	check_listeners(given->consumers.list);
}

/* Only a store that is reached through a server has those; what says nothing is not ignored. */
static void
check_storage(const PrismStorageKeys *storage)
{
	const PrismValue *of_servers[] = {&storage->server, &storage->bucket, &storage->prefix};
	const PrismBackendInfo *info = prism_is_given(&storage->backend) ? prism_backend_info(storage->backend.text) : NULL;

	for (int i = 0; i < (int) lengthof(of_servers); i++)
		if (info != NULL && info->wrapper == NULL && prism_is_given(of_servers[i]))
			prism_complain(&of_servers[i]->place,
						   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						   errmsg("storage \"%s\" has neither a server nor a bucket", info->name),
						   errdetail("The payloads stay in tables of this database."),
						   errhint("Leave \"server\", \"bucket\" and \"prefix\" out, or name another storage."));
	if (has_only(&storage->bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-", "lower-case letters, digits, \".\" and \"-\"") && strlen(storage->bucket.text) < 3)
		prism_complain(&storage->bucket.place,
					   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					   errmsg("\"%s\" is no bucket", prism_yaml_show(storage->bucket.text)),
					   errdetail("Its name must have 3 to 63 characters."));
	if (has_only(&storage->prefix, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_.=-", "letters, digits, \"/\", \"_\", \".\", \"=\" and \"-\"") &&
		(storage->prefix.text[0] == '/' || strstr(storage->prefix.text, "..") != NULL))
		prism_complain(&storage->prefix.place,
					   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					   errmsg("\"%s\" is no prefix", prism_yaml_show(storage->prefix.text)),
					   errdetail("It must not begin with \"/\", nor have \"..\" in it."));
}

/* It is given, and may be looked at further. */
static bool
has_only(const PrismValue *value, const char *allowed, const char *rule)
{
	if (!prism_is_given(value))
		return false;
	if (value->text[strspn(value->text, allowed)] == '\0')
		return true;
	prism_complain(&value->place,
				   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				   errmsg("\"%s\" has characters that are not allowed there", prism_yaml_show(value->text)),
				   errdetail("Allowed are %s.", rule));
	return false;
}

void
prism_cleanup_check(const PrismCleanupKeys *cleanup)
{
	if (prism_is_given(&cleanup->ttl) &&
		(prism_value_is(&cleanup->strategy, "never") || prism_value_is(&cleanup->strategy, "retention")))
		prism_complain(&cleanup->ttl.place,
					   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					   errmsg("\"ttl\" has no meaning with \"strategy: %s\"", cleanup->strategy.text),
					   errhint("Leave it out, or give another \"strategy\" that it is for: on_consume, ttl."));
}

/* It would stand in the way of another header of the same message. */
static void
check_field(const PrismValue *field)
{
	static const char *const others[] = {"id", "content-type", "content-encoding", "payload_size", "payload_sha256", "claim_check_uri"};

	if (!has_only(field, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-", "letters, digits, \"_\", \".\" and \"-\""))
		return;
	for (int i = 0; i < (int) lengthof(others); i++)
		if (pg_strcasecmp(field->text, others[i]) == 0)
			prism_complain(&field->place,
						   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						   errmsg("\"metadata_field\" must not be \"%s\"", field->text),
						   errdetail("That header says something else of such a message."));
}

static void
check_pending(const PrismPatternKeys *given)
{
	if (prism_is_given(&given->on_full) && !prism_is_given(&given->max_pending))
		prism_complain(&given->on_full.place,
					   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					   errmsg("\"on_full\" has no meaning without \"max_pending\""),
					   errhint("Add \"max_pending: ...\", or leave it out."));
}

/* Text with parts of a row in braces: at least one, or all rows would have one name.  A brace itself is written twice. */
static void
check_template(const PrismValue *value)
{
	int			parts = 0;
	const char *at = prism_is_given(value) ? value->text : NULL;

	while (at != NULL && *at != '\0')
	{
		Size		length;

		if (*at != '{' && *at != '}')
		{
			at++;
			continue;
		}
		if (at[1] == *at)
		{
			at += 2;
			continue;
		}
		length = *at == '{' ? strcspn(at + 1, "{}") : 0;
		if (length == 0 || at[length + 1] != '}')
			break;
		at += length + 2;
		parts++;
	}
	if (at != NULL && (*at != '\0' || parts == 0))
		prism_complain(&value->place,
					   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					   errmsg("\"%s\" does not tell one row from another", prism_yaml_show(value->text)),
					   errdetail("It must have at least one name in braces, and no brace by itself."),
					   errhint("Write it as user:{id}:profile; a brace that stands for itself is written twice."));
}

/* A consumer is called as its type unless it has a name. */
static const PrismValue *
listener_name(const PrismListenerKeys *listener)
{
	return prism_is_given(&listener->name) ? &listener->name : &listener->type;
}

static void
check_listeners(const List *listeners)
{
	ListCell   *cell;

	foreach(cell, listeners)
	{
		const PrismListenerKeys *second = lfirst(cell);

		check_template(&second->key_extractor);
		for (int i = 0; i < foreach_current_index(cell); i++)
		{
			const PrismListenerKeys *first = list_nth(listeners, i);

			if (prism_value_is(listener_name(first), listener_name(second)->text))
				prism_complain(&listener_name(second)->place,
							   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							   errmsg("consumer \"%s\" is given twice", prism_yaml_show(listener_name(second)->text)),
							   errdetail("The first one is " PRISM_AT ".", prism_at(&listener_name(first)->place)),
							   errhint("Give each another \"name\", or remove one of the two."));
		}
	}
}

/* ---------- as they are stored: members of a JSON object, those that are given ---------- */

void
prism_pattern_options_add(StringInfo json, const PrismPatternKeys *given)
{
	add_values(json, prism_pattern_map.keys_of(given->type.text), given);
}

static void
add_values(StringInfo json, const PrismKey *keys, const void *values)
{
	for (const PrismKey *key = keys; key != NULL && key->name != NULL; key++)
	{
		const void *value = (const char *) values + key->offset;

		if (!is_stored(key, value))
			continue;
		if (json->data[json->len - 1] != '{')
			appendStringInfoChar(json, ',');
		/* a time says in its name what it is counted in, as everywhere in what is stored */
		escape_json(json, key->kind == PRISM_KEY_INTERVAL ? psprintf("%s_ms", key->name) : key->name);
		appendStringInfoChar(json, ':');
		add_value(json, key, value);
	}
}

/* Of a map: one of its keys is, be it that it stands beside the map. */
static bool
is_stored(const PrismKey *key, const void *value)
{
	if (key->unkept || key->kind == PRISM_KEY_INSIDE)
		return false;
	if (key->kind != PRISM_KEY_MAP)
		return prism_is_given((const PrismValue *) value) || ((const PrismValue *) value)->list != NIL;
	for (const PrismKey *inner = key->map->keys; inner->name != NULL; inner++)
		if (is_stored(inner, (const char *) value + inner->offset))
			return true;
	return false;
}

static void
add_value(StringInfo json, const PrismKey *key, const void *value)
{
	switch (key->kind)
	{
		case PRISM_KEY_MAP:
			appendStringInfoChar(json, '{');
			add_values(json, key->map->keys, value);
			appendStringInfoChar(json, '}');
			break;
		case PRISM_KEY_MAPS:
		case PRISM_KEY_TEXT_LIST:
		case PRISM_KEY_WORD_LIST:
			add_listed(json, key, value);
			break;
		default:
			add_scalar(json, key, value);
	}
}

static void
add_listed(StringInfo json, const PrismKey *key, const PrismValue *value)
{
	ListCell   *cell;

	appendStringInfoChar(json, '[');
	foreach(cell, value->list)
	{
		if (foreach_current_index(cell) > 0)
			appendStringInfoChar(json, ',');
		if (key->kind != PRISM_KEY_MAPS)
		{
			add_scalar(json, key, lfirst(cell));
			continue;
		}
		appendStringInfoChar(json, '{');
		add_values(json, key->map->keys, lfirst(cell));
		appendStringInfoChar(json, '}');
	}
	appendStringInfoChar(json, ']');
}

static void
add_scalar(StringInfo json, const PrismKey *key, const PrismValue *value)
{
	switch (key->kind)
	{
		case PRISM_KEY_INTEGER:
		case PRISM_KEY_SIZE:
		case PRISM_KEY_INTERVAL:
			appendStringInfo(json, INT64_FORMAT, value->number);
			break;
		case PRISM_KEY_BOOLEAN:
			appendStringInfoString(json, value->number != 0 ? "true" : "false");
			break;
		case PRISM_KEY_TEXT:
		case PRISM_KEY_WORD:
		case PRISM_KEY_TEXT_LIST:
		case PRISM_KEY_WORD_LIST:
			escape_json(json, value->text);
			break;
		default:
			elog(ERROR, "option \"%s\" cannot be stored", key->name);
	}
}
