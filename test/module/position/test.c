/*-------------------------------------------------------------------------
 *
 * test.c
 *	  The name beside a position: what prism wrote is understood, and nothing else.
 *
 * test/module/position/test.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "bgworker/forward/forwarder.h"

#undef printf					/* the system's: this program links nothing of the server */

#include "../tap.h"

#define ID "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"

static bool
is_refused(const char *metadata)
{
	PrismPositionName name = {0};

	return !prism_position_name_parse(metadata, &name) && name.last_id[0] == '\0';
}

int
main(void)
{
	PrismForwarder forwarder = {.incarnation = "0123456789abcdef",.installation.timeline = 3};
	PrismLane	lane = {.forwarder = &forwarder,.generation = 7};
	PrismRoute	route = {.lane = &lane};
	PrismPositionName name = {0};
	char		metadata[PRISM_ERROR_BYTES];

	ok(prism_position_name_parse(prism_route_metadata(&route, ID, metadata), &name), "what is written is understood");
	ok(name.timeline == 3 && name.generation == 7 && strcmp(name.incarnation, "0123456789abcdef") == 0 &&
		   strcmp(name.last_id, ID) == 0, "in all its parts");
	ok(prism_position_name_parse(prism_route_metadata(&route, "-", metadata), &name) && strcmp(name.last_id, "-") == 0,
		   "also without a message");
	ok(is_refused(""), "nothing is no name");
	ok(is_refused("prism timeline=3 generation=7 incarnation=0123456789abcdef last=\x1b[2J"), "nor is one whose id has escape sequences");
	ok(is_refused("prism timeline=3 generation=7 incarnation=0123456789abcdef last=\xff\xfe"), "or bytes that are no text");
	ok(is_refused("prism timeline=3 generation=7 incarnation=\x1b[2J last=" ID), "or whose process has");
	return end_tests();
}
