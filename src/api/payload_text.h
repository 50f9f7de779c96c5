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

/* A JSON object or array, white space before it allowed; the bytes need not be text at all. */
extern bool prism_text_is_json(const struct varlena *payload);

/* 22023 for the text form of bytea, "\x" and pairs of hexadecimal digits, and for an array literal of such elements. */
extern void prism_text_refuse_bytes(const struct varlena *payload);

/* The bytes that the text form of bytea stands for; the payload itself when it is not that. */
extern struct varlena *prism_text_to_bytes(struct varlena *payload);

/* The array that the literal stands for: what an array parameter without a type becomes. */
extern ArrayType *prism_text_to_array(text *literal, Oid array_type);

#endif							/* PRISM_API_PAYLOAD_TEXT_H */
