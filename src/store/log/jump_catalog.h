/*-------------------------------------------------------------------------
 *
 * jump_catalog.h
 *	  The rows of prism.jump: offsets that hold no message.
 *
 * src/store/log/jump_catalog.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_JUMP_CATALOG_H
#define PRISM_JUMP_CATALOG_H

#include "store/log/counter.h"

#include "nodes/pg_list.h"

/* Jumps that hold something of [from, to): list of PrismJump, newest first, at most 'max' unless that is 0. */
extern List *prism_jump_read(int32 topic_id, int64 from, int64 to, int max);

/* Add one. */
extern void prism_jump_insert(int32 topic_id, const PrismJump *jump);
/* Delete those of which no offset is kept; likewise. */
extern void prism_jump_delete_past(int32 topic_id, int64 kept_from);

#endif							/* PRISM_JUMP_CATALOG_H */
