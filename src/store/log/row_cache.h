/*-------------------------------------------------------------------------
 *
 * row_cache.h
 *	  Rows of a log that this session has read and not delivered yet.
 *
 * What lies below the stable offset never changes, so a row that was read once
 * may be kept from one transaction to the next: consumers of single messages
 * then read the log in blocks.  One topic at a time; whoever changes between
 * topics starts afresh.
 *
 * Rows are needed (the delivery that reads them will return them) or spare
 * (some later delivery may want them).  How many spare ones are worth reading
 * is learnt: where many sessions share a group, most go to others.
 *
 * src/store/log/row_cache.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_ROW_CACHE_H
#define PRISM_ROW_CACHE_H

#include "store/log/topic.h"

/* Keep rows of this topic from now on; those of another one are forgotten. Before any other use in a delivery. */
extern void prism_rows_use(const PrismTopic *topic);

/* How many spare rows it pays to read now. */
extern int	prism_rows_spare(void);

/* Keep a copy; not of a row with parts out of line, which are fetched when it is delivered. Rows come in ascending order. */
extern void prism_rows_keep(const PrismMessage *message, bool spare);

/* False: it is not at hand. The message is valid until rows are kept or forgotten. */
extern bool prism_rows_find(int64 offset, PrismMessage *message);

extern void prism_rows_forget_below(int64 offset);

#endif							/* PRISM_ROW_CACHE_H */
