/*-------------------------------------------------------------------------
 *
 * sink_slot.h
 *	  What is in a sink's slot; for the files of store/ that begin with sink.
 *
 * No .c of its name: the slots are those of sink.c.
 *
 * src/store/sink/sink_slot.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_SINK_SLOT_H
#define PRISM_SINK_SLOT_H

#include "store/sink/sink.h"

#include "storage/spin.h"

/* Recorded positions that are remembered, to tell when a message went out. */
#define PRISM_SINK_MARKS 64

typedef struct PrismSinkMark
{
	int64		position;
	TimestampTz at;
} PrismSinkMark;

struct PrismSinkSlot
{
	/* under the table's lock */
	Oid			database;		/* InvalidOid: free */
	int32		sink_id;		/* 0: dropped, and kept only for the process that still serves it */
	int32		topic_id;
	int			pid;			/* of the forwarder that serves it; 0: none does */

	slock_t		mutex;			/* for what follows */
	PrismSinkStatus status;
	PrismSinkShape shape;
	bool		resume;			/* asked for */
	int64		mark_count;		/* all ever; the last PRISM_SINK_MARKS are kept */
	PrismSinkMark marks[PRISM_SINK_MARKS];
};

/* A copy of the slot; false: there is none. */
extern bool prism_sink_copy(int32 sink_id, PrismSinkSlot *copy);

extern void prism_sink_reset_marks(PrismSinkSlot *slot);

#endif							/* PRISM_SINK_SLOT_H */
