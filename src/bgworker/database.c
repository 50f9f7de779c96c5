/*-------------------------------------------------------------------------
 *
 * database.c
 *	  Which databases workers must stay away from, and at which the launcher shall look.
 *
 * src/bgworker/database.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "bgworker/database.h"
#include "bgworker/slots.h"

#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

/* Databases that can be held off, and looked at anew, at a time; more of them are served less exactly. */
#define HOLDS_MAX 16
#define LOOKS_MAX 32

#define HOLD_OFF_MS 10000

typedef struct DatabaseHold
{
	Oid			database;		/* InvalidOid: free */
	int			holders;		/* commands that want it for themselves */
	PrismInstant until;
} DatabaseHold;

typedef struct DatabasesShared
{
	DatabaseHold holds[HOLDS_MAX];
	Oid			looks[LOOKS_MAX];
	int			look_count;
	bool		look_at_all;
} DatabasesShared;

static DatabasesShared *shared = NULL;
static LWLock *shared_lock = NULL;

static void add_look(Oid database);

Size
prism_database_shmem_size(void)
{
	return sizeof(DatabasesShared);
}

void
prism_database_shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("prism databases", sizeof(DatabasesShared), &found);
	shared_lock = &GetNamedLWLockTranche(PRISM_WORKER_TRANCHE)[PRISM_WORKER_LOCK_DATABASES].lock;
	if (!found)
		memset(shared, 0, sizeof(DatabasesShared));
}

/* ---------- staying away ---------- */

/* Noted before the workers are asked: whoever is not there yet will not come. */
bool
prism_database_hold_off(Oid database, long timeout_ms)
{
	DatabaseHold *hold = &shared->holds[0];

	LWLockAcquire(shared_lock, LW_EXCLUSIVE);
	for (int i = 1; i < HOLDS_MAX && hold->database != database; i++)
		if (shared->holds[i].database == database || shared->holds[i].until < hold->until)
			hold = &shared->holds[i];	/* its own, else the one that ends first */
	hold->holders = hold->database == database ? hold->holders + 1 : 1;
	hold->database = database;
	hold->until = prism_instant_after(prism_instant(), HOLD_OFF_MS);
	LWLockRelease(shared_lock);

	return prism_worker_clear_database(database, timeout_ms);
}

void
prism_database_release(Oid database)
{
	LWLockAcquire(shared_lock, LW_EXCLUSIVE);
	for (int i = 0; i < HOLDS_MAX; i++)
		if (shared->holds[i].database == database && --shared->holds[i].holders <= 0)
			shared->holds[i] = (DatabaseHold) {0};
	add_look(database);
	LWLockRelease(shared_lock);
	prism_worker_wake(PRISM_LAUNCHER, InvalidOid);
}

bool
prism_database_is_held(Oid database)
{
	PrismInstant now = prism_instant();
	bool		held = false;

	LWLockAcquire(shared_lock, LW_SHARED);
	for (int i = 0; i < HOLDS_MAX && !held; i++)
		held = shared->holds[i].database == database && shared->holds[i].until > now;
	LWLockRelease(shared_lock);
	return held;
}

long
prism_database_hold_ms(void)
{
	PrismInstant first = PRISM_NEVER;

	LWLockAcquire(shared_lock, LW_SHARED);
	for (int i = 0; i < HOLDS_MAX; i++)
		if (OidIsValid(shared->holds[i].database))
			first = Min(first, shared->holds[i].until);
	LWLockRelease(shared_lock);
	return first == PRISM_NEVER ? -1 : Max(prism_ms_until(first, prism_instant()), 1);
}

/* ---------- looking ---------- */

void
prism_database_look_at(Oid database)
{
	LWLockAcquire(shared_lock, LW_EXCLUSIVE);
	add_look(database);
	LWLockRelease(shared_lock);
	prism_worker_wake(PRISM_LAUNCHER, InvalidOid);
}

static void
add_look(Oid database)
{
	if (!OidIsValid(database))
		return;					/* just wake up */
	for (int i = 0; i < shared->look_count; i++)
		if (shared->looks[i] == database)
			return;
	if (shared->look_count < LOOKS_MAX)
		shared->looks[shared->look_count++] = database;
	else
		shared->look_at_all = true;
}

Oid
prism_database_look_next(bool *all)
{
	PrismInstant now = prism_instant();
	Oid			database = InvalidOid;

	LWLockAcquire(shared_lock, LW_EXCLUSIVE);
	for (int i = 0; i < HOLDS_MAX; i++)
	{
		if (OidIsValid(shared->holds[i].database) && shared->holds[i].until <= now)
		{
			add_look(shared->holds[i].database);
			shared->holds[i] = (DatabaseHold) {0};
		}
	}
	*all = shared->look_at_all;
	shared->look_at_all = false;
	if (*all)
		shared->look_count = 0;
	else if (shared->look_count > 0)
		database = shared->looks[--shared->look_count];
	LWLockRelease(shared_lock);
	return database;
}
