/*-------------------------------------------------------------------------
 *
 * nats_options.h
 *	  The options of NATS servers.
 *
 * src/backend/nats/nats_options.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_NATS_OPTIONS_H
#define PRISM_NATS_OPTIONS_H

#include "backend/option_table.h"

extern const PrismOptionTable prism_nats_options;

#endif							/* PRISM_NATS_OPTIONS_H */
