/*-------------------------------------------------------------------------
 *
 * identity.h
 *	  Which installation this log is, and whether it is still the one that it says it is.
 *
 * What leaves the database carries the installation's uuid: groups,
 * transactional ids.  A copy of the database would send under the same names,
 * so before any producer is made the surroundings are compared with those
 * that were recorded.
 *
 * src/store/sink/identity.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_STORE_IDENTITY_H
#define PRISM_STORE_IDENTITY_H

#include "base/prism.h"

#include "access/xlogdefs.h"
#include "utils/uuid.h"

#define PRISM_INSTALLATION_TEXT 37	/* a uuid as text, with its end */

typedef enum PrismInstallationState
{
	PRISM_INSTALLATION_OWN,		/* all is as recorded, or a promotion explains it */
	PRISM_INSTALLATION_COPIED,	/* another cluster, database or data directory */
	PRISM_INSTALLATION_REWOUND	/* point-in-time recovery */
} PrismInstallationState;

typedef struct PrismInstallation
{
	char		id[PRISM_INSTALLATION_TEXT];
	PrismInstallationState state;
	TimeLineID	timeline;
	char		reason[256];	/* of another state than OWN */
} PrismInstallation;

/*
 * Compare, and record this installation at its first use or after a promotion.
 * In a transaction, as the extension's owner.
 */
extern void prism_identity_check(PrismInstallation *installation);

/* This is the original from now on: record the surroundings as they are; a new uuid on request. */
extern void prism_identity_take(bool new_id);

#endif							/* PRISM_STORE_IDENTITY_H */
