/*-------------------------------------------------------------------------
 *
 * sweep.c
 *	  Patterns clean up: the maintainer calls those links that have something to.
 *
 * Each call is a transaction of its own, so what fails takes nothing else along:
 * a turn moves on before it calls, and the next one goes on behind that link.
 *
 * src/bgworker/sweep.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/query.h"
#include "bgworker/sweep.h"
#include "bgworker/worker.h"
#include "pattern/chain.h"
#include "store/log/topic.h"

#include "catalog/pg_type.h"

/* A link that always has more to do leaves it to the next round after this time: the others, and retention, have their turn. */
#define LINK_MS 1000

/* The names of the patterns that have something to clean up, an array of texts; 0: there are none. */
static Datum
sweeping_patterns(void)
{
	const PrismPattern *const *patterns = prism_patterns();
	const char **names;
	int			all = 0,
				count = 0;

	while (patterns[all] != NULL)
		all++;
	names = palloc(all * sizeof(char *));
	for (int i = 0; i < all; i++)
	{
		if (patterns[i]->built && patterns[i]->sweep != NULL)
			names[count++] = patterns[i]->name;
	}
	return count > 0 ? prism_query_texts(names, count) : (Datum) 0;
}

/* By its row: no chain is made only to see that nothing is to be done.  0: that was the last. */
static int32
topic_to_sweep(int32 topic_id, Datum patterns)
{
	Oid			types[] = {INT4OID, TEXTARRAYOID};
	Datum		values[] = {Int32GetDatum(topic_id), patterns};
	PrismQueryRows next = prism_query_read("SELECT topic_id FROM prism.topic WHERE topic_id > $1 AND namespace_id IS NOT NULL"
										   " AND jsonb_path_query_array(chain, '$[*].type') ?| $2 ORDER BY 1 LIMIT 1", 2, types, values, 1);

	return next.count == 0 ? 0 : prism_column_int32(&next.row[0], 1);
}

static void
tell_link(void *arg)
{
	const PrismLink *link = arg;

	errcontext("pattern \"%s\" cleaning up topic \"%s\"", link->pattern->name, link->topic->name);
}

static bool
call(PrismLink *link)
{
	ErrorContextCallback context = {error_context_stack, tell_link, link};
	bool		more;

	error_context_stack = &context;
	more = link->pattern->sweep(link);
	error_context_stack = context.previous;
	return more;
}

/* One that is being dropped is passed over. */
static void
sweep_topic(PrismSweep *sweep)
{
	const PrismSweep former = *sweep;
	bool		busy;
	PrismTopic *topic;
	PrismLink  *link;

	sweep->met++;
	sweep->place = 0;
	sweep->again = false;
	topic = prism_topic_try_id(sweep->topic_id, &busy);
	link = topic != NULL ? prism_chain_to_sweep(topic, former.place) : NULL;
	if (link == NULL)
		return;
	if (!former.again)
		sweep->since = prism_instant();
	if (prism_chain_to_sweep(topic, former.place + 1) != NULL)
		sweep->place = former.place + 1;
	if (!call(link))
		return;
	if (prism_has_passed(sweep->since, prism_instant(), LINK_MS))
		sweep->left = true;
	else
	{
		sweep->place = former.place;
		sweep->again = true;
	}
}

bool
prism_sweep_next(PrismSweep *sweep)
{
	Datum		patterns = sweeping_patterns();

	if (patterns == (Datum) 0)
		return false;
	if (sweep->topic_id == 0)
		sweep->left = false;
	prism_worker_begin("cleaning up for patterns");
	if (sweep->place == 0 && !sweep->again)
		sweep->topic_id = topic_to_sweep(sweep->topic_id, patterns);
	if (sweep->topic_id != 0)
		sweep_topic(sweep);
	prism_worker_commit();
	return sweep->topic_id != 0;
}
