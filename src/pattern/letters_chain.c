/*-------------------------------------------------------------------------
 *
 * letters_chain.c
 *	  What the topic of a topic's dead letters has of its chain.
 *
 * The links that say so, as they stand in it; but what they keep elsewhere goes
 * to a store of the topic's own, so that each payload belongs to one message, and
 * the dead letters keep theirs when the origin's are removed.
 *
 * No header of its name: pattern/chain.h declares it.
 *
 * src/pattern/letters_chain.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "pattern/chain.h"
#include "store/payload/store_catalog.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

/* An option of the link that is called so; false: it has none. */
static bool
find_store(const JsonbValue *link, JsonbValue *store)
{
	return getKeyJsonValueFromContainer(link->val.binary.data, PRISM_LINK_STORE, strlen(PRISM_LINK_STORE), store) != NULL;
}

static bool
is_store_key(const JsonbValue *key)
{
	return key->val.string.len == strlen(PRISM_LINK_STORE) &&
		memcmp(key->val.string.val, PRISM_LINK_STORE, key->val.string.len) == 0;
}

/* The link with another store, if it has one. */
static void
push_link(JsonbParseState **state, const JsonbValue *link, int32 store_id)
{
	JsonbIterator *iterator = JsonbIteratorInit(link->val.binary.data);
	JsonbValue	item;
	JsonbIteratorToken token;
	bool		is_store = false;

	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		if (is_store && token == WJB_VALUE)
			item = (JsonbValue) {.type = jbvNumeric,.val.numeric = int64_to_numeric(store_id)};
		is_store = token == WJB_KEY && is_store_key(&item);
		pushJsonbValue(state, token, token == WJB_KEY || token == WJB_VALUE || token == WJB_ELEM ? &item : NULL);
	}
}

/* None of a chain that is damaged. */
char *
prism_chain_of_dead_letters(const Jsonb *stored, int32 store_id)
{
	bool		damaged = prism_chain_damage(stored) != NULL;
	JsonbContainer *links = &unconstify(Jsonb *, stored)->root;
	JsonbParseState *state = NULL;
	Jsonb	   *fit;

	pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	for (uint32 i = 0; !damaged && i < JsonContainerSize(links); i++)
	{
		JsonbValue *link = getIthJsonbValueFromContainer(links, i);

		if (prism_pattern_find(prism_link_type(link))->for_dead_letters)
			push_link(&state, link, store_id);
	}
	fit = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL));
	return JsonbToCString(NULL, &fit->root, VARSIZE(fit));
}

/* That of the first link that has one: links that do are of one pattern yet. */
static int32
store_of(const Jsonb *stored)
{
	JsonbContainer *links = &unconstify(Jsonb *, stored)->root;
	JsonbValue	store;

	for (uint32 i = 0; i < JsonContainerSize(links); i++)
		if (find_store(getIthJsonbValueFromContainer(links, i), &store) && store.type == jbvNumeric)
			return DatumGetInt32(DirectFunctionCall1(numeric_int4, NumericGetDatum(store.val.numeric)));
	return 0;
}

char *
prism_chain_for_dead_letters(const Jsonb *stored, int32 letters_id)
{
	int32		store_id = prism_chain_damage(stored) == NULL ? store_of(stored) : 0;

	if (store_id != 0)
		store_id = prism_store_follow(letters_id, store_id);
	else
		prism_store_retire(letters_id);
	return prism_chain_of_dead_letters(stored, store_id);
}
