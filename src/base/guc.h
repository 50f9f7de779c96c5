/*-------------------------------------------------------------------------
 *
 * guc.h
 *	  Prism's settings.
 *
 * src/base/guc.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_GUC_H
#define PRISM_GUC_H

/* Places of all kinds of workers. */
#define PRISM_WORKERS_MAX 64

extern bool prism_enabled;		/* workers carry messages */
extern int	prism_max_topics;
extern int	prism_max_topics_per_transaction;
extern int	prism_max_groups;
extern int	prism_group_window;
extern int	prism_max_workers;
extern int	prism_publish_buffer_kb;
extern int	prism_max_inline_payload_kb;
extern int	prism_consume_kb;
extern int	prism_segment_messages;
extern int	prism_payload_segment_kb;
extern int	prism_retention_min;	/* -1: keep for ever */
extern int	prism_worker_memory_kb;
extern char *prism_allowed_endpoints;

extern void prism_define_settings(void);

#endif							/* PRISM_GUC_H */
