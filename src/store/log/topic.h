/*-------------------------------------------------------------------------
 *
 * topic.h
 *	  Topics: the catalogue entry, cached in each backend.
 *
 * src/store/log/topic.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_TOPIC_H
#define PRISM_TOPIC_H

#include "base/prism.h"
#include "base/generation.h"

#include "base/compat.h"
#include "store/log/topic_policy.h"

#include "mb/pg_wchar.h"
#include "nodes/pg_list.h"
#include "storage/lockdefs.h"
#include "utils/jsonb.h"

struct PrismChain;
struct PrismCounter;

/*
 * A topic as this backend knows it.  It stays where it is until the end of the
 * session; look-ups after an invalidation refresh it, and never make another
 * topic of it: one that has its name now is elsewhere, and this one out of date.
 */
typedef struct PrismTopic
{
	char		name[PRISM_TOPIC_NAME_MAX + 1];
	int32		topic_id;
	int32		namespace_id;	/* 0: prism's own topic */
	char		namespace_name[PRISM_TOPIC_NAME_MAX + 1];
	Oid			rights_relid;	/* prism_log.namespace_<id>, whose ACL holds the namespace's rights */
	Oid			mark_relid;		/* prism_log.topic_<id>_mark; its lock is the topic's lock */
	int64		segment_messages;
	int64		message_bytes_max;
	PrismTopicPolicy policy;
	int64		dropped_end;	/* the position after the last message that retention has dropped; 0: none was */
	TimestampTz dropped_until;	/* when that was published */
	int64		payload_cleaned;	/* no claim below has its payload any more; prism_payload_cleaned() has it as of now */
	int32		dead_letter_of; /* whose dead letters it holds; 0: nobody's */
	int32		dead_letters;	/* the topic that holds its own; 0: there is none */
	struct PrismCounter *counter;	/* the shared state; see prism_topic_lock() */
	Jsonb	   *stored_chain;	/* its patterns, as they lie in prism.topic.chain */
	struct PrismChain *chain;	/* made of that (pattern/chain.c); NULL: not yet */
	uint64		known_at;		/* the generation of the catalogue that it is of; 0: out of date for good */
	const char *damage;			/* what is wrong with the catalogue's row; NULL: nothing. Such a one is in no cache */
	int			incompressible; /* batches that are not worth compressing (row.h) */

	/* the segment this backend wrote last */
	int64		segment_number;
	Oid			segment_relid;
	Oid			segment_index_relid;
} PrismTopic;

/* What a namespace may allow a role. Kept as PostgreSQL's privileges on the namespace's rights view. */
typedef enum PrismPrivilege
{
	PRISM_PUBLISH,				/* INSERT */
	PRISM_CONSUME,				/* UPDATE */
	PRISM_READ,					/* SELECT */
	PRISM_ADMIN					/* REFERENCES */
} PrismPrivilege;

/* Room for a name that somebody gives: what is cut off at a character still leaves more than any topic's name has. */
#define PRISM_TOPIC_NAME_GIVEN (PRISM_TOPIC_NAME_MAX + MAX_MULTIBYTE_CHAR_LEN + 1)

/* The progress log of a database: positions of groups and sinks. */
#define PRISM_PROGRESS_TOPIC "__prism_progress"
/* Names of user topics must not begin so. */
#define PRISM_RESERVED_PREFIX "__prism"

/* Nothing was heard, since it was read, that could have changed it. */
static inline bool
prism_topic_is_current(const PrismTopic *topic)
{
	return prism_catalog_is_of(topic->known_at);
}

/*
 * Find a topic and take its lock (AccessShareLock until the end of the
 * transaction): while it is held nobody can drop the topic, and
 * topic->counter may be used.  NULL, or 42704 with a hint, when there is none.
 */
extern PrismTopic *prism_topic_lookup(const char *name, bool missing_ok);

/* The topic is in the catalogue, but its sequence is not in the database: half of a dump was restored. */
extern bool prism_topic_lost_mark(const char *name);

/* 42704 for a topic that is not there, with the nearest name. */
pg_noreturn extern void prism_topic_missing(const char *name);
extern PrismTopic *prism_topic_lookup_id(int32 topic_id, bool missing_ok);

/*
 * The same for those who change or drop it, and touch none of its messages: one
 * without a place in shared memory is a copy in the current memory context, its
 * counter NULL.
 */
extern PrismTopic *prism_topic_lookup_placeless(int32 topic_id, bool missing_ok);

/*
 * The same for those who serve or show all topics: never waits for a
 * transaction that makes or drops one.  NULL: it is being made or dropped or
 * finds no place in shared memory (*busy), or is gone: that is for ever.
 */
extern PrismTopic *prism_topic_try(const char *name, bool *busy);
extern PrismTopic *prism_topic_try_id(int32 topic_id, bool *busy);

/* The same for those who only tell how it stands: also one without a place, as prism_topic_lookup_placeless(). */
extern PrismTopic *prism_topic_look_id(int32 topic_id, bool *busy);

/* Let go of a lock before the transaction ends: what was looked up may not be used any more. */
extern void prism_topic_release(const PrismTopic *topic);

/* The names of all topics but prism's own, as List of char *. */
extern List *prism_topic_names(void);

/* The role holds the privilege on the namespace with this rights view: by what was granted, pg_read_all_data and pg_write_all_data do not count. */
extern bool prism_rights_allow(Oid rights_relid, Oid role, PrismPrivilege privilege);

/* Grows when something is heard of that may change what roles hold: who keeps an answer keeps it beside it, as it was before he asked. */
extern uint64 prism_rights_generation(void);

/* Does the current user hold the privilege?  Superusers and the extension's owner do. */
extern bool prism_topic_allows(const PrismTopic *topic, PrismPrivilege privilege);
extern bool prism_topic_allows_role(const PrismTopic *topic, PrismPrivilege privilege, Oid role);

/* Is the current user shown that the topic exists?  Any privilege will do, and the right to read all statistics. */
extern bool prism_topic_is_visible(const PrismTopic *topic);

/* Look up and check; a caller without any right gets 42501 whether or not the topic exists. */
extern PrismTopic *prism_topic_for(const char *name, PrismPrivilege privilege);

/* 42704 unless the topic belongs to the namespace. */
extern void prism_topic_check_namespace(const PrismTopic *topic, const char *namespace_name);

/* Why the name cannot be that of a Kafka topic, or is prism's own, as a sentence; NULL: it can be taken. */
extern const char *prism_topic_name_fault(const char *name);

/*
 * Make a topic: catalogue row, counter, first segment.  'topic_id' is the next of prism_next_object_id(), as what its
 * chain names may have that as well; 'policy' is a text as topic_policy.h makes it, 'chain' one that pattern/chain.c takes;
 * 'dead_letter_of' is the topic whose dead letters it is for, 0: an ordinary one.  Runs as the extension's owner; visible
 * to others at commit.
 */
extern void prism_topic_create(int32 topic_id, const char *name, int32 namespace_id, int64 message_bytes_max,
							   const char *policy, const char *chain, int32 dead_letter_of);
/* Change what may change. */
extern void prism_topic_alter(int32 topic_id, const char *name, int64 message_bytes_max,
							  const char *policy, const char *chain);

/* Lock the topic's row for prism_topic_note_dropped(); false: an apply() has it, which may take long. */
extern bool prism_topic_try_row(int32 topic_id);
/* Messages were dropped up to the one before 'end', which was published at 'until'. */
extern void prism_topic_note_dropped(int32 topic_id, int64 end, TimestampTz until);

/* Wait for those who use any topic, and keep others out: before the extension is dropped. */
extern void prism_topic_lock_all(void);

/*
 * Wait for those who use the topic, and keep others out, to the end of the
 * transaction: for questions whose answer must still be right at its end.
 */
extern void prism_topic_shut(int32 topic_id);

/* Nothing was asked or done: let them in again. */
extern void prism_topic_open_again(int32 topic_id);

/* Drop a topic with its messages, groups and sinks; takes AccessExclusiveLock on it first. */
extern void prism_topic_drop(int32 topic_id);

#endif							/* PRISM_TOPIC_H */
