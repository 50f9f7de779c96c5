/*-------------------------------------------------------------------------
 *
 * apis.h
 *	  The client APIs: what applications see of a namespace, the RFC's layer 3.
 *
 * src/namespace/apis.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_APIS_H
#define PRISM_APIS_H

#include "base/config_key.h"

typedef struct PrismApi
{
	const char *name;			/* as written in YAML */
	uint32		api;			/* PRISM_API_* */
	uint32		role;			/* PRISM_ROLE_* that it asks of the back end */
	bool		built;			/* false: known from the RFC, refused by apply */
	bool		durable;		/* what was published must not be lost: durability is strong */
} PrismApi;

extern const PrismApi prism_apis[];
extern const int prism_api_count;

/* As words of a key. */
extern bool prism_api_word(int number, PrismWord *word);

/* By a name that was checked. */
extern const PrismApi *prism_api_find(const char *name);

#endif							/* PRISM_APIS_H */
