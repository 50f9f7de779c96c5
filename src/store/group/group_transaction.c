/*-------------------------------------------------------------------------
 *
 * group_transaction.c
 *	  What the ends of transactions and savepoints mean for groups.
 *
 * src/store/group/group_transaction.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/group/group_settlements.h"

bool
prism_group_has_work(void)
{
	return prism_group_has_leases() || prism_settlements_exist() || prism_group_has_seeks() || prism_group_has_changes();
}

void
prism_group_pre_commit(bool gone)
{
	if (gone)
		return;
	/* what acknowledgements end is no lease that is kept */
	prism_settlements_append();
	prism_group_append_leases();
	prism_group_append_seeks();
}

/* ---------- the end: cannot throw ---------- */

void
prism_group_end(bool committed)
{
	prism_settlements_end(committed);
	prism_group_end_leases(committed);
	if (!committed)
	{
		prism_group_abort_reader(1);
		prism_group_cancel_sleep();
	}
	prism_group_end_seeks(committed);
	prism_group_end_changes(committed);
}

void
prism_group_subcommit(int nest_level)
{
	prism_settlements_subend(nest_level, true);
	prism_group_subend_leases(nest_level, true);
	prism_group_subend_seeks(nest_level, true);
	prism_group_subend_changes(nest_level, true);
}

void
prism_group_subabort(int nest_level)
{
	prism_group_abort_reader(nest_level);
	prism_group_subabort_sleep(nest_level);
	prism_group_subend_leases(nest_level, false);
	prism_settlements_subend(nest_level, false);
	prism_group_subend_seeks(nest_level, false);
	prism_group_subend_changes(nest_level, false);
}
