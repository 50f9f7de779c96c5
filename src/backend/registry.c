/*-------------------------------------------------------------------------
 *
 * registry.c
 *	  The back ends there are.
 *
 * src/backend/registry.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend/registry.h"

/*
 * One line a back end, in the order in which users read of them.  The line
 * stands for prism_NAME_info, in src/backend/NAME/.
 */
#define BACK_ENDS(line) \
	line(postgres) \
	line(memory) \
	line(kafka) \
	line(nats) \
	line(redis) \
	line(s3) \
	line(clickhouse)

#define DECLARE(name) extern const PrismBackendInfo prism_##name##_info;
#define LIST(name) &prism_##name##_info,

BACK_ENDS(DECLARE)

static const PrismBackendInfo *const infos[] = {
	BACK_ENDS(LIST)
	NULL
};

const PrismBackendInfo *const *
prism_backend_infos(void)
{
	return infos;
}

bool
prism_backend_word(uint32 role, int number, PrismWord *word)
{
	for (const PrismBackendInfo *const *info = infos; *info != NULL; info++)
		if (((*info)->roles & role) == role && number-- == 0)
		{
			word->name = (*info)->name;
			word->available = (*info)->built;
			return true;
		}
	return false;
}

const PrismBackendInfo *
prism_backend_info(const char *name)
{
	for (const PrismBackendInfo *const *info = infos; *info != NULL; info++)
		if (strcmp((*info)->name, name) == 0)
			return *info;
	return NULL;
}
