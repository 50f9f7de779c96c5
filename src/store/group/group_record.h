/*-------------------------------------------------------------------------
 *
 * group_record.h
 *	  What a consumer group writes to the progress log.
 *
 * A record: version, type, group, epoch, and what the type says.
 *
 * src/store/group/group_record.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_GROUP_RECORD_H
#define PRISM_GROUP_RECORD_H

#include "postgres.h"

#define RECORD_VERSION 1

typedef enum RecordType
{
	RECORD_FINISHED = 'F',		/* epoch, count, ranges */
	RECORD_CHECKPOINT = 'C',	/* epoch, covers, base, read_end, count, (offset, attempt) of unfinished ones */
	RECORD_ATTEMPTS = 'A'		/* epoch, count, (offset, attempt, due, first failure) of unfinished ones */
} RecordType;

/* The record is one that prism writes, of this group: nothing that replaying it could stumble over. */
extern bool prism_group_record_is_sound(const void *bytes, Size length, int32 group_id);

#endif							/* PRISM_GROUP_RECORD_H */
