/*-------------------------------------------------------------------------
 *
 * group_settlements.h
 *	  What a transaction ends: messages acknowledged, given up, rejected.
 *
 * src/store/group/group_settlements.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_GROUP_SETTLEMENTS_H
#define PRISM_GROUP_SETTLEMENTS_H

#include "store/group/group_shared.h"

/* What is to become of one message. */
typedef struct PrismSettlement
{
	int64		offset;
	int64		lease_id;
	PrismInstant due;			/* given up: not to be handed out before */
	int			nest_level;
	bool		finishes;		/* acknowledged or rejected; false: given up */
	bool		acking;			/* its entry is in that state for us */
	const char *refusal;		/* the error at pre-commit, where the lease is not held any more */
} PrismSettlement;

/* Those of one group, by ascending offset; lives as long as the transaction. */
typedef struct PrismSettlements PrismSettlements;

extern PrismSettlements *prism_settlements_of(PrismGroupRef *ref);

/* Make room for so many more, some of which may be given up. */
extern void prism_settlements_reserve(PrismSettlements *list, int more, bool nacks);

/* What becomes of a message; unless it was found, the caller fills in all of it.  There is room for it; nothing that throws. */
extern PrismSettlement *prism_settlements_enter(PrismSettlements *list, int64 offset, bool *found);

/* Pre-commit is over: another one would come too late. */
extern bool prism_settlements_are_sealed(void);

/* ---------- for group_transaction.c ---------- */

extern bool prism_settlements_exist(void);
extern void prism_settlements_append(void); /* at pre-commit */
extern void prism_settlements_end(bool committed);	/* cannot throw */
extern void prism_settlements_subend(int nest_level, bool committed);	/* cannot throw */

#endif							/* PRISM_GROUP_SETTLEMENTS_H */
