/*-------------------------------------------------------------------------
 *
 * apis.c
 *	  The client APIs there are: those built, and those of the RFC still to come.
 *
 * src/namespace/apis.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "backend/registry.h"
#include "namespace/apis.h"
#include "pattern/pattern.h"

const PrismApi prism_apis[] = {
	{.name = "queue",.api = PRISM_API_QUEUE,.role = PRISM_ROLE_QUEUE,.built = true},
	{.name = "durable-queue",.api = PRISM_API_QUEUE,.role = PRISM_ROLE_QUEUE,.built = true,.durable = true},
	{.name = "pubsub",.api = PRISM_API_PUBSUB,.role = PRISM_ROLE_QUEUE,.built = true},
	{.name = "transact",.api = PRISM_API_TRANSACT,.role = PRISM_ROLE_QUEUE,.built = true},
	{.name = "reader",.api = PRISM_API_READER,.role = PRISM_ROLE_ROWS},
	{.name = "cache",.api = PRISM_API_CACHE,.role = PRISM_ROLE_ROWS},
};
const int	prism_api_count = lengthof(prism_apis);

bool
prism_api_word(int number, PrismWord *word)
{
	if (number >= prism_api_count)
		return false;
	word->name = prism_apis[number].name;
	word->available = prism_apis[number].built;
	return true;
}

const PrismApi *
prism_api_find(const char *name)
{
	for (int i = 0; i < prism_api_count; i++)
		if (strcmp(prism_apis[i].name, name) == 0)
			return &prism_apis[i];
	elog(ERROR, "client API \"%s\" has no entry", name);
}
