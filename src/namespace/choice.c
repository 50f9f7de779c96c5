/*-------------------------------------------------------------------------
 *
 * choice.c
 *	  What nobody names: back ends, where payloads go, and how many partitions.
 *
 * The same document works on a laptop and where there is a platform: what it
 * needs goes to the server that is there for the caller, and otherwise stays in
 * the database.  So what was chosen is kept with the namespace (a pin): who
 * applies the document once more, when there are other servers, moves nothing.
 * prism.check() looks at no server, and takes them to be there.
 *
 * src/namespace/choice.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "namespace/spec.h"

#include "lib/stringinfo.h"

/* Messages a second for which a partition is enough; and how many are worth it. */
#define RATE_OF_A_PARTITION 500
#define CHOSEN_PARTITIONS_MAX 1000

void
prism_note(PrismNamespace *namespace, const char *action, const PrismPlace *place, const char *format,...)
{
	PrismNote  *note = palloc(sizeof(*note));
	StringInfoData text;
	int			needed;

	initStringInfo(&text);
	for (;;)
	{
		va_list		arguments;

		va_start(arguments, format);
		needed = appendStringInfoVA(&text, format, arguments);
		va_end(arguments);
		if (needed == 0)
			break;
		enlargeStringInfo(&text, needed);
	}
	note->action = action;
	note->text = text.data;
	note->place = place;
	namespace->notes = lappend(namespace->notes, note);
}

/* The larger of the two: of what is written and of what is sent. */
const PrismValue *
prism_needs_rate(const PrismNamespace *namespace)
{
	const PrismValue *written = &namespace->given->needs.write_rps;
	const PrismValue *sent = &namespace->given->needs.throughput;

	if (!prism_is_given(written))
		return prism_is_given(sent) ? sent : NULL;
	return prism_is_given(sent) && sent->number > written->number ? sent : written;
}

static char *
describe_rate(const PrismNamespace *namespace, const PrismValue *rate)
{
	return psprintf("needs.%s is %s", rate == &namespace->given->needs.write_rps ? "write_rps" : "throughput",
					prism_yaml_show(rate->text));
}

static const PrismBackendInfo *
backend_called(const char *name)
{
	const PrismBackendInfo *info = prism_backend_info(name);

	if (info == NULL)
		elog(ERROR, "back end \"%s\" has no entry", name);
	return info;
}

/* The one of which there is a server; or why the database has to do, unless it cannot. */
static const PrismBackendInfo *
choose_server(const PrismNamespace *namespace, uint32 role, const char **why)
{
	const PrismBackendInfo *standard = backend_called(PRISM_BACKEND_DEFAULT);
	char	   *lacks;

	for (const PrismBackendInfo *const *info = prism_backend_infos(); *info != NULL; info++)
	{
		if (((*info)->chosen_for & role) == 0)
			continue;
		lacks = namespace->words_only ? NULL : prism_server_lacks(*info);
		if (lacks == NULL)
		{
			*why = psprintf("there is the foreign server %s", (*info)->name);
			return *info;
		}
		*why = lacks;
		if ((standard->roles & role) == 0)
			return *info;
	}
	return standard;
}

/* ---------- the back end ---------- */

/*
 * Of a namespace that names none.  One that asks for no rate has nothing to
 * choose, but keeps what was chosen for it.
 */
const PrismBackendInfo *
prism_choose_backend(PrismNamespace *namespace)
{
	const PrismValue *rate = prism_needs_rate(namespace);
	const PrismPlace *place = rate != NULL ? &rate->place : namespace->backend_place;
	const PrismBackendInfo *chosen = backend_called(PRISM_BACKEND_DEFAULT);
	bool		chooses = rate != NULL && (namespace->api->role & PRISM_ROLE_QUEUE) != 0;
	const char *pinned = namespace->pin != NULL && namespace->pin->chosen ? namespace->pin->backend : NULL;
	const char *why = NULL;

	if (chooses)
		chosen = choose_server(namespace, PRISM_ROLE_QUEUE, &why);
	namespace->backend_chosen = chooses || pinned != NULL;
	namespace->backend_place = place;
	if (pinned == NULL || strcmp(pinned, chosen->name) == 0)
	{
		if (chooses)
			prism_note(namespace, "backend", place, "%s: %s, and %s", chosen->name, describe_rate(namespace, rate), why);
		return chosen;
	}
	if (chooses)
		prism_note(namespace, "backend", place, "%s: chosen when the namespace was made, and kept, though %s; \"backend: %s\" changes it",
				   pinned, why, chosen->name);
	else
		prism_note(namespace, "backend", place, "%s: chosen when a need asked for it, and kept; \"backend: %s\" changes it",
				   pinned, chosen->name);
	return backend_called(pinned);
}

/* ---------- partitions ---------- */

/* As many as the rate asks for.  No topic gets fewer: what it has stays. */
void
prism_choose_partitions(PrismNamespace *namespace)
{
	const PrismPin *pin = namespace->pin;
	const PrismValue *rate = prism_needs_rate(namespace);
	int			kept = pin != NULL && strcmp(pin->backend, namespace->backend->name) == 0 ? pin->partitions : 0;
	int64		wanted;

	if (namespace->partitions > 0 || !prism_namespace_has_sink(namespace))
		return;
	if (rate == NULL)
	{
		namespace->partitions = namespace->backend_chosen ? kept : 0;
		return;
	}
	wanted = rate->number / RATE_OF_A_PARTITION + (rate->number % RATE_OF_A_PARTITION > 0);
	wanted = Max(1, Min(wanted, CHOSEN_PARTITIONS_MAX));
	namespace->partitions = (int) wanted;
	if (kept > namespace->partitions)
	{
		namespace->partitions = kept;
		prism_note(namespace, "partitions", &rate->place, "%d: kept, as a topic cannot have fewer; %s, for which %d would do",
				   namespace->partitions, describe_rate(namespace, rate), (int) wanted);
		return;
	}
	prism_note(namespace, "partitions", &rate->place, "%d: %s, and %d a second are one partition%s",
			   namespace->partitions, describe_rate(namespace, rate), RATE_OF_A_PARTITION,
			   wanted == CHOSEN_PARTITIONS_MAX ? ", of which more are chosen for nobody" : "");
}

/* ---------- where patterns keep what is their own ---------- */

const PrismBackendInfo *
prism_object_store(void)
{
	for (const PrismBackendInfo *const *info = prism_backend_infos(); *info != NULL; info++)
		if ((*info)->chosen_for & PRISM_ROLE_OBJECT)
			return *info;
	elog(ERROR, "no back end is chosen for objects");
}

/*
 * Who is handed a message outside of the database must be able to fetch its
 * payload there.  Other payloads may stay, and do as long as nothing else can
 * have them; what was chosen for those that are there is kept.
 */
static const PrismBackendInfo *
choose_payload_store(const PrismNamespace *namespace, const PrismChosenPattern *claim_check, const char **why)
{
	const PrismPatternKeys *given = claim_check->given;
	const char *pinned = namespace->pin != NULL ? namespace->pin->store : NULL;
	const PrismBackendInfo *chosen;

	if (prism_namespace_has_sink(namespace))
	{
		*why = psprintf("messages go to %s, and their readers have to reach the payloads", namespace->backend->name);
		return prism_object_store();
	}
	if (given != NULL && (prism_is_given(&given->storage.server) || prism_is_given(&given->storage.bucket) || prism_is_given(&given->storage.prefix)))
	{
		*why = "a server, a bucket or a prefix is named, which the database has not";
		return prism_object_store();
	}
	if (claim_check->pattern->built && !prism_object_store()->built)
	{
		*why = psprintf("messages stay in the database, and %s is not available yet", prism_object_store()->name);
		return backend_called(PRISM_BACKEND_DEFAULT);
	}
	chosen = choose_server(namespace, PRISM_ROLE_OBJECT, why);
	if (pinned == NULL || strcmp(pinned, chosen->name) == 0)
		return chosen;
	*why = psprintf("chosen when the pattern came to the namespace, and kept, though %s; \"storage: %s\" changes it", *why, chosen->name);
	return backend_called(pinned);
}

/* The server of one that is named, or must be there, is looked at in endpoint.c. */
static void
add_store(const PrismNamespace *namespace, PrismChosenPattern *chosen, uint32 role, const PrismValue *named, const PrismValue *server)
{
	PrismStore *store = palloc0(sizeof(*store));

	store->place = prism_is_given(named) ? &named->place : chosen->place;
	if (prism_is_given(named))
		store->backend = backend_called(named->text);
	else if (prism_is_claim_check(chosen->pattern))
		store->backend = choose_payload_store(namespace, chosen, &store->reason);
	else
		store->backend = choose_server(namespace, role, &store->reason);
	store->server = server != NULL && prism_is_given(server) ? server->text : store->backend->name;
	chosen->stores = lappend(chosen->stores, store);
}

static void
add_object_store(const PrismNamespace *namespace, PrismChosenPattern *chosen)
{
	const PrismPatternKeys *given = chosen->given;
	const PrismValue *server = given != NULL ? &given->storage.server : NULL;

	if (given != NULL && prism_is_given(&given->storage.backend))
		add_store(namespace, chosen, PRISM_ROLE_OBJECT, &given->storage.backend, server);
	else
		add_store(namespace, chosen, PRISM_ROLE_OBJECT, &namespace->given->needs.storage_backend, server);
}

/* Where changes go, and whose caches they keep right. */
static void
add_receivers(const PrismNamespace *namespace, PrismChosenPattern *chosen)
{
	const PrismPatternKeys *given = chosen->given;
	ListCell   *cell;

	if (prism_is_given(&given->sink.backend))
		add_store(namespace, chosen, PRISM_ROLE_QUEUE, &given->sink.backend, NULL);
	foreach(cell, given->consumers.list)
		add_store(namespace, chosen, PRISM_ROLE_CACHE, &((const PrismListenerKeys *) lfirst(cell))->backend, NULL);
}

void
prism_choose_stores(PrismNamespace *namespace)
{
	ListCell   *cell;

	foreach(cell, namespace->patterns)
	{
		PrismChosenPattern *chosen = lfirst(cell);

		if (chosen->pattern->store_roles & PRISM_ROLE_OBJECT)
			add_object_store(namespace, chosen);
		if (chosen->pattern->store_roles & PRISM_ROLE_CACHE)
			add_store(namespace, chosen, PRISM_ROLE_CACHE, &chosen->given->backend, &chosen->given->server);
		if (chosen->given != NULL)
			add_receivers(namespace, chosen);
	}
}
