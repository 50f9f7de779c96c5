/*-------------------------------------------------------------------------
 *
 * endpoint_rule.c
 *	  The one rule of what an endpoint is, and which of them are allowed.
 *
 * The same wherever one is written: brokers of a namespace, the option of a
 * foreign server, patterns of prism.allowed_endpoints, and what a broker says
 * of itself.  The last is asked in threads of a client library, so nothing here
 * calls PostgreSQL.
 *
 * src/backend/endpoint_rule.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend/endpoint_rule.h"

#include <arpa/inet.h>

#define HOST_BYTES_MAX 253
#define DEFAULT_PORT 9092
#define PATTERN_SEPARATORS ", \t\r\n"
#define LIST_SEPARATORS ", "		/* as librdkafka divides a list */

/* Of host names; nothing of it can be taken for a URL, a user, a path, a list or an option. */
#define HOST_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"

/* The host's bytes at the beginning of the text, brackets included; 0: none. */
static size_t
host_length(const char *text)
{
	size_t		bytes;

	if (text[0] == '[')
	{
		char		address[INET6_ADDRSTRLEN];
		unsigned char binary[16];
		const char *end = strchr(text, ']');

		bytes = end != NULL ? end - text - 1 : 0;
		if (bytes == 0 || bytes >= sizeof(address))
			return 0;
		memcpy(address, text + 1, bytes);
		address[bytes] = '\0';
		return inet_pton(AF_INET6, address, binary) == 1 ? bytes + 2 : 0;
	}
	bytes = strspn(text, HOST_CHARACTERS);
	return bytes > HOST_BYTES_MAX || text[0] == '-' || text[0] == '.' ? 0 : bytes;
}

bool
prism_endpoint_parse(const char *text, char *endpoint)
{
	size_t		bytes = host_length(text);
	int			port = DEFAULT_PORT;

	if (bytes == 0)
		return false;
	if (text[bytes] == ':')
	{
		const char *digits = text + bytes + 1;

		if (strspn(digits, "0123456789") != strlen(digits) || strlen(digits) > 5)
			return false;
		port = atoi(digits);
	}
	else if (text[bytes] != '\0')
		return false;
	if (port < 1 || port > 65535)
		return false;
	snprintf(endpoint, PRISM_ENDPOINT_BYTES, "%.*s:%d", (int) bytes, text, port);
	return true;
}

/* Case does not count in host names; of other letters there are none. */
static char
fold(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

/* '*' stands for any characters within one part: it stops at a dot and at a colon. Linear in practice, no recursion. */
static bool
matches_endpoint(const char *pattern, const char *pattern_end, const char *text)
{
	const char *star = NULL;
	const char *star_text = NULL;

	while (*text != '\0')
	{
		if (pattern < pattern_end && *pattern == '*')
		{
			star = pattern++;
			star_text = text;
		}
		else if (pattern < pattern_end && fold(*pattern) == fold(*text))
		{
			pattern++;
			text++;
		}
		else if (star != NULL && *star_text != '.' && *star_text != ':')
		{
			pattern = star + 1;
			text = ++star_text;
		}
		else
			return false;
	}
	while (pattern < pattern_end && *pattern == '*')
		pattern++;
	return pattern == pattern_end;
}

bool
prism_endpoint_allowed(const char *patterns, const char *endpoint)
{
	for (const char *pattern = patterns + strspn(patterns, PATTERN_SEPARATORS); *pattern != '\0';
		 pattern += strspn(pattern, PATTERN_SEPARATORS))
	{
		const char *end = pattern + strcspn(pattern, PATTERN_SEPARATORS);

		if (matches_endpoint(pattern, end, endpoint))
			return true;
		pattern = end;
	}
	return false;
}

PrismEndpointFault
prism_endpoint_judge(const char *text, const char *patterns, char *endpoint)
{
	if (!prism_endpoint_parse(text, endpoint))
		return PRISM_ENDPOINT_MALFORMED;
	return patterns == NULL || prism_endpoint_allowed(patterns, endpoint) ?
		PRISM_ENDPOINT_GOOD : PRISM_ENDPOINT_FORBIDDEN;
}

bool
prism_endpoint_next(const char **list, char *text)
{
	const char *begin = *list + strspn(*list, LIST_SEPARATORS);
	size_t		bytes = strcspn(begin, LIST_SEPARATORS);

	if (bytes == 0 || bytes >= PRISM_ENDPOINT_BYTES)
		return false;
	memcpy(text, begin, bytes);
	text[bytes] = '\0';
	*list = begin + bytes;
	return true;
}

PrismEndpointFault
prism_endpoint_judge_list(const char *list, const char *patterns, char *endpoint)
{
	char		text[PRISM_ENDPOINT_BYTES];
	int			count = 0;

	while (prism_endpoint_next(&list, text))
	{
		PrismEndpointFault fault = prism_endpoint_judge(text, patterns, endpoint);

		if (fault != PRISM_ENDPOINT_GOOD)
			return fault;
		if (++count > PRISM_ENDPOINTS_MAX)
			return PRISM_ENDPOINT_MALFORMED;
	}
	/* nothing may be left: what is too long for an endpoint is none */
	return count > 0 && list[strspn(list, LIST_SEPARATORS)] == '\0' ? PRISM_ENDPOINT_GOOD : PRISM_ENDPOINT_MALFORMED;
}
