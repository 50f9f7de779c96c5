/*-------------------------------------------------------------------------
 *
 * group_open.c
 *	  Finding a group: this backend's way to its slot, and the window that is in it.
 *
 * src/store/group/group_open.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/group/group_shared.h"

#include "utils/builtins.h"
#include "utils/hsearch.h"

/* Refs by topic and name, for the life of the session. */
static HTAB *refs = NULL;

static PrismGroupRef *
find_ref(PrismTopic *topic, const char *name)
{
	PrismGroupRef key;
	PrismGroupRef *ref;
	bool		found;

	if (refs == NULL)
	{
		HASHCTL		control = {
			.keysize = offsetof(PrismGroupRef, topic),
			.entrysize = sizeof(PrismGroupRef),
		};

		refs = hash_create("prism groups", 16, &control, HASH_ELEM | HASH_BLOBS);
	}
	memset(&key, 0, offsetof(PrismGroupRef, topic));
	key.topic_id = topic->topic_id;
	strlcpy(key.name, name, sizeof(key.name));
	ref = hash_search(refs, &key, HASH_ENTER, &found);
	if (!found)
		memset((char *) ref + offsetof(PrismGroupRef, topic), 0,
			   sizeof(PrismGroupRef) - offsetof(PrismGroupRef, topic));
	ref->topic = topic;
	return ref;
}

/* What the group has finished is not known: handing out messages would repeat some, or miss some. */
static void
tell_of_damaged_group(const PrismGroupRef *ref, int level)
{
	ereport(level,
			errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("the state of consumer group \"%s\" of topic \"%s\" is damaged", ref->name, ref->topic->name),
			errdetail("Nobody can read its record at position " INT64_FORMAT " of the progress log.", ref->group->damaged_at),
			errhint("SELECT prism.seek(%s, %s, position) says where it goes on; it had finished everything below " INT64_FORMAT ".",
					quote_literal_cstr(ref->topic->name), quote_literal_cstr(ref->name), prism_window_base(ref->group->window)));
}

PrismGroupRef *
prism_group_open(PrismTopic *topic, const char *name, PrismGroupMissing missing)
{
	return prism_group_open_until(topic, name, missing, PRISM_NEVER);
}

PrismGroupRef *
prism_group_open_until(PrismTopic *topic, const char *name, PrismGroupMissing missing, PrismInstant until)
{
	PrismGroupRef *ref;
	bool		looked_at;

	prism_group_check_name(name);
	ref = find_ref(topic, name);
	/* in this order: a slot that is in use stays, so what was current then is so still */
	looked_at = ref->group != NULL && ref->group->looked_at && missing != PRISM_GROUP_LOOK;
	if ((looked_at || !prism_group_is_current(ref)) && !prism_group_resolve(ref, missing, until))
		return NULL;
	if (!ref->group->ready && !prism_group_rebuild(ref, missing == PRISM_GROUP_LOOK))
		return NULL;
	if (unlikely(ref->group->damaged_at >= 0) && missing != PRISM_GROUP_MOVE)
	{
		tell_of_damaged_group(ref, missing == PRISM_GROUP_LOOK ? WARNING : ERROR);
		return NULL;
	}
	return ref;
}
