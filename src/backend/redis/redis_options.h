/*-------------------------------------------------------------------------
 *
 * redis_options.h
 *	  The options of Redis servers.
 *
 * src/backend/redis/redis_options.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_REDIS_OPTIONS_H
#define PRISM_REDIS_OPTIONS_H

#include "backend/option_table.h"

extern const PrismOptionTable prism_redis_options;

#endif							/* PRISM_REDIS_OPTIONS_H */
