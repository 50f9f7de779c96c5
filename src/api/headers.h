/*-------------------------------------------------------------------------
 *
 * headers.h
 *	  A message's headers: a flat jsonb object of strings.
 *
 * src/api/headers.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_HEADERS_H
#define PRISM_HEADERS_H

#include "base/prism.h"

#include "utils/jsonb.h"

/*
 * Check the caller's headers (22023) and add content-type: application/json
 * for a JSON payload that names none.  NULL when nothing remains.
 */
extern Jsonb *prism_headers_complete(Jsonb *headers, bool is_json);

#endif							/* PRISM_HEADERS_H */
