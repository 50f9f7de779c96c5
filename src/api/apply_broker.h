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

/* Why a change cannot be made, in an error's parts. */
typedef struct PrismBrokerRefusal
{
	char	   *message;
	char	   *detail;
	char	   *hint;
	const PrismPlace *place;
} PrismBrokerRefusal;

/* NULL: what the namespace asks for is there, or will be. */
extern PrismBrokerRefusal *prism_broker_refusal(const PrismNamespaceWork *work);

/* 0A000 when there is a refusal. */
extern void prism_broker_check(const PrismNamespaceWork *work);

/* What the target has that was not asked for, for people; NULL: nothing, or it was not seen yet. */
extern char *prism_broker_drift(const PrismNamespaceWork *work);

#endif							/* PRISM_APPLY_BROKER_H */
