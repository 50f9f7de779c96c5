/*-------------------------------------------------------------------------
 *
 * record_format.h
 *	  Of the format of record batches (record_batch.h), what their writer and their reader share.
 *
 * No .c of its name: numbers for record_batch.c and record_read.c.
 *
 * src/store/log/record_format.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_RECORD_FORMAT_H
#define PRISM_RECORD_FORMAT_H

#define BATCH_VERSION 1

/* Flags of a record. */
#define RECORD_KEY (1 << 0)
#define RECORD_HEADERS (1 << 1)
#define RECORD_PAYLOAD (1 << 2)
#define RECORD_SAME_HEADERS (1 << 3)	/* those of the last record that had any of its own */
#define RECORD_FLAGS (RECORD_KEY | RECORD_HEADERS | RECORD_PAYLOAD | RECORD_SAME_HEADERS)

/* A varint of 64 bits has at most ten bytes. */
#define VARINT_BYTES_MAX 10

/* Flags, id, time: no record is smaller. */
#define RECORD_BYTES_MIN (1 + UUID_LEN + 1)

/*
 * A record's bytes beside its parts: flags, id, time and three lengths.  What
 * headers need beside their strings is less than in jsonb, which counts.
 */
#define RECORD_OVERHEAD_MAX (1 + UUID_LEN + 4 * VARINT_BYTES_MAX)

#endif							/* PRISM_RECORD_FORMAT_H */
