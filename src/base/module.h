/*-------------------------------------------------------------------------
 *
 * module.h
 *	  What a part of prism has to do with shared memory and with the end of transactions.
 *
 * Each part is a line of one table (main.c), and its callbacks are called in the
 * table's order.  So the parts need not know each other, and what lies below
 * reaches those above.
 *
 * src/base/module.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_MODULE_H
#define PRISM_MODULE_H

#include "postgres.h"

#define PRISM_MODULES_MAX 32

/* All callbacks may be NULL. */
typedef struct PrismModule
{
	const char *name;

	/* The server starts: how much shared memory, and how many LWLocks of its tranche (lwlocks NULL: one). */
	Size		(*shmem_size) (void);
	const char *tranche;
	int			(*lwlocks) (void);
	/* Make it, or find it there; under AddinShmemInitLock. */
	void		(*shmem_init) (void);

	/* This transaction has something that has to be written at its end. */
	bool		(*has_work) (void);
	/* Before the commit: may throw and wait.  gone: this transaction has dropped the extension, and with it all that would be written to. */
	void		(*pre_commit) (bool gone);
	/* Before PREPARE TRANSACTION: throws for what could not be done at COMMIT PREPARED, in another session. */
	void		(*pre_prepare) (void);
	void		(*prepared) (void);
	/* After the fact, of a commit or a rollback.  Must not throw: an ERROR there is a PANIC. */
	void		(*end) (bool committed);
	/* Of a savepoint at this nest level; the second must not throw. */
	void		(*subcommit) (int nest_level);
	void		(*subabort) (int nest_level);
	/* At the very end, when others have been sent the transaction's invalidation messages and its locks are gone.  Must not throw. */
	void		(*told) (void);

	/*
	 * Before an error that ends the transaction goes to the client: what a
	 * session does alone and others wait for is given back now, as a client that
	 * does not read would keep it.  Must not throw.
	 */
	void		(*give_back) (void);

	/* Forget what shared memory has of a database: that is dropped, or has the extension anew and with it other numbers.  Must not throw. */
	void		(*forget_database) (Oid database, bool dropped);
} PrismModule;

/* Once, by main.c. */
extern void prism_modules_register(const PrismModule *modules, int count);

/* The callbacks of all modules, in order. */
extern void prism_modules_request_shmem(void);
extern void prism_modules_init_shmem(void);
extern bool prism_modules_have_work(void);
extern void prism_modules_pre_commit(bool gone);
extern void prism_modules_pre_prepare(void);
extern void prism_modules_prepared(void);
extern void prism_modules_end(bool committed);
extern void prism_modules_subcommit(int nest_level);
extern void prism_modules_subabort(int nest_level);
extern void prism_modules_told(void);
extern void prism_modules_give_back(void);
extern void prism_modules_forget_database(Oid database, bool dropped);

#endif							/* PRISM_MODULE_H */
