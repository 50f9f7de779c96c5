/*-------------------------------------------------------------------------
 *
 * chain.c
 *	  The chains of topics: made from prism.topic.chain, kept, and run.
 *
 * A chain is made when it is needed first, in a memory context of its own, and
 * made anew when the topic's row has another one by then; a transaction keeps
 * the one with which it first published to the topic.  What was rolled back was
 * not published: with a savepoint goes what it kept, as the row that it saw may
 * have gone with it.
 *
 * No chain goes before the end of a transaction, so who has one has it until then.
 *
 * src/pattern/chain.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "pattern/chain.h"
#include "store/log/log.h"
#include "store/payload/payload_open.h"

#include "access/detoast.h"
#include "access/xact.h"
#include "lib/ilist.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

struct PrismChain
{
	dlist_node	node;			/* of 'chains', or of 'outdated' */
	MemoryContext mcxt;			/* this struct and all that it points to */
	PrismTopic *topic;
	int32		topic_id;
	Oid			mark_relid;		/* of the topic then: its number comes again with a new extension */
	Jsonb	   *made_of;
	char	   *damage;			/* why it cannot be made of that, a clause; NULL: it was */
	PrismLink  *links;			/* by depth, but the log */
	int			count;
	PrismLink  *first;			/* that has process_publish */
	PrismLink **readers;		/* who looks at stored messages, from the ground up */
	int			reader_count;
	PrismLink **sweepers;		/* who has something to clean up, down; NULL: nobody */
	int			sweeper_count;
	int			kept_at;		/* nest level at which this transaction published first; 0: it did not */
	PrismChain *next_kept;
};

static dlist_head chains = DLIST_STATIC_INIT(chains);
static dlist_head outdated = DLIST_STATIC_INIT(outdated);	/* to go at the end of the transaction */
static PrismChain *kept = NULL;

/* ---------- the ground ---------- */

/* A claim that is damaged is told to who reads it. */
static void
count_claimed(PrismTopic *topic, const PrismMessage *message)
{
	PrismPayloadFault fault;
	PrismClaim	claim;

	if (prism_message_claim(&claim, message, &fault))
		prism_log_count_payload(topic, claim.stored_size);
}

/* What the log keeps is in memory, or beside the log. */
static void
log_publish(PrismLink *link, PrismMessage *message)
{
	if (message->has_payload && VARATT_IS_EXTERNAL(DatumGetPointer(message->payload)))
		message->payload = PointerGetDatum(detoast_external_attr((struct varlena *) DatumGetPointer(message->payload)));
	prism_log_append(link->topic, message);
	if (message->claim)
		count_claimed(link->topic, message);
}

/* The end of every chain.  It is in no list, so nobody can name it. */
static const PrismPattern the_log = {
	.name = "log",
	.process_publish = log_publish,
};

/* ---------- making ---------- */

static PrismLink *
find_link(const PrismChain *chain, const PrismPattern *pattern)
{
	for (int i = 0; i < chain->count; i++)
	{
		if (chain->links[i].pattern == pattern)
			return &chain->links[i];
	}
	return NULL;
}

/* NULL, and chain->damage: it is not one. */
static const PrismPattern *
pattern_of(PrismChain *chain, const JsonbValue *stored)
{
	char	   *name = prism_link_type(stored);
	const PrismPattern *pattern = name != NULL ? prism_pattern_find(name) : NULL;

	if (name == NULL)
		chain->damage = pstrdup("a link of it has no type");
	else if (pattern == NULL || !pattern->built)
		chain->damage = psprintf("this version has no pattern \"%s\"", name);
	else if (find_link(chain, pattern) != NULL)
		chain->damage = psprintf("pattern \"%s\" is twice in it", name);
	return chain->damage == NULL ? pattern : NULL;
}

/* Returns what is wrong with the options; NULL: nothing is. */
static char *
make_link(PrismLink *link, const PrismChain *chain, const PrismPattern *pattern, JsonbContainer *stored)
{
	PrismLinkOptions options = {.pattern = pattern->name,.stored = stored,.known = 1};

	*link = (PrismLink) {
		.pattern = pattern,.topic = chain->topic,
		.options = pattern->options_size > 0 ? palloc0(pattern->options_size) : NULL
	};
	if (pattern->configure != NULL)
		pattern->configure(link, &options);
	prism_link_options_end(&options);
	return options.complaint;
}

/* Between those above and those below it. */
static void
add_link(PrismChain *chain, const JsonbValue *stored)
{
	const PrismPattern *pattern = pattern_of(chain, stored);
	int			place = chain->count;

	if (pattern == NULL)
		return;
	for (; place > 0 && chain->links[place - 1].pattern->depth > pattern->depth; place--)
		chain->links[place] = chain->links[place - 1];
	chain->count++;
	chain->damage = make_link(&chain->links[place], chain, pattern, stored->val.binary.data);
}

static void
add_links(PrismChain *chain)
{
	JsonbContainer *stored = &chain->made_of->root;
	int			count = JsonContainerIsArray(stored) && !JsonContainerIsScalar(stored) ? (int) JsonContainerSize(stored) : -1;
	int			most = 0;

	while (prism_patterns()[most] != NULL)
		most++;
	chain->links = palloc0(most * sizeof(PrismLink));
	if (count < 0)
		chain->damage = pstrdup("it is no list of patterns");
	else if (count > most)
		chain->damage = psprintf("it has %d links, more than there are patterns", count);
	for (int i = 0; i < count && chain->damage == NULL; i++)
		add_link(chain, getIthJsonbValueFromContainer(stored, i));
}

static void
join_links(PrismChain *chain)
{
	PrismLink  *ground = palloc0(sizeof(PrismLink));

	ground->pattern = &the_log;
	ground->topic = chain->topic;
	chain->first = ground;
	for (int i = chain->count - 1; i >= 0; i--)
	{
		PrismLink  *link = &chain->links[i];

		link->next = chain->first;
		if (link->pattern->process_publish != NULL)
			chain->first = link;
	}
}

static bool
looks_at_stored(const PrismPattern *pattern)
{
	return pattern->built && (pattern->process_consume != NULL || pattern->process_forward != NULL);
}

/* The chain's own link for the pattern, or one with its options as by default. */
static PrismLink *
reader_for(const PrismChain *chain, const PrismPattern *pattern)
{
	PrismLink  *link = chain->damage == NULL ? find_link(chain, pattern) : NULL;
	Jsonb	   *nothing;

	if (link != NULL)
		return link;
	link = palloc(sizeof(PrismLink));
	nothing = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
	(void) make_link(link, chain, pattern, &nothing->root);
	return link;
}

/*
 * A message that was published through a pattern is read through it, whatever
 * the chain says by now; so all there are have a look at it.
 */
static void
add_readers(PrismChain *chain)
{
	const PrismPattern *const *patterns = prism_patterns();
	int			count = 0;

	while (patterns[count] != NULL)
		count++;
	chain->readers = palloc(count * sizeof(PrismLink *));
	for (int i = 0; i < count; i++)
	{
		int			place = chain->reader_count;

		if (!looks_at_stored(patterns[i]))
			continue;
		for (; place > 0 && chain->readers[place - 1]->pattern->depth < patterns[i]->depth; place--)
			chain->readers[place] = chain->readers[place - 1];
		chain->reader_count++;
		chain->readers[place] = reader_for(chain, patterns[i]);
	}
}

static void
add_sweepers(PrismChain *chain)
{
	for (int i = 0; i < chain->count && chain->damage == NULL; i++)
	{
		if (chain->links[i].pattern->sweep == NULL)
			continue;
		if (chain->sweepers == NULL)
			chain->sweepers = palloc(chain->count * sizeof(PrismLink *));
		chain->sweepers[chain->sweeper_count++] = &chain->links[i];
	}
}

/* 'topic' NULL: only to see whether it can be.  What an error leaves goes with the caller's memory, not with the parent's. */
static PrismChain *
make_chain(PrismTopic *topic, const Jsonb *stored, MemoryContext parent)
{
	MemoryContext mcxt = AllocSetContextCreate(CurrentMemoryContext, "prism chain", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(mcxt);
	PrismChain *chain = palloc0(sizeof(PrismChain));

	chain->mcxt = mcxt;
	chain->topic = topic;
	if (topic != NULL)
	{
		chain->topic_id = topic->topic_id;
		chain->mark_relid = topic->mark_relid;
	}
	chain->made_of = memcpy(palloc(VARSIZE(stored)), stored, VARSIZE(stored));
	add_links(chain);
	join_links(chain);
	add_readers(chain);
	add_sweepers(chain);
	MemoryContextSwitchTo(caller);
	MemoryContextSetParent(mcxt, parent);
	return chain;
}

char *
prism_chain_damage(const Jsonb *stored)
{
	PrismChain *made = make_chain(NULL, stored, CurrentMemoryContext);
	char	   *damage = made->damage != NULL ? pstrdup(made->damage) : NULL;

	MemoryContextDelete(made->mcxt);
	return damage;
}

void
prism_chain_check(const char *stored)
{
	char	   *damage = prism_chain_damage(DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(stored))));

	if (damage != NULL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("a chain of patterns cannot be made of %s", stored),
				errdetail("%s.", damage));
}

/* ---------- keeping ---------- */

static void
retire(PrismChain *chain)
{
	Assert(chain->kept_at == 0);
	if (chain->topic->chain == chain)
		chain->topic->chain = NULL;
	dlist_delete(&chain->node);
	dlist_push_tail(&outdated, &chain->node);
}

/* Topics that another one has taken the name of are never current again. */
static void
retire_superseded(void)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &chains)
	{
		PrismChain *chain = dlist_container(PrismChain, node, iter.cur);

		if (chain->kept_at == 0 && chain->topic->known_at == 0)
			retire(chain);
	}
}

static bool
is_made_of(const PrismChain *chain, const Jsonb *stored)
{
	return VARSIZE(chain->made_of) == VARSIZE(stored) && memcmp(chain->made_of, stored, VARSIZE(stored)) == 0;
}

/* The chain that the topic's row has now. */
static PrismChain *
chain_of(PrismTopic *topic)
{
	PrismChain *chain = topic->chain;

	if (chain != NULL && is_made_of(chain, topic->stored_chain))
		return chain;
	retire_superseded();
	chain = make_chain(topic, topic->stored_chain, TopMemoryContext);
	dlist_push_tail(&chains, &chain->node);
	if (topic->chain != NULL && topic->chain->kept_at == 0)
		retire(topic->chain);
	topic->chain = chain;
	return chain;
}

static PrismChain *
kept_chain(const PrismTopic *topic)
{
	PrismChain *chain = kept;

	while (chain != NULL && (chain->topic_id != topic->topic_id || chain->mark_relid != topic->mark_relid))
		chain = chain->next_kept;
	return chain;
}

/* That of the transaction, which is the topic's from now on if there was none. */
static PrismChain *
chain_to_publish(PrismTopic *topic)
{
	PrismChain *chain = kept_chain(topic);

	if (chain != NULL)
		return chain;
	chain = chain_of(topic);
	if (chain->damage != NULL)
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("the chain of topic \"%s\" in prism.topic is damaged", topic->name),
				errdetail("What is wrong with it: %s.", chain->damage),
				errhint("Apply its namespace again: that puts it right."));
	chain->kept_at = GetCurrentTransactionNestLevel();
	chain->next_kept = kept;
	kept = chain;
	return chain;
}

/* ---------- running ---------- */

void
prism_chain_publish(PrismTopic *topic, PrismMessage *message)
{
	PrismChain *chain = topic->chain;

	if (chain == NULL || chain->kept_at == 0)
		chain = chain_to_publish(topic);
	prism_link_publish(chain->first, message);
}

const PrismLink *
prism_chain_find(PrismTopic *topic, const PrismPattern *pattern)
{
	const PrismChain *chain = kept_chain(topic);

	if (chain == NULL)
		chain = chain_of(topic);
	return chain->damage == NULL ? find_link(chain, pattern) : NULL;
}

void
prism_chain_delay(PrismTopic *topic, PrismMessage *message)
{
	PrismChain *chain = chain_to_publish(topic);

	for (int i = 0; i < chain->count; i++)
	{
		PrismLink  *link = &chain->links[i];

		if (link->pattern->process_delay != NULL)
			link->pattern->process_delay(link, message);
	}
}

bool		prism_chain_looks_at_all = false;
bool		prism_chain_sends_all = false;

/* No pattern there is would look: so nobody makes a chain to ask it. */
static bool
anybody_consumes(void)
{
	bool		anybody = false;

	for (const PrismPattern *const *pattern = prism_patterns(); *pattern != NULL; pattern++)
	{
		if (!(*pattern)->built || (*pattern)->process_consume == NULL)
			continue;
		anybody = true;
		prism_chain_looks_at_all |= !(*pattern)->only_claims;
	}
	return anybody;
}

static bool
anybody_forwards(void)
{
	bool		anybody = false;

	for (const PrismPattern *const *pattern = prism_patterns(); *pattern != NULL; pattern++)
	{
		if (!(*pattern)->built || (*pattern)->process_forward == NULL)
			continue;
		anybody = true;
		prism_chain_sends_all |= !(*pattern)->only_claims;
	}
	return anybody;
}

PrismChain *
prism_chain_to_consume(PrismTopic *topic)
{
	return anybody_consumes() ? chain_of(topic) : NULL;
}

PrismConsumed
prism_chain_consume(PrismChain *chain, PrismMessage *message, const char **why)
{
	for (int i = 0; i < chain->reader_count; i++)
	{
		PrismLink  *link = chain->readers[i];
		PrismConsumed consumed = link->pattern->process_consume != NULL ? link->pattern->process_consume(link, message) : PRISM_CONSUMED;

		if (consumed == PRISM_CONSUMED)
			continue;
		*why = link->why;
		return consumed;
	}
	return PRISM_CONSUMED;
}

void
prism_chain_show(PrismChain *chain, PrismMessage *message)
{
	for (int i = 0; i < chain->reader_count; i++)
	{
		PrismLink  *link = chain->readers[i];

		if (link->pattern->process_show != NULL)
			link->pattern->process_show(link, message);
	}
}

PrismChain *
prism_chain_to_forward(PrismChain *former, PrismTopic *topic, MemoryContext mcxt)
{
	PrismChain *made;

	if (!anybody_forwards())
		return NULL;
	if (former != NULL && former->topic == topic && is_made_of(former, topic->stored_chain))
		return former;
	/* should that fail, the former one is still there */
	made = make_chain(topic, topic->stored_chain, mcxt);
	if (former != NULL)
		MemoryContextDelete(former->mcxt);
	return made;
}

PrismOutcome
prism_chain_forward(PrismChain *chain, PrismMessage *message, const char **why)
{
	PrismMessage stored = *message;

	for (int i = 0; i < chain->reader_count; i++)
	{
		PrismLink  *link = chain->readers[i];
		PrismOutcome outcome = link->pattern->process_forward != NULL ? link->pattern->process_forward(link, message) : PRISM_OK;

		if (outcome == PRISM_OK)
			continue;
		/* the next time, all of them are asked again */
		*message = stored;
		*why = link->why;
		return outcome;
	}
	return PRISM_OK;
}

PrismLink *
prism_chain_to_sweep(PrismTopic *topic, int place)
{
	const PrismChain *chain = chain_of(topic);

	return place < chain->sweeper_count ? chain->sweepers[place] : NULL;
}

/* ---------- the ends of transactions ---------- */

void
prism_chain_subcommit(int nest_level)
{
	for (PrismChain *chain = kept; chain != NULL; chain = chain->next_kept)
		chain->kept_at = Min(chain->kept_at, nest_level - 1);
}

/* What this level kept, or a deeper one, is not kept any more.  Cannot throw. */
static void
unkeep(int nest_level)
{
	PrismChain **place = &kept;

	while (*place != NULL)
	{
		PrismChain *chain = *place;

		if (chain->kept_at < nest_level)
		{
			place = &chain->next_kept;
			continue;
		}
		*place = chain->next_kept;
		chain->kept_at = 0;
		if (chain->topic->chain != chain)
			retire(chain);
	}
}

void
prism_chain_subabort(int nest_level)
{
	unkeep(nest_level);
}

void
prism_chain_end(bool committed)
{
	unkeep(0);
	while (!dlist_is_empty(&outdated))
		MemoryContextDelete(dlist_container(PrismChain, node, dlist_pop_head_node(&outdated))->mcxt);
}

void
prism_chain_prepared(void)
{
	prism_chain_end(false);
}
