/*-------------------------------------------------------------------------
 *
 * segment_index.h
 *	  Index entries of a segment's new rows.
 *
 * Usually a segment has the index of its key and no other, and an entry is one
 * call.  While REINDEX CONCURRENTLY builds another, or when somebody has added
 * one, the executor's general code serves them all.
 *
 * src/store/log/segment_index.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_SEGMENT_INDEX_H
#define PRISM_SEGMENT_INDEX_H

#include "access/htup.h"
#include "storage/itemptr.h"
#include "utils/relcache.h"

typedef struct PrismSegmentIndex PrismSegmentIndex;

/* Columns that such an index has at most: payload segments have two. */
#define PRISM_INDEX_COLUMNS_MAX 2

/*
 * The caller has locked the segment, whose key is its first columns; opened in
 * the current memory context.  55000: it has no index on these that serves.
 */
extern PrismSegmentIndex *prism_segment_index_open(Relation segment, int columns);
extern void prism_segment_index_insert(PrismSegmentIndex *index, HeapTuple tuple, ItemPointer tid, const Datum *keys);
extern void prism_segment_index_close(PrismSegmentIndex *index);

#endif							/* PRISM_SEGMENT_INDEX_H */
