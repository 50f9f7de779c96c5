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

/*
 * A row of prism.sink.  config is normalised jsonb with the keys topic (the
 * name at the back end), delivery_guarantee, max_message_size and, when given,
 * brokers ("host:port,..."), partitions, replication, interval_ms, batch_size.
 */
typedef struct PrismSinkRow
{
	int32		sink_id;
	char	   *backend;
	char	   *server;			/* what it is called now; NULL: the endpoint stands in config */
	bool		server_dropped; /* 'server' is what it was called */
	char	   *config;
	bool		any_endpoint;	/* a superuser wrote it */
} PrismSinkRow;

/* 40001: the sink is there, and a statement of this transaction does not see it, as its snapshot is older. */
pg_noreturn extern void prism_sink_unseen(void);

/* The sink of a topic as of now, in the current memory context; NULL: none. */
extern PrismSinkRow *prism_sink_of_topic(int32 topic_id);

/* Make the topic's sink as described, or change it; an existing one keeps its id, position and pause. */
extern void prism_sink_set(int32 topic_id, const char *backend, const char *server, const char *config, bool any_endpoint);

/* Drop the topic's sink if it has one; what waited for it stays in the log. */
extern void prism_sink_drop(int32 topic_id);

#endif							/* PRISM_SINK_DDL_H */
