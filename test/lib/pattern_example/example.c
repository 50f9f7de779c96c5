/*-------------------------------------------------------------------------
 *
 * example.c
 *	  Two patterns for tests: what they do with a message can be read in it.
 *
 * Going down, each stamps the message, "<upper" and "<lower"; going up, each
 * tells that it has seen its stamp, ">" to a session and "^" to another server.
 * A message that begins with "gone" is gone, one with "never" is refused, and one
 * with "later" waits until the file pattern_example.open is in the data directory.
 * Cleaning up writes a line to the file pattern_example.swept there: the process,
 * the link and the topic.
 *
 * src/pattern/example.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "pattern/pattern.h"

#include <unistd.h>

#include "catalog/namespace.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/lsyscache.h"

typedef struct Options
{
	bool		stamp;
	int64		stamps;			/* how many */
	int64		sweeps;			/* for as many calls there is more to clean up; -1: it fails; -2: for ever */
	int64		swept;
} Options;

static void
append(PrismMessage *message, const char *sign, const PrismLink *link)
{
	struct varlena *former = PG_DETOAST_DATUM(message->payload);
	char	   *text = psprintf("%s%s", sign, link->pattern->name);
	Size		bytes = VARSIZE(former);
	struct varlena *changed = palloc(bytes + strlen(text));

	memcpy(changed, former, bytes);
	memcpy((char *) changed + bytes, text, strlen(text));
	SET_VARSIZE(changed, bytes + strlen(text));
	message->payload = PointerGetDatum(changed);
}

static bool
begins(const PrismMessage *message, const char *word)
{
	struct varlena *payload = PG_DETOAST_DATUM(message->payload);

	return VARSIZE_ANY_EXHDR(payload) >= strlen(word) && memcmp(VARDATA_ANY(payload), word, strlen(word)) == 0;
}

static bool
is_stamped(const PrismMessage *message, const PrismLink *link)
{
	struct varlena *payload = PG_DETOAST_DATUM(message->payload);
	char	   *text = pnstrdup(VARDATA_ANY(payload), VARSIZE_ANY_EXHDR(payload));

	return strstr(text, psprintf("<%s", link->pattern->name)) != NULL;
}

static void
example_configure(PrismLink *link, PrismLinkOptions *stored)
{
	Options    *options = link->options;

	options->stamp = prism_link_boolean(stored, "stamp", true);
	options->stamps = prism_link_integer(stored, "stamps", 1, 3, 1);
	options->sweeps = prism_link_integer(stored, "sweeps", -2, 3, 0);
}

static void
example_publish(PrismLink *link, PrismMessage *message)
{
	const Options *options = link->options;

	for (int64 i = 0; options->stamp && i < options->stamps; i++)
		append(message, "<", link);
	prism_link_publish(link->next, message);
}

static void
example_delay(PrismLink *link, PrismMessage *message)
{
	append(message, "~", link);
}

static PrismConsumed
example_consume(PrismLink *link, PrismMessage *message)
{
	if (!is_stamped(message, link))
		return PRISM_CONSUMED;
	append(message, ">", link);
	link->why = psprintf("its payload is nowhere, says \"%s\"", link->pattern->name);
	return begins(message, "gone") ? PRISM_GONE : PRISM_CONSUMED;
}

static PrismOutcome
example_forward(PrismLink *link, PrismMessage *message)
{
	if (!is_stamped(message, link))
		return PRISM_OK;
	append(message, "^", link);
	link->why = psprintf("not to go out, says \"%s\"", link->pattern->name);
	if (begins(message, "never"))
		return PRISM_REJECT;
	return begins(message, "later") && access("pattern_example.open", F_OK) != 0 ? PRISM_AGAIN : PRISM_OK;
}

/* In a transaction, or this could not look for a table. */
static bool
example_sweep(PrismLink *link)
{
	Options    *options = link->options;
	FILE	   *file = AllocateFile("pattern_example.swept", "a");

	if (!OidIsValid(get_relname_relid(psprintf("topic_%d_mark", link->topic->topic_id), get_namespace_oid("prism_log", false))))
		elog(ERROR, "topic \"%s\" is not there", link->topic->name);
	fprintf(file, "%d %s %s\n", MyProcPid, link->pattern->name, link->topic->name);
	FreeFile(file);
	if (options->sweeps == -1)
		elog(ERROR, "nothing to sweep with");
	return options->sweeps == -2 || options->swept++ < options->sweeps;
}

#define EXAMPLE(symbol, text, place, dead) \
	const PrismPattern prism_pattern_##symbol = { \
		.name = text, \
		.version = "1.0.0", \
		.built = true, \
		.apis = PRISM_API_QUEUE | PRISM_API_PUBSUB, \
		.depth = place, \
		.for_dead_letters = dead, \
		.options_size = sizeof(Options), \
		.configure = example_configure, \
		.process_publish = example_publish, \
		.process_delay = example_delay, \
		.process_consume = example_consume, \
		.process_forward = example_forward, \
		.sweep = example_sweep, \
	}

EXAMPLE(upper, "upper", PRISM_DEPTH_WAL - 5, true);
EXAMPLE(lower, "lower", PRISM_DEPTH_PROJECTION + 5, false);
