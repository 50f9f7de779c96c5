/*-------------------------------------------------------------------------
 *
 * published.c
 *	  Where this session's last commits have put their messages.
 *
 * src/store/log/published.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/log/log.h"

#include "miscadmin.h"
#include "utils/memutils.h"

/* What a commit published. */
typedef struct Positions
{
	int			count;
	bool		of_users;		/* not only to prism's own topics */
	Oid			role;			/* the session's at the commit, as SET ROLE has it */
	PrismLastPosition *items;
} Positions;

/*
 * Of this session: the last commit, and the last one that published to a topic of a user; often the same.
 * Candidates, which become valid with COMMIT, are noted in the one that is neither: there nothing may be allocated.
 */
static Positions noted[3];
static int	positions_max = 0;
static Positions *last = &noted[0];
static Positions *last_of_users = &noted[0];
static Positions *candidates = &noted[1];

/* Room for 'count' topics in each of them. */
static void
make_positions_room(int count)
{
	PrismLastPosition *room;
	PrismLastPosition *former = noted[0].items;

	if (count <= positions_max)
		return;
	room = MemoryContextAlloc(TopMemoryContext, lengthof(noted) * count * sizeof(PrismLastPosition));
	for (int i = 0; i < (int) lengthof(noted); i++)
	{
		if (noted[i].count > 0)
			memcpy(room + i * count, noted[i].items, noted[i].count * sizeof(PrismLastPosition));
		noted[i].items = room + i * count;
	}
	positions_max = count;
	if (former != NULL)
		pfree(former);
}

void
prism_published_begin(int topics)
{
	make_positions_room(topics);
	candidates->count = 0;
	candidates->of_users = false;
	candidates->role = GetOuterUserId();
}

void
prism_published_add(int32 topic_id, int64 first, int64 last_offset, bool of_user)
{
	Assert(candidates->count < positions_max);
	candidates->items[candidates->count++] = (PrismLastPosition) {topic_id, first, last_offset};
	candidates->of_users |= of_user;
}

void
prism_published_keep(void)
{
	last = candidates;
	if (last->of_users)
		last_of_users = last;
	for (candidates = noted; candidates == last || candidates == last_of_users; candidates++)
		 /* there are three */ ;
}

int
prism_log_last_positions(bool of_users, const PrismLastPosition **positions)
{
	const Positions *wanted = of_users ? last_of_users : last;

	*positions = wanted->items;
	return of_users && wanted->role != GetOuterUserId() ? 0 : wanted->count;
}

void
prism_log_forget_last_positions(void)
{
	last->count = last_of_users->count = 0;
}
