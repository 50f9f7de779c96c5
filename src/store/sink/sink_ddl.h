/*-------------------------------------------------------------------------
 *
 * sink_ddl.h
 *	  Making, changing and dropping sinks.
 *
 * src/store/sink/sink_ddl.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_SINK_DDL_H
#define PRISM_SINK_DDL_H

#include "base/prism.h"
#include "base/compat.h"

#include "nodes/pg_list.h"

/*
 * A row of prism.sink.  config is normalised jsonb with the keys topic (the
 * name at the back end), delivery_guarantee, max_message_size and, when given,
 * brokers ("host:port,..."), partitions, replication, interval_ms, batch_size.
 *
 * A topic has any number of sinks up to PRISM_SINKS_OF_TOPIC_MAX, each with a
 * name, a position and a pause of its own.  At most one is the topic's own: that
 * of its namespace's backend, which prism.apply() looks after, and which is told
 * by this mark, not by its name.  The others belong to what added them.
 */
typedef struct PrismSinkRow
{
	int32		sink_id;		/* 0: it is to be made */
	char	   *name;
	bool		own;
	char	   *backend;
	char	   *server;			/* what it is called now; NULL: the endpoint stands in config */
	bool		server_dropped; /* 'server' is what it was called */
	char	   *config;
	char	   *target;			/* of config: the topic at the back end; NULL: it was edited */
	char	   *brokers;		/* of config, comma separated, or NULL */
	bool		any_endpoint;	/* a superuser wrote it */
} PrismSinkRow;

/* Why a topic cannot have a sink beside those that it has. */
typedef struct PrismSinkClash
{
	int			sqlerrcode;
	const char *message;
	const char *hint;			/* or NULL */
} PrismSinkClash;

/* 40001: the sink is there, and a statement of this transaction does not see it, as its snapshot is older. */
pg_noreturn extern void prism_sink_unseen(void);

/* The sinks of a topic as of now (PrismSinkRow, by id), in the current memory context. */
extern List *prism_sinks_of_topic(int32 topic_id);

/* Of each topic its own one, as of one moment; of one the one of a name. NULL: there is none. */
extern PrismSinkRow **prism_sinks_own(const int32 *topic_ids, int count);
extern PrismSinkRow *prism_sink_find(int32 topic_id, const char *name);

/* NULL: the topic can have it, in the place of the one with its id if that is given.  What prism_sink_put() would say. */
extern const PrismSinkClash *prism_sink_clash(int32 topic_id, const PrismSinkRow *sink);

/*
 * Make a sink of the topic, or change the one with this id, which keeps it, and
 * its position and pause.  A new one begins with the first message kept, unless
 * its position is recorded (prism_sink_record()) in the same transaction, or the
 * other side has one of it (exactly once, and it was there before).
 * Returns the id.  42710: another one of the topic has the name, or the same place
 * at the same server; 54000: it has as many as it may have.  The caller keeps
 * others from changing the topic's sinks.
 */
extern int32 prism_sink_put(int32 topic_id, const PrismSinkRow *sink);

/* Drop a sink; what waited for it stays in the log.  Nobody uses the topic meanwhile (prism_topic_shut()). */
extern void prism_sink_drop(const PrismSinkRow *sink);

/*
 * It is another one from now on, with the id that is returned: without a position
 * and without a server, which prism_sink_put() is to give.  Its pause stays.
 * Likewise nobody uses the topic.
 */
extern int32 prism_sink_renew(const PrismSinkRow *sink);

/* All that the topic has. */
extern void prism_sink_drop_all(int32 topic_id);

#endif							/* PRISM_SINK_DDL_H */
