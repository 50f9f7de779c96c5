/*-------------------------------------------------------------------------
 *
 * without.c
 *	  A prism that was built with none of the libraries.
 *
 * test/module/payload_codec/without.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "store/payload/payload_codec.h"

int
main(void)
{
	char		raw[100];
	bool		right = prism_payload_encoding_built(PRISM_PAYLOAD_PLAIN);

	for (int encoding = PRISM_PAYLOAD_GZIP; encoding <= PRISM_PAYLOAD_LZ4; encoding++)
	{
		PrismPayloadEncoding found;

		/* the word is known, and can be told as not built */
		right = right && prism_payload_encoding_find(prism_payload_encoding_name(encoding), &found) && (int) found == encoding &&
			!prism_payload_encoding_built(encoding) &&
			prism_payload_decode_block(encoding, true, true, "abc", 3, raw, sizeof(raw)) != NULL;
	}
	return right ? 0 : 1;
}
