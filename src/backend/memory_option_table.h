/*-------------------------------------------------------------------------
 *
 * memory_option_table.h
 *	  How the memory back end can be asked to fail.
 *
 * All are whole numbers, 0 or absent: never.
 *
 * src/backend/memory_option_table.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_MEMORY_OPTION_TABLE_H
#define PRISM_MEMORY_OPTION_TABLE_H

typedef enum MemoryOption
{
	MEMORY_AGAIN,
	MEMORY_AWAY,
	MEMORY_STOP,
	MEMORY_QUEUE_MESSAGES,
	MEMORY_REJECT_BYTES,
	MEMORY_RETRY_EVERY,
	MEMORY_DOUBT_EVERY,
	MEMORY_LOSE_EVERY,
	MEMORY_FENCE_EVERY,
	MEMORY_OPTIONS
} MemoryOption;

static const char *const memory_option_names[MEMORY_OPTIONS] = {
	[MEMORY_AGAIN] = "again",	/* operations answer so many times AGAIN first */
	[MEMORY_AWAY] = "away",		/* prepare and fence answer so many times RETRY first, in the whole process */
	[MEMORY_STOP] = "stop",		/* prepare answers STOP */
	[MEMORY_QUEUE_MESSAGES] = "queue_messages", /* so many can wait for a receipt, default 10,000 */
	[MEMORY_REJECT_BYTES] = "reject_bytes", /* a larger payload makes all that was sent since the last receipt REJECT */
	[MEMORY_RETRY_EVERY] = "retry_every",	/* each n-th message is not taken: RETRY */
	[MEMORY_DOUBT_EVERY] = "doubt_every",	/* each n-th commit is done and answered with DOUBT */
	[MEMORY_LOSE_EVERY] = "lose_every", /* each n-th commit is not done and answered with DOUBT */
	[MEMORY_FENCE_EVERY] = "fence_every",	/* each n-th begin finds that somebody else fenced us */
};

#endif							/* PRISM_MEMORY_OPTION_TABLE_H */
