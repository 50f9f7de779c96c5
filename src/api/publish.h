/*-------------------------------------------------------------------------
 *
 * publish.h
 *	  Publishing from C: what prism.publish(), the outbox views and
 *	  prism.transaction() have in common.
 *
 * src/api/publish.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_PUBLISH_H
#define PRISM_PUBLISH_H

#include "base/compat.h"
#include "store/log/topic.h"
#include "store/payload/claim.h"

#include "utils/jsonb.h"

/* How the payload was given: decides the content type. */
typedef enum PrismPayloadForm
{
	PRISM_PAYLOAD_BYTES,
	PRISM_PAYLOAD_TEXT,			/* JSON when it parses as an object or array */
	PRISM_PAYLOAD_JSON
} PrismPayloadForm;

/*
 * Check, fill in id, time and content type, and hand to the chain.  payload is
 * bytea (or text, the same bytes), NULL for a tombstone; bytes may be out of line
 * where they come in pieces (payload_make.h).  key and headers may be NULL.
 * Returns the id.
 */
extern pg_uuid_t prism_publish(PrismTopic *topic, PrismPayloadForm form, struct varlena *payload,
							   text *key, Jsonb *headers);

/* What has become of it. */
typedef struct PrismPublished
{
	pg_uuid_t	id;
	TimestampTz created_at;
	Jsonb	   *headers;		/* with those that prism adds; NULL: none */
} PrismPublished;

/* No deliver_at was given. */
#define PRISM_DELIVER_AT_ONCE DT_NOBEGIN

/*
 * Likewise with an id that the caller chose (NULL: a new one), and a time before
 * which the message is not delivered: a finite one, or PRISM_DELIVER_AT_ONCE.
 */
extern PrismPublished prism_publish_as(PrismTopic *topic, const pg_uuid_t *id, TimestampTz deliver_at,
									   PrismPayloadForm form, struct varlena *payload, text *key,
									   Jsonb *headers);

/* Likewise of a payload that lies beside the log already: the message has the claim to it. */
extern PrismPublished prism_publish_claim(PrismTopic *topic, TimestampTz deliver_at, const PrismClaim *claim, text *key,
										  Jsonb *headers);

/* 54000 for a payload that is larger than the topic takes. */
pg_noreturn extern void prism_publish_refuse_size(const PrismTopic *topic, int64 bytes);

static inline void
prism_publish_check_size(const PrismTopic *topic, int64 bytes)
{
	if (unlikely(bytes > topic->message_bytes_max))
		prism_publish_refuse_size(topic, bytes);
}

/* 22023 unless it can be a deliver_at. */
extern TimestampTz prism_publish_check_time(TimestampTz deliver_at);

/* The topic that publish() names, with the right to publish; checks the namespace when given. */
extern PrismTopic *prism_publish_topic(text *topic_name, text *namespace_name);

/* The bytes of a jsonb value's text. */
extern struct varlena *prism_jsonb_bytes(Jsonb *value);

#endif							/* PRISM_PUBLISH_H */
