/*-------------------------------------------------------------------------
 *
 * group_delivery.c
 *	  Fetching what was taken, and giving back what is not handed over.
 *
 * src/store/group/group_delivery.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/group/group_delivery.h"
#include "store/log/message_copy.h"
#include "store/log/row_cache.h"
#include "store/payload/payload_open.h"

#include "miscadmin.h"
#include "utils/memutils.h"

/* Rows that are nearer than this are reached by scanning on, not by a new scan. */
#define SCAN_ON_MAX 32

bool
prism_delivery_buried(const PrismDelivery *delivery)
{
	return delivery->buried;
}

int
prism_delivery_count(const PrismDelivery *delivery)
{
	return delivery->taken_count;
}

int64
prism_delivery_lease(const PrismDelivery *delivery)
{
	return delivery->holder.lease_id;
}

bool
prism_delivery_limited(const PrismDelivery *delivery)
{
	return delivery->limited;
}

bool
prism_delivery_starved(const PrismDelivery *delivery)
{
	return delivery->starved;
}

/* ---------- rows ---------- */

static void
close_reader(PrismDelivery *delivery)
{
	if (delivery->reader != NULL)
		prism_reader_close(delivery->reader);
	delivery->reader = NULL;
	delivery->row_valid = false;
}

/* The row of an offset, good or damaged; false: it is gone (retention). */
static bool
fetch_row(PrismDelivery *delivery, int64 offset, PrismMessage *message, bool *damaged)
{
	PrismMessage *row = &delivery->row;

	if (prism_rows_find(offset, message))
	{
		*damaged = false;
		return true;
	}
	if (delivery->reader == NULL || prism_reader_position(delivery->reader) + SCAN_ON_MAX < offset)
	{
		close_reader(delivery);
		delivery->reader = prism_reader_open(delivery->ref->topic, offset);
	}
	while (!delivery->row_valid || row->offset < offset)
	{
		if (!prism_reader_look(delivery->reader, row))
		{
			close_reader(delivery);
			return false;
		}
		delivery->row_valid = true;
		delivery->damaged = prism_reader_damage(delivery->reader) != NULL;
	}
	*message = *row;
	*damaged = delivery->damaged;
	return row->offset == offset;
}

/*
 * The row is gone.  Retention has just taken it, or a restore brought the
 * topic without its messages: then the group passes them, as nobody can ever
 * get them.
 */
static void
pass_lost_row(PrismDelivery *delivery, int64 offset)
{
	PrismGroup *group = delivery->ref->group;
	PrismEntry *entry;
	int32		available;
	bool		wake;

	prism_log_refuse_lost(delivery->ref->topic, offset, delivery->ref->name);
	prism_group_lock(delivery->ref, LW_EXCLUSIVE);
	available = group->window->counts[PRISM_ENTRY_AVAILABLE];
	entry = prism_window_find(group->window, offset);
	if (entry != NULL && entry->state == PRISM_ENTRY_LEASED &&
		entry->lease_id == delivery->holder.lease_id)
		prism_window_finish(group->window, entry);
	wake = group->window->counts[PRISM_ENTRY_AVAILABLE] > available;
	prism_group_unlock(group);
	if (wake)
		prism_counter_wake(delivery->ref->topic->counter);
	ereport(WARNING,
			errcode(ERRCODE_NO_DATA),
			errmsg("message " INT64_FORMAT " of topic \"%s\" was lost before consumer group \"%s\" got it",
				   offset, delivery->ref->topic->name, delivery->ref->name),
			errdetail("Its row is missing from its segment."));
}

void
prism_delivery_continue(PrismDelivery *delivery)
{
	delivery->continues = true;
}

bool
prism_delivery_cut(const PrismDelivery *delivery)
{
	return delivery->cut;
}

void
prism_delivery_refuse(const PrismDelivery *delivery)
{
	prism_reader_refuse(delivery->reader);
}

void
prism_delivery_bound(PrismDelivery *delivery, int64 room, bool some)
{
	delivery->room = room;
	delivery->counted = some;
}

void
prism_delivery_uncount(PrismDelivery *delivery)
{
	delivery->room += delivery->payload_bytes;
	delivery->counted--;
}

int64
prism_delivery_room(const PrismDelivery *delivery)
{
	return delivery->room;
}

bool
prism_delivery_full(const PrismDelivery *delivery)
{
	return delivery->full;
}

/* False: the delivery is full. */
static inline bool
count_payload(PrismDelivery *delivery, const PrismMessage *message)
{
	int64		bytes = message->claim ? prism_message_payload_size(message) : prism_message_payload_bytes(message);

	if (bytes > delivery->room && delivery->counted > 0)
		return false;
	delivery->room -= bytes;
	delivery->payload_bytes = bytes;
	delivery->counted++;
	return true;
}

bool
prism_delivery_next(PrismDelivery *delivery, PrismMessage *message, int *attempt)
{
	while (delivery->next < delivery->taken_count)
	{
		PrismTaken *taken = &delivery->taken[delivery->next];
		MemoryContext caller;
		bool		found;
		bool		damaged;

		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(delivery->row_cxt);
		caller = MemoryContextSwitchTo(delivery->mcxt);
		found = fetch_row(delivery, taken->offset, message, &damaged);
		MemoryContextSwitchTo(caller);
		if (found && damaged)
		{
			/* those before it come first: then it can be led past without losing any */
			if (delivery->next == 0 && !delivery->continues)
				prism_delivery_refuse(delivery);
			delivery->cut = true;
			prism_delivery_return_rest(delivery);
			break;
		}
		if (!found)
		{
			pass_lost_row(delivery, taken->offset);
			delivery->taken_count--;
			memmove(taken, taken + 1, (delivery->taken_count - delivery->next) * sizeof(PrismTaken));
			continue;
		}
		if (!count_payload(delivery, message))
		{
			delivery->full = true;
			prism_delivery_return_rest(delivery);
			break;
		}
		delivery->next++;
		*attempt = taken->attempt;
		caller = MemoryContextSwitchTo(delivery->row_cxt);
		prism_message_fetch(message);
		MemoryContextSwitchTo(caller);
		return true;
	}
	return false;
}

void
prism_delivery_return_rest(PrismDelivery *delivery)
{
	int			count = delivery->taken_count - delivery->next;
	int64	   *positions = MemoryContextAlloc(delivery->mcxt, (count + 1) * sizeof(int64));

	for (int i = 0; i < count; i++)
		positions[i] = delivery->taken[delivery->next + i].offset;
	delivery->taken_count = delivery->next;
	prism_group_untake(delivery->ref, positions, count, delivery->holder.lease_id);
}

void
prism_delivery_keep(PrismDelivery *delivery, bool (*is_wanted) (int64 position, const void *arg), const void *arg)
{
	int64	   *unwanted = MemoryContextAlloc(delivery->mcxt, (delivery->taken_count + 1) * sizeof(int64));
	int			kept = 0;
	int			count = 0;

	for (int i = 0; i < delivery->taken_count; i++)
	{
		if (is_wanted(delivery->taken[i].offset, arg))
			delivery->taken[kept++] = delivery->taken[i];
		else
			unwanted[count++] = delivery->taken[i].offset;
	}
	delivery->taken_count = kept;
	prism_group_untake(delivery->ref, unwanted, count, delivery->holder.lease_id);
}

/* Read on for the next delivery while a scan is open: finding the place again would cost more. */
static void
read_spare_rows(PrismDelivery *delivery)
{
	PrismMessage message;

	prism_reader_stay(delivery->reader);
	while (prism_rows_spare() > 0 && prism_reader_position(delivery->reader) < delivery->read_end &&
		   prism_reader_look(delivery->reader, &message))
	{
		if (prism_reader_damage(delivery->reader) == NULL)
			prism_rows_keep(&message, true);
	}
}

void
prism_delivery_close(PrismDelivery *delivery)
{
	if (delivery->next > 0)
		prism_rows_forget_below(delivery->taken[delivery->next - 1].offset + 1);
	if (delivery->reader != NULL)
		read_spare_rows(delivery);
	close_reader(delivery);
	MemoryContextDelete(delivery->mcxt);
}
