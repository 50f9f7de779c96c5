/*-------------------------------------------------------------------------
 *
 * test.c
 *	  The name beside a position: what prism wrote is understood, and nothing else.
 *
 * test/module/position/test.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"
#include "bgworker/forwarder.h"

#include <stdio.h>

#define ID "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"

static int	tests = 0;
static int	failures = 0;

static void
expect(bool holds, const char *what)
{
	failures += !holds;
	printf("%sok %d - %s\n", holds ? "" : "not ", ++tests, what);
}

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

	expect(prism_position_name_parse(prism_route_metadata(&route, ID, metadata), &name), "what is written is understood");
	expect(name.timeline == 3 && name.generation == 7 && strcmp(name.incarnation, "0123456789abcdef") == 0 &&
		   strcmp(name.last_id, ID) == 0, "in all its parts");
	expect(prism_position_name_parse(prism_route_metadata(&route, "-", metadata), &name) && strcmp(name.last_id, "-") == 0,
		   "also without a message");
	expect(is_refused(""), "nothing is no name");
	expect(is_refused("prism timeline=3 generation=7 incarnation=0123456789abcdef last=\x1b[2J"), "nor is one whose id has escape sequences");
	expect(is_refused("prism timeline=3 generation=7 incarnation=0123456789abcdef last=\xff\xfe"), "or bytes that are no text");
	expect(is_refused("prism timeline=3 generation=7 incarnation=\x1b[2J last=" ID), "or whose process has");
	printf("1..%d\n", tests);
	return failures > 0;
}
