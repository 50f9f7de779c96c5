/*-------------------------------------------------------------------------
 *
 * apply_look.c
 *	  What there is of the namespaces of a document: asked of all at once.
 *
 * A query for a thousand of them costs little more than one for one.  Their
 * names are locked by then, so what was found stays until they are made; what
 * those before one in the document do to it is known without a look.
 *
 * src/api/apply_look.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/apply_parts.h"
#include "base/query.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

/* An array of a number that each of them has. */
static int32 *
numbers_of(const List *works, Size member)
{
	int32	   *numbers = palloc_array(int32, list_length(works));
	ListCell   *cell;

	foreach(cell, works)
		numbers[foreach_current_index(cell)] = *(int32 *) ((char *) lfirst(cell) + member);
	return numbers;
}

/* Whatever their stored configurations call them, which somebody may have edited: others of a namespace's topics hold dead letters. */
static void
find_topics(const List *works)
{
	Oid			types[] = {INT4ARRAYOID};
	Datum		values[] = {
		prism_query_numbers(numbers_of(works, offsetof(PrismNamespaceWork, namespace_id)), list_length(works))
	};
	PrismQueryRows rows = prism_query("SELECT w.place::integer, t.topic_id, t.message_bytes_max, t.policy, t.name, t.chain, d.policy, d.chain, d.topic_id"
									  " FROM unnest($1) WITH ORDINALITY AS w(namespace_id, place)"
									  " JOIN prism.topic t ON t.namespace_id = w.namespace_id AND t.dead_letter_of IS NULL"
									  " LEFT JOIN prism.topic d ON d.dead_letter_of = t.topic_id",
									  lengthof(types), types, values, NULL);

	for (uint64 i = 0; i < rows.count; i++)
	{
		const PrismQueryRow *row = &rows.row[i];
		PrismNamespaceWork *work = list_nth(works, prism_column_int32(row, 1) - 1);

		work->topic_id = prism_column_int32(row, 2);
		work->message_bytes_max = prism_column_int64(row, 3);
		work->policy = prism_column_text(row, 4);
		work->topic_name = prism_column_text(row, 5);
		work->chain = prism_column_text(row, 6);
		work->letters_policy = prism_column_text(row, 7);
		work->letters_chain = prism_column_text(row, 8);
		work->letters_id = prism_column_int32(row, 9);
	}
	prism_query_free(&rows);
}

static void
find_stores(const List *works)
{
	int			count = list_length(works);
	PrismStoreRow **stores = prism_stores_in_use(numbers_of(works, offsetof(PrismNamespaceWork, topic_id)), count);
	PrismStoreRow **of_letters = prism_stores_in_use(numbers_of(works, offsetof(PrismNamespaceWork, letters_id)), count);
	ListCell   *cell;

	foreach(cell, works)
	{
		PrismNamespaceWork *work = lfirst(cell);

		work->store = stores[foreach_current_index(cell)];
		work->letters_store = of_letters[foreach_current_index(cell)];
	}
}

static void
find_own_sinks(const List *works)
{
	PrismSinkRow **sinks = prism_sinks_own(numbers_of(works, offsetof(PrismNamespaceWork, topic_id)), list_length(works));
	ListCell   *cell;

	foreach(cell, works)
		((PrismNamespaceWork *) lfirst(cell))->sink = sinks[foreach_current_index(cell)];
}

/* Whose the wanted topics are. */
static void
find_owners(const List *works)
{
	const char **topics = palloc_array(const char *, list_length(works));
	Oid			types[] = {TEXTARRAYOID, INT4ARRAYOID};
	Datum		values[2];
	PrismQueryRows rows;
	ListCell   *cell;

	foreach(cell, works)
		topics[foreach_current_index(cell)] = ((PrismNamespaceWork *) lfirst(cell))->wanted->topic;
	values[0] = prism_query_texts(topics, list_length(works));
	values[1] = prism_query_numbers(numbers_of(works, offsetof(PrismNamespaceWork, namespace_id)), list_length(works));
	rows = prism_query("SELECT w.place::integer, n.namespace_id, n.name"
					   " FROM unnest($1, $2) WITH ORDINALITY AS w(topic, namespace_id, place)"
					   " JOIN prism.topic t ON t.name = w.topic AND t.namespace_id IS DISTINCT FROM w.namespace_id"
					   " LEFT JOIN prism.namespace n ON n.namespace_id = t.namespace_id",
					   lengthof(types), types, values, NULL);
	for (uint64 i = 0; i < rows.count; i++)
	{
		PrismNamespaceWork *work = list_nth(works, prism_column_int32(&rows.row[i], 1) - 1);

		work->topic_is_taken = true;
		work->topic_owner_id = prism_column_int32(&rows.row[i], 2);
		work->topic_owner = prism_column_text(&rows.row[i], 3);
	}
	prism_query_free(&rows);
}

void
prism_works_look(const List *works)
{
	find_topics(works);
	find_stores(works);
	find_own_sinks(works);
	find_owners(works);
}

void
prism_namespace_find_topic(PrismNamespaceWork *work)
{
	List	   *works = list_make1(work);

	find_topics(works);
	find_stores(works);
	find_own_sinks(works);
}
