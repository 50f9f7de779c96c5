/*-------------------------------------------------------------------------
 *
 * topic_read.h
 *	  Topics as the catalogue has them: what topic.c keeps.
 *
 * src/store/log/topic_read.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_TOPIC_READ_H
#define PRISM_TOPIC_READ_H

#include "store/log/topic.h"

/*
 * Read a topic's row, by name or else by id, and what belongs to it, all as of
 * one moment.  False: there is none.  What it points to is in the current memory context.
 */
extern bool prism_topic_read(PrismTopic *topic, const char *name, int32 topic_id);

#endif							/* PRISM_TOPIC_READ_H */
