/*-------------------------------------------------------------------------
 *
 * record_batch.h
 *	  Small messages of one transaction share a row of the segment.
 *
 * A row costs a tuple header, an index entry and WAL records for both, which is
 * more than a small message itself.  So, as a Kafka producer does, messages
 * that follow each other are put into one record batch, up to a page: the row
 * has the first one's offset, created_at and id, and their number in column
 * messages; its payload is the batch.  A message that is large, or alone, or
 * whose payload is a claim, has a row of its own, which is readable by SQL.
 *
 * The format is portable (pg_dump takes it to machines of the other byte
 * order) and resembles that of Kafka's records:
 *
 *		batch:	version, then records
 *		record: flags, id, created_at as zigzag varint of microseconds after the row's,
 *				then what the flags say: key (length, bytes),
 *				headers (count, then length, bytes of name and value), payload (length, bytes)
 *
 * Keys and headers are in UTF-8 in databases of any encoding.
 * All lengths and counts are varints.  Offsets are not in it: record i has the
 * row's plus i, and 'remaining' minus i.
 *
 * src/store/log/record_batch.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_RECORD_BATCH_H
#define PRISM_RECORD_BATCH_H

#include "base/prism.h"

#include "access/htup_details.h"
#include "datatype/timestamp.h"

/* A row of this many bytes of batch fills a page: tuple header, fixed columns and the batch's own length go off. */
#define PRISM_BATCH_BYTES_MAX ((int) (MaxHeapTupleSize - MAXALIGN(SizeofHeapTupleHeader + 1) - 40 - VARHDRSZ))
/* A message that is larger gets a row of its own. */
#define PRISM_RECORD_BYTES_MAX Min(2000, PRISM_BATCH_BYTES_MAX / 4)
/*
 * So far back a reader looks for the row that holds a position.  It does not
 * depend on the size of a page, which a restore may change.
 */
#define PRISM_BATCH_MESSAGES_MAX 512
/* A longer one, uncompressed, was never written: pages have at most 32 kB. */
#define PRISM_BATCH_READ_MAX (64 * 1024)
/* A row is as old as its first message, to this: what retention goes by. */
#define PRISM_BATCH_SPAN_US USECS_PER_SEC

/* A batch in the making. */
typedef struct PrismBatchBuilder
{
	unsigned char *bytes;
	int			length;
	int			count;
	TimestampTz created_at;		/* what the records' times are counted from */
	pg_uuid_t	id;				/* of the first record */
	int			headers_at;		/* where the last headers written begin and end */
	int			headers_end;
} PrismBatchBuilder;

/* An empty one; its memory comes from the current context. */
extern void prism_batch_init(PrismBatchBuilder *builder);

/* Begin again: times are counted from 'created_at'. */
extern void prism_batch_reset(PrismBatchBuilder *builder, TimestampTz created_at);

/* The message is small enough for a record, and no claim.  Its parts must not be out of line. */
extern bool prism_batch_takes(const PrismMessage *message);

/* False: the batch has no room for it, or is too old. */
extern bool prism_batch_add(PrismBatchBuilder *builder, const PrismMessage *message);

/*
 * The messages of a row, one after the other.  Memory for them comes from the
 * context that was current at prism_row_init(); a message is valid until the
 * next call.
 */
typedef struct PrismRow
{
	MemoryContext mcxt;
	PrismMessage head;			/* the row's own columns */
	int			messages;
	int			next;			/* index of the next message */
	const char *damage;			/* what is wrong with the next one and all after it, as a clause; NULL: nothing */
	bool		plain;			/* its one message is the row */

	/* of a batch */
	struct varlena *detoasted;	/* what was made of the row's payload, if anything */
	const unsigned char *at;
	const unsigned char *end;
	MemoryContext headers_cxt;	/* of the last headers made */
	struct varlena *headers;	/* NULL: there were none in this row */
	struct varlena *key;		/* buffers, used again */
	struct varlena *payload;
	Size		key_max;
	Size		payload_max;
} PrismRow;

extern void prism_row_init(PrismRow *row);

/*
 * Begin with a row: its columns in the order of segment.h.  They must stay
 * valid until the last message was taken.
 */
extern void prism_row_begin(PrismRow *row, const Datum *values, const bool *nulls);

/* Begin with a batch that is no row yet: it is not damaged. */
extern void prism_row_begin_batch(PrismRow *row, const PrismBatchBuilder *builder);

/* False: there are no more, or row->damage says why not.  Never throws for what the row says. */
extern bool prism_row_next(PrismRow *row, PrismMessage *message);

/* Pass over messages below 'offset'. */
extern void prism_row_skip(PrismRow *row, int64 offset);

/* Free what prism_row_begin() and its messages took. */
extern void prism_row_end(PrismRow *row);

#endif							/* PRISM_RECORD_BATCH_H */
