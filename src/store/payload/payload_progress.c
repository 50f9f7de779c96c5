/*-------------------------------------------------------------------------
 *
 * payload_progress.c
 *	  How far sessions are that write, read or copy a payload.
 *
 * A place for each process, which alone writes there: as its first word changes
 * before and after each write, who looks at it sees whether it has read one
 * state, as PostgreSQL does with its own progress views.
 *
 * src/store/payload/payload_progress.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "store/payload/payload_progress.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

typedef struct ProgressPlace
{
	pg_atomic_uint32 changes;	/* odd: what follows is being written */
	PrismPayloadProgress progress;
} ProgressPlace;

static ProgressPlace *places = NULL;
static int	nest_level_begun = 0;	/* of what this process is at; 0: nothing */

Size
prism_payload_progress_shmem_size(void)
{
	return mul_size(MaxBackends, sizeof(ProgressPlace));
}

void
prism_payload_progress_shmem_init(void)
{
	bool		found;

	places = ShmemInitStruct("prism progress", prism_payload_progress_shmem_size(), &found);
	if (found)
		return;
	memset(places, 0, prism_payload_progress_shmem_size());
	for (int i = 0; i < MaxBackends; i++)
		pg_atomic_init_u32(&places[i].changes, 0);
}

static PrismPayloadProgress *
begin_write(void)
{
	ProgressPlace *place = &places[prism_my_proc_number()];

	(void) pg_atomic_fetch_add_u32(&place->changes, 1);	/* with a full barrier, here and below */
	return &place->progress;
}

static void
end_write(void)
{
	(void) pg_atomic_fetch_add_u32(&places[prism_my_proc_number()].changes, 1);
}

void
prism_payload_progress_begin(PrismPayloadWork kind, const PrismTopic *topic, int64 position, int64 bytes_total)
{
	if (places == NULL || bytes_total < PRISM_PAYLOAD_PROGRESS_MIN)
		return;
	*begin_write() = (PrismPayloadProgress) {
		.pid = MyProcPid,.database = MyDatabaseId,.topic_id = topic->topic_id,.position = position,.kind = kind,
		.bytes_total = bytes_total,.since = GetCurrentTimestamp()
	};
	end_write();
	nest_level_begun = GetCurrentTransactionNestLevel();
}

void
prism_payload_progress_add(int64 bytes)
{
	if (nest_level_begun == 0)
		return;
	begin_write()->bytes_done += bytes;
	end_write();
}

void
prism_payload_progress_end(void)
{
	if (nest_level_begun == 0)
		return;
	begin_write()->pid = 0;
	end_write();
	nest_level_begun = 0;
}

void
prism_payload_progress_transaction_end(bool committed)
{
	prism_payload_progress_end();
}

/* What goes on around the savepoint is not told of any more either: work is not done across one. */
void
prism_payload_progress_subabort(int nest_level)
{
	if (nest_level_begun >= nest_level)
		prism_payload_progress_end();
}

/* ---------- looking ---------- */

int
prism_payload_progress_places(void)
{
	return places != NULL ? MaxBackends : 0;
}

bool
prism_payload_progress_look(int place, PrismPayloadProgress *copy)
{
	ProgressPlace *looked = &places[place];

	for (;;)
	{
		uint32		before = pg_atomic_read_u32(&looked->changes);
		uint32		after;

		pg_read_barrier();
		*copy = looked->progress;
		pg_read_barrier();
		after = pg_atomic_read_u32(&looked->changes);
		if (before == after && before % 2 == 0)
			return copy->pid != 0;
		CHECK_FOR_INTERRUPTS();
	}
}
