/*-------------------------------------------------------------------------
 *
 * backend_test.h
 *	  Drives a back end as a forwarder does, and measures each call.
 *
 * test/lib/backend_test/backend_test.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef BACKEND_TEST_H
#define BACKEND_TEST_H

#include "base/prism.h"
#include "base/compat.h"
#include "backend/queue.h"

#include "lib/stringinfo.h"

/*
 * An operation returns within 100 ms (backend.h).  The limit here leaves room
 * for a machine that runs other things; a call that waits for the network takes
 * seconds.
 */
#define CALL_LIMIT_MS 500

/* A connection under test. */
typedef struct Subject
{
	MemoryContext mcxt;
	PrismConn  *conn;
	const PrismQueueOps *queue;
	PrismQueueTarget target;
	PrismQueueShape shape;		/* of the target, as it was told last */
	double		slowest_ms;		/* of all calls so far */
	const char *slowest_call;
} Subject;

/* What collect() has said so far. */
typedef struct Tally
{
	int64		count[PRISM_STOP + 1];
	int			last_bad_code;
} Tally;

extern const char *brokers;		/* arguments of the running scenario: the brokers' address, */
extern const char *direct;		/* and the one that goes around the proxy */

/* backend_test.c */
extern const char *outcome_name(PrismOutcome outcome);
extern void expect(bool holds, const char *format, ...) pg_attribute_printf(2, 3);
extern void expect_outcome(Subject *subject, const char *call, PrismOutcome got, PrismOutcome wanted);
extern Subject *subject_open(const char *backend, const char *transactional_id, List *options);
extern void subject_close(Subject *subject);
extern List *options_of(const char *name, ...);
extern PrismOutcome subject_prepare(Subject *subject, const char *topic, int partitions);
extern PrismOutcome subject_look(Subject *subject);
extern PrismOutcome subject_reshape(Subject *subject, int partitions);
extern PrismOutcome subject_fence(Subject *subject);
extern PrismOutcome subject_position(Subject *subject, int64 *position, char *metadata);
extern PrismOutcome subject_position_write(Subject *subject, int64 position, const char *metadata);
extern PrismOutcome subject_begin(Subject *subject);
extern PrismOutcome subject_commit(Subject *subject, int64 position, const char *metadata);
extern PrismOutcome subject_abort(Subject *subject, Tally *tally);
extern PrismOutcome subject_send(Subject *subject, const PrismMessage *message, uint64 tag, Tally *tally);
extern void subject_collect(Subject *subject, int64 wanted, Tally *tally);
extern int64 tally_total(const Tally *tally);
extern PrismMessage message_of(int64 offset, const char *key, const char *payload, Size payload_bytes);
extern double now_ms(void);
extern void tell(const char *sign);
extern void wait_for(const char *sign);
extern PrismOutcome subject_commit_once(Subject *subject, int64 position, const char *metadata);
extern void subject_wait(Subject *subject, Tally *tally);

/* peer.c: librdkafka used directly, as any other client would */
typedef void (*RecordCheck) (void *state, int32 partition, const char *key, Size key_bytes,
							 const char *value, Size value_bytes, const char *id, int64 timestamp_ms);
extern int64 peer_read(const char *topic, bool committed_only, RecordCheck check, void *state);
extern double peer_produce_rate(const char *topic, int64 messages, Size payload_bytes, bool transactional, int64 batch);
extern void peer_late_commit(const char *topic);
extern void peer_create_topic(const char *topic, int partitions, const char *max_message_bytes);


/* scenario.c */
#define SEND_MESSAGES 100000
#define KEYS 100

typedef struct OrderState
{
	int64		last[KEYS];
	int			partition[KEYS];
	int64		count;
	bool		seen[SEND_MESSAGES];
} OrderState;

typedef struct Numbers
{
	int64		count;
	int64		sum;
} Numbers;

typedef void (*Scenario) (StringInfo report);
extern Scenario scenario_find(const char *name);
extern const char *new_name(const char *prefix);
extern List *kafka_options(void);
extern Subject *open_kafka(const char *transactional_id);
extern void send_numbers(Subject *subject, int64 from, int64 to, Tally *tally);
extern void expect_all(const char *topic);
extern void sum_numbers(void *numbers, int32 partition, const char *key, Size key_bytes,
						const char *value, Size value_bytes, const char *id, int64 timestamp_ms);
extern PrismOutcome send_alone(Subject *subject, const char *key, const char *payload, Size payload_bytes);
extern char *noise(Size bytes);

extern void send_in_order(StringInfo report);
extern void transactions(StringInfo report);
extern void fencing(StringInfo report);
extern void partitions(StringInfo report);
extern void more_partitions(StringInfo report);
extern void shapes(StringInfo report);
extern void too_large(StringInfo report);
extern void small_topic(StringInfo report);
extern void purging(StringInfo report);
extern void broker_away(StringInfo report);
extern void refused_options(StringInfo report);
extern void refused_numbers(StringInfo report);
extern void latency(StringInfo report);
extern void rate_idempotent(StringInfo report);
extern void rate_transactional(StringInfo report);
extern void late_commit(StringInfo report);
extern void late_commit_bare(StringInfo report);
extern void swallowed(StringInfo report);
extern void unstable_position(StringInfo report);
extern void broker_killed(StringInfo report);
extern void broker_killed_in_transaction(StringInfo report);
extern void memory_faults(StringInfo report);
extern void memory_tells_repetition(StringInfo report);
extern void memory_rejects(StringInfo report);
extern void left_open(StringInfo report);

#endif							/* BACKEND_TEST_H */
