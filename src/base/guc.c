/*-------------------------------------------------------------------------
 *
 * guc.c
 *	  Prism's settings: few, as what belongs to a namespace stands in its YAML.
 *
 * src/base/guc.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/extension.h"
#include "base/guc.h"

#include <limits.h>

#include "utils/guc.h"

/* A row with it and its key and headers must stay below 1 GB. */
#define INLINE_PAYLOAD_KB_MAX (1000 * 1024)

bool		prism_enabled = true;
int			prism_max_topics = 256;
int			prism_max_topics_per_transaction = 32;
int			prism_max_groups = 64;
int			prism_group_window = 4096;
int			prism_max_workers = 8;
int			prism_publish_buffer_kb = 8192;
int			prism_max_inline_payload_kb = 16 * 1024;
int			prism_consume_kb = 64 * 1024;
int			prism_segment_messages = 1048576;
int			prism_payload_segment_kb;
int			prism_retention_min = 7 * 24 * 60;
int			prism_worker_memory_kb = 192 * 1024;
char	   *prism_allowed_endpoints = NULL;

/* Settings that size shared memory: fixed at server start.  sql/settings.sql measures the bytes that the texts tell. */
static void
define_startup_settings(void)
{
	DefineCustomIntVariable("prism.max_topics",
							"Sets how many topics the server can keep in shared memory.",
							"About 4264 bytes each, over all databases.",
							&prism_max_topics, 256, 8, 65536,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("prism.max_topics_per_transaction",
							"Sets how many topics one transaction can publish to.",
							"48 bytes for each of them and each allowed connection.",
							&prism_max_topics_per_transaction, 32, 2, 1024,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("prism.max_groups",
							"Sets how many consumer groups can be in use at a time.",
							"About 1024 bytes each, over all databases, and what prism.group_window takes.",
							&prism_max_groups, 64, 1, 4096,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("prism.group_window",
							"Sets how many unfinished messages a consumer group can have.",
							"68 bytes for each of them and each place of prism.max_groups.",
							&prism_group_window, 4096, 64, 1048576,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("prism.max_workers",
							"Sets how many background workers prism may start.",
							"They are taken from max_worker_processes.",
							&prism_max_workers, 8, 1, PRISM_WORKERS_MAX,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
}

void
prism_define_settings(void)
{
	if (prism_preloaded)
		define_startup_settings();

	DefineCustomBoolVariable("prism.enabled",
							 "Lets prism's background workers carry messages.",
							 "When it is off, publishing, consuming and retention go on; nothing is forwarded, delivered when it is due or given to handlers.",
							 &prism_enabled, true,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("prism.publish_buffer",
							"Sets how much memory a transaction's unpublished messages may use before they go to a temporary file.",
							NULL,
							&prism_publish_buffer_kb, 8192, 64, MAX_KILOBYTES,
							PGC_USERSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("prism.max_inline_payload",
							"Sets how large a payload that is kept beside its message may be to be handed over with it.",
							"Of a larger one the message has an empty payload, and headers that tell its size: prism.payload_pieces() reads it.",
							&prism_max_inline_payload_kb, 16 * 1024, 0, INLINE_PAYLOAD_KB_MAX,
							PGC_USERSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("prism.consume_bytes",
							"Sets how many bytes of payloads one call hands over to a consumer.",
							"One message is always handed over, however large it is; those for which there is no room come with the next call.",
							&prism_consume_kb, 64 * 1024, 64, MAX_KILOBYTES,
							PGC_USERSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("prism.segment_messages",
							"Sets how many offsets a segment of a new topic holds.",
							"Space comes back a segment at a time. Existing topics keep theirs.",
							&prism_segment_messages, 1048576, 1024, 1 << 30,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("prism.payload_segment",
							"Sets how large a table of payloads that lie beside the log becomes.",
							"Space comes back by whole tables. One payload lies in one of them, whatever its size, unless it is a stream.",
							&prism_payload_segment_kb, 1024 * 1024, 64, MAX_KILOBYTES,
							PGC_SUSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("prism.retention",
							"Sets how long messages are kept.",
							"A segment is dropped when all of its messages are older and out by every sink. -1 keeps them for ever.",
							&prism_retention_min, 7 * 24 * 60, -1, PG_INT32_MAX,
							PGC_SIGHUP, GUC_UNIT_MIN, NULL, NULL, NULL);
	DefineCustomIntVariable("prism.worker_memory",
							"Sets how much memory a worker may use before it is replaced by a new one.",
							NULL,
							&prism_worker_memory_kb, 192 * 1024, 1024, MAX_KILOBYTES,
							PGC_SIGHUP, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomStringVariable("prism.allowed_endpoints",
							   "Lists the host:port patterns that namespaces may name.",
							   "Comma separated; * stands for any characters but dots and colons. Where brokers were named by somebody who is not superuser, it holds for the addresses that they advertise as well. Empty: only endpoints of foreign servers, and inline ones applied by a superuser.",
							   &prism_allowed_endpoints, "",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
	MarkGUCPrefixReserved("prism");
}
