/*-------------------------------------------------------------------------
 *
 * handle.h
 *	  Foreign handles that live exactly as long as a memory context.
 *
 * src/backend/handle.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_HANDLE_H
#define PRISM_HANDLE_H

#include "postgres.h"

/* Closes a foreign object; must not throw. */
typedef void (*PrismRelease) (void *foreign);

typedef struct PrismHandle PrismHandle;

/*
 * A handle in 'mcxt' that holds nothing yet.  Made before the foreign object,
 * so that nothing may throw between the object's birth and its registration.
 */
extern PrismHandle *prism_handle_new(MemoryContext mcxt);

/* From now on, reset or deletion of the context calls release(foreign); so does the end of the process. */
extern void prism_handle_hold(PrismHandle *handle, PrismRelease release, void *foreign);

/* Called once when the process ends, after all handles were released. */
extern void prism_handles_at_exit(void (*callback) (void));

#endif							/* PRISM_HANDLE_H */
