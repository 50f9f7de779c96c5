/*-------------------------------------------------------------------------
 *
 * payload_text.h
 *	  A payload as text: JSON, plain text, or the text form of bytes.
 *
 * A driver that does not say of which type a parameter is leaves that to the
 * server, and an untyped parameter becomes text: bytes arrive then in the text
 * form of bytea, and would be stored as that text.
 *
 * src/api/payload_text.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_API_PAYLOAD_TEXT_H
#define PRISM_API_PAYLOAD_TEXT_H

#include "utils/array.h"
#include "utils/jsonb.h"

/* A JSON object or array, white space before it allowed; the bytes need not be text at all. */
extern bool prism_text_is_json(const struct varlena *payload);

/*
 * JSON is exchanged in UTF-8, and so is everything else that leaves the
 * database as text.  Only in a database of another encoding there is something
 * to do: a text payload is stored in UTF-8; keys and headers are converted on
 * their way out, so they must be such that they can be (22021, 22P05).
 */
extern struct varlena *prism_payload_to_utf8(struct varlena *payload);
extern void prism_check_goes_out(text *key, Jsonb *headers);

/* 22023 for the text form of bytea, "\x" and pairs of hexadecimal digits, and for an array literal of such elements. */
extern void prism_text_refuse_bytes(const struct varlena *payload);

/* The bytes that the text form of bytea stands for; the payload itself when it is not that. */
extern struct varlena *prism_text_to_bytes(struct varlena *payload);

/* The array that the literal stands for: what an array parameter without a type becomes. */
extern ArrayType *prism_text_to_array(text *literal, Oid array_type);

#endif							/* PRISM_API_PAYLOAD_TEXT_H */
