/*-------------------------------------------------------------------------
 *
 * group_order.c
 *	  Which entries of a group's window wait for which.
 *
 * A bucket lists the first entries of chains, so that finding a chain does not
 * depend on how long another one is, as that of a busy key.
 *
 * src/store/group/group_order.c
 *
 *-------------------------------------------------------------------------
 */
#include "store/group/group_order.h"

#define NONE (-1)

static inline int32
slot_of(const PrismWindow *window, const PrismEntry *entry)
{
	return (int32) (entry - window->entries);
}

/* What the entry is in order by; 0: nothing. */
static inline uint32
order_of(const PrismWindow *window, const PrismEntry *entry)
{
	switch (window->ordering)
	{
		case PRISM_ORDERING_KEY:
			return entry->key_hash;
		case PRISM_ORDERING_STRICT:
			return 1;
		case PRISM_ORDERING_NONE:
			break;
	}
	return 0;
}

static inline int32 *
bucket_of(PrismWindow *window, uint32 order)
{
	int32	   *buckets = (int32 *) &window->entries[window->size];

	return &buckets[order % (uint32) window->size];
}

Size
prism_order_bytes(int32 size)
{
	return (Size) size * sizeof(int32);
}

void
prism_order_clear(PrismWindow *window)
{
	memset(&window->entries[window->size], 0xFF, prism_order_bytes(window->size));
}

/* Where the first entry of an order is named, or the end of its bucket's list. */
static int32 *
find_first(PrismWindow *window, uint32 order)
{
	int32	   *link = bucket_of(window, order);

	while (*link != NONE && order_of(window, &window->entries[*link]) != order)
		link = &window->entries[*link].bucket_next;
	return link;
}

void
prism_order_link(PrismWindow *window, PrismEntry *entry)
{
	uint32		order = order_of(window, entry);
	int32		slot = slot_of(window, entry);
	int32	   *link;

	entry->order_next = entry->bucket_next = NONE;
	entry->order_prev = slot;
	if (order == 0)
	{
		entry->flags |= PRISM_ENTRY_FIRST;
		return;
	}
	link = find_first(window, order);
	if (*link == NONE)
	{
		entry->flags |= PRISM_ENTRY_FIRST;
		*link = slot;
	}
	else
	{
		PrismEntry *first = &window->entries[*link];

		entry->flags &= ~PRISM_ENTRY_FIRST;
		entry->order_prev = first->order_prev;
		window->entries[entry->order_prev].order_next = slot;
		first->order_prev = slot;
	}
}

/* The next one takes the first one's place in the bucket, and knows the last one. */
static PrismEntry *
unlink_first(PrismWindow *window, PrismEntry *entry, int32 *link)
{
	PrismEntry *next;

	if (entry->order_next == NONE)
	{
		*link = entry->bucket_next;
		return NULL;
	}
	next = &window->entries[entry->order_next];
	next->flags |= PRISM_ENTRY_FIRST;
	next->order_prev = entry->order_prev;
	next->bucket_next = entry->bucket_next;
	*link = entry->order_next;
	return next;
}

PrismEntry *
prism_order_unlink(PrismWindow *window, PrismEntry *entry)
{
	uint32		order = order_of(window, entry);
	int32	   *link;

	if (order == 0)
		return NULL;
	link = find_first(window, order);
	if (entry->flags & PRISM_ENTRY_FIRST)
		return unlink_first(window, entry, link);

	window->entries[entry->order_prev].order_next = entry->order_next;
	if (entry->order_next != NONE)
		window->entries[entry->order_next].order_prev = entry->order_prev;
	else
		window->entries[*link].order_prev = entry->order_prev;
	return NULL;
}

bool
prism_order_follows(PrismWindow *window, const PrismEntry *entry, PrismHolder holder)
{
	const PrismEntry *before = entry;

	do
	{
		before = &window->entries[before->order_prev];
		if (before->state != PRISM_ENTRY_LEASED || before->session != holder.session ||
			(int32) (before->look - holder.since) < 0)
			return false;
		/* what this look has taken follows, so was looked at */
		if (before->look == window->look)
			return true;
	} while ((before->flags & PRISM_ENTRY_FIRST) == 0);
	return true;
}

bool
prism_order_overtaken(PrismWindow *window, const PrismEntry *entry)
{
	const PrismEntry *before = entry;

	while ((before->flags & PRISM_ENTRY_FIRST) == 0)
	{
		before = &window->entries[before->order_prev];
		if (before->lease_id != entry->lease_id)
			return true;
	}
	return false;
}
