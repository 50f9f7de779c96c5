/*-------------------------------------------------------------------------
 *
 * s3_options.h
 *	  The options of S3 servers.
 *
 * src/backend/s3/s3_options.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_S3_OPTIONS_H
#define PRISM_S3_OPTIONS_H

#include "backend/option_table.h"

extern const PrismOptionTable prism_s3_options;

#endif							/* PRISM_S3_OPTIONS_H */
