/*-------------------------------------------------------------------------
 *
 * shim.h
 *	  What the YAML reader needs of the server, and what became of its errors.
 *
 * test/module/yaml/shim.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef YAML_SHIM_H
#define YAML_SHIM_H

#include "postgres.h"

#include <setjmp.h>

#define SHIM_TEXT_BYTES 1024

/* The last error; message is empty when there was none. */
typedef struct ShimError
{
	int			sqlstate;
	char		message[SHIM_TEXT_BYTES];
	char		detail[SHIM_TEXT_BYTES];
	char		hint[SHIM_TEXT_BYTES];
	char		context[SHIM_TEXT_BYTES];
} ShimError;

extern ShimError shim_error;
extern jmp_buf shim_catch;		/* where errors jump to */

/* Like the end of a transaction: everything allocated since the last call goes, with its callbacks. */
extern void shim_reset(void);

#endif							/* YAML_SHIM_H */
