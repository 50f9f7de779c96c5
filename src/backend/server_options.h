/*-------------------------------------------------------------------------
 *
 * server_options.h
 *	  Options of a back end as they stand in the catalogue: foreign servers and user mappings.
 *
 * src/backend/server_options.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_SERVER_OPTIONS_H
#define PRISM_SERVER_OPTIONS_H

#include "backend/option_table.h"
#include "backend/registry.h"

/* What the validator of a back end's foreign data wrapper does; its arguments are the validator's. */
extern void prism_server_options_validate(const PrismOptionTable *table, Datum options, Oid catalog);

/*
 * The options of a foreign server and of its owner's user mapping (else
 * PUBLIC's), as a list of PrismOption in the current memory context, checked
 * again.  Needs a transaction; 42704 or 55000 with a hint when the server is
 * missing or belongs to another wrapper.
 */
extern List *prism_server_options(const PrismBackendInfo *info, Oid server_oid);

#endif							/* PRISM_SERVER_OPTIONS_H */
