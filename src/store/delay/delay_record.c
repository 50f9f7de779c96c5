/*-------------------------------------------------------------------------
 *
 * delay_record.c
 *	  Records of the journal of delayed messages.
 *
 * A record's key says what it is, where the message goes, when, and whether the
 * message's own key follows.
 *
 * src/store/delay/delay_record.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/delay/delay.h"
#include "store/log/log.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

/* "p-2147483648,-9223372036854775808,k" */
#define ENVELOPE_BYTES 48

text *
prism_delay_seal(const PrismDelayEntry *entry, const PrismMessage *message)
{
	char		envelope[ENVELOPE_BYTES];
	int			envelope_bytes = snprintf(envelope, sizeof(envelope), "%c%d," INT64_FORMAT ",%c",
										  PRISM_DELAY_PUBLISH, entry->topic_id, entry->due_at,
										  message->has_key ? 'k' : '-');
	text	   *own = message->has_key ? DatumGetTextPP(message->key) : NULL;
	int			own_bytes = own != NULL ? VARSIZE_ANY_EXHDR(own) : 0;
	text	   *key = palloc(VARHDRSZ + envelope_bytes + own_bytes);

	SET_VARSIZE(key, VARHDRSZ + envelope_bytes + own_bytes);
	memcpy(VARDATA(key), envelope, envelope_bytes);
	if (own_bytes > 0)
		memcpy(VARDATA(key) + envelope_bytes, VARDATA_ANY(own), own_bytes);
	return key;
}

/* Where the own key begins; -1: nobody can read it. */
static int
read_envelope(text *key, PrismDelayEntry *entry, bool *has_key)
{
	char		envelope[ENVELOPE_BYTES];
	long long	due_at;
	int			bytes;
	char		flag;

	text_to_cstring_buffer(key, envelope, sizeof(envelope));
	if (sscanf(envelope, "p%d,%lld,%c%n", &entry->topic_id, &due_at, &flag, &bytes) != 3 ||
		(flag != 'k' && flag != '-') || entry->topic_id <= 0 || TIMESTAMP_NOT_FINITE(due_at) || !IS_VALID_TIMESTAMP(due_at))
		return -1;
	entry->due_at = due_at;
	*has_key = flag == 'k';
	return bytes;
}

PrismDelayKind
prism_delay_peek(const PrismMessage *record, PrismDelayEntry *entry)
{
	text	   *key;
	PrismDelayKind kind;
	bool		has_key;

	if (!record->has_key)
		return PRISM_DELAY_DAMAGED;
	key = prism_log_value(record->key);
	if (key == NULL)
		return PRISM_DELAY_DAMAGED;
	if (VARSIZE_ANY_EXHDR(key) == 1 && *VARDATA_ANY(key) == PRISM_DELAY_STATE && record->has_payload)
		kind = PRISM_DELAY_STATE;
	else
		kind = read_envelope(key, entry, &has_key) >= 0 ? PRISM_DELAY_PUBLISH : PRISM_DELAY_DAMAGED;
	if (PointerGetDatum(key) != record->key)
		pfree(key);
	return kind;
}

void
prism_delay_unseal(PrismMessage *record)
{
	text	   *key = DatumGetTextPP(record->key);
	PrismDelayEntry entry;
	int			envelope_bytes = read_envelope(key, &entry, &record->has_key);

	Assert(envelope_bytes > 0);
	record->key = PointerGetDatum(cstring_to_text_with_len(VARDATA_ANY(key) + envelope_bytes,
														   VARSIZE_ANY_EXHDR(key) - envelope_bytes));
}
