/*-------------------------------------------------------------------------
 *
 * apply_broker.h
 *	  Partitions and replication of a sink's target: what is there, and what can be asked for.
 *
 * src/api/apply_broker.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_APPLY_BROKER_H
#define PRISM_APPLY_BROKER_H

#include "base/prism.h"
#include "api/apply_parts.h"

/* What it asks of the target and the target cannot have (0A000) or is given later, else what it has that was not asked for: List of PrismStep. */
extern List *prism_broker_steps(const PrismNamespaceWork *work);

#endif							/* PRISM_APPLY_BROKER_H */
