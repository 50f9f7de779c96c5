/*-------------------------------------------------------------------------
 *
 * position_name.c
 *	  What is written beside a position at the other side: by whom, and of
 *	  which log.
 *
 * Offsets alone do not tell two histories of a log apart: a copy of the
 * database and its original give the same ones to different messages.  So the
 * id of the last message that is out stands there too.
 *
 * src/bgworker/forward/position_name.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "bgworker/forward/forwarder.h"

void
prism_uuid_text(const pg_uuid_t *id, char *text)
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < UUID_LEN; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*text++ = '-';
		*text++ = digits[id->data[i] >> 4];
		*text++ = digits[id->data[i] & 0x0f];
	}
	*text = '\0';
}

/* 'buffer' has PRISM_ERROR_BYTES. */
const char *
prism_route_metadata(const PrismRoute *route, const char *last_id, char *buffer)
{
	const PrismForwarder *forwarder = route->lane->forwarder;

	snprintf(buffer, PRISM_ERROR_BYTES,
			 "prism timeline=%u generation=" INT64_FORMAT " incarnation=%s last=%s",
			 forwarder->installation.timeline, route->lane->generation,
			 forwarder->incarnation, last_id);
	return buffer;
}

/*
 * Anybody who may write to the group can have put it there, and what it says is
 * shown and logged: only what prism writes itself is taken.
 */
bool
prism_position_name_parse(const char *metadata, PrismPositionName *name)
{
	long long	generation;

	if (sscanf(metadata, "prism timeline=%u generation=%lld incarnation=%16[0-9a-f] last=%36[0-9a-f-]",
			   &name->timeline, &generation, name->incarnation, name->last_id) != 4)
		return false;
	name->generation = generation;
	return true;
}
