/*-------------------------------------------------------------------------
 *
 * endpoint_rule.h
 *	  What an endpoint is, and which of them are allowed.
 *
 * No function here calls PostgreSQL.
 *
 * src/backend/endpoint_rule.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_ENDPOINT_RULE_H
#define PRISM_ENDPOINT_RULE_H

/* host:port, with room for the longest host name */
#define PRISM_ENDPOINT_BYTES 264

/* So many endpoints may be named in one place. */
#define PRISM_ENDPOINTS_MAX 32

typedef enum PrismEndpointFault
{
	PRISM_ENDPOINT_GOOD,
	PRISM_ENDPOINT_MALFORMED,	/* not an endpoint, or none, or too many of them */
	PRISM_ENDPOINT_FORBIDDEN	/* one that no pattern allows */
} PrismEndpointFault;

/*
 * host, host:port, [address] or [address]:port, written to endpoint (of
 * PRISM_ENDPOINT_BYTES) with its port, 9092 by default; false: it is none.
 */
extern bool prism_endpoint_parse(const char *text, char *endpoint);

/* One of the patterns, as of prism.allowed_endpoints, matches the endpoint as parsed. */
extern bool prism_endpoint_allowed(const char *patterns, const char *endpoint);

/* Both questions about one endpoint; patterns NULL: any is allowed. */
extern PrismEndpointFault prism_endpoint_judge(const char *text, const char *patterns, char *endpoint);

/* Likewise about a list, separated by commas or blanks; 'endpoint' is the first that is not good. */
extern PrismEndpointFault prism_endpoint_judge_list(const char *list, const char *patterns, char *endpoint);

/* Take the first one off a list, as it is written; false: nothing is left of it, or it is too long for any. */
extern bool prism_endpoint_next(const char **list, char *text);

#endif							/* PRISM_ENDPOINT_RULE_H */
