/*-------------------------------------------------------------------------
 *
 * message.h
 *	  The lease in a prism.message, and topic and group as arguments.
 *
 * src/api/message.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_API_MESSAGE_H
#define PRISM_API_MESSAGE_H

#include "api/arguments.h"
#include "store/group/group.h"
#include "store/log/message_row.h"
#include "store/log/topic.h"

#include "access/htup.h"
#include "access/tupdesc.h"
#include "fmgr.h"
#include "utils/timestamp.h"

/* What an acknowledgement needs of a message. */
typedef struct PrismMessageLease
{
	text	   *topic;
	text	   *group;
	int64		position;
	int64		lease_id;
} PrismMessageLease;

/* Take a prism.message apart; 22004 and 22023 for one that was not handed out. */
extern PrismMessageLease prism_message_lease(HeapTupleHeader row);

/* ---------- topic and group ---------- */

/*
 * Where a group shall go: "earliest", "latest", a position or a time.  22023
 * with the reason for a place that the log does not have, 22007 for text
 * that is none of these.
 */
extern int64 prism_position_argument(PrismTopic *topic, const char *text, const char *name);

/*
 * 55000 without preload, 25006 during recovery; those that change what others
 * get are also refused in read-only transactions, as nextval() is, and in
 * parallel mode.
 */
extern void prism_require_primary(const char *function);
extern void prism_require_writable(const char *function);

/* The topic for 'privilege'; requires a primary. */
extern PrismTopic *prism_topic_argument(text *name, PrismPrivilege privilege, const char *function);

/*
 * Topic and group, for the right to consume.  Asked for again and again within
 * a transaction, the answer is remembered.  NULL: another transaction makes,
 * alters or drops the group and has not ended by 'until' (PRISM_NEVER: it is
 * waited for).
 */
extern PrismGroupRef *prism_group_argument(text *topic, text *group, PrismGroupMissing missing, PrismInstant until,
										   const char *function, PrismTopic **found_topic);

#endif							/* PRISM_API_MESSAGE_H */
