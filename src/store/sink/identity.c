/*-------------------------------------------------------------------------
 *
 * identity.c
 *	  The installation's uuid and the checks that go with it.
 *
 *	another system identifier or database oid	restored, upgraded or copied
 *	same timeline, another data directory		a copy of the directory
 *	another timeline, by promotions alone		goes on
 *	another timeline, by a target on the way	point-in-time recovery
 *
 * A snapshot of the block device keeps the inode; there the broker's fencing
 * is the second line.
 *
 * src/store/sink/identity.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/query.h"
#include "store/sink/identity.h"

#include <sys/stat.h>

#include "access/timeline.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

/* What PostgreSQL writes into a timeline's history when nothing but the end of WAL ended recovery. */
#define PROMOTION_REASON "no recovery target specified"

/* The place and time that this server runs in. */
typedef struct Surroundings
{
	int64		system_identifier;
	Oid			database;
	TimeLineID	timeline;
	int64		inode;
} Surroundings;

static void
read_surroundings(Surroundings *here)
{
	char		path[MAXPGPATH];
	struct stat status;

	snprintf(path, sizeof(path), "%s/PG_VERSION", DataDir);
	if (stat(path, &status) != 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not stat file \"%s\": %m", path));
	here->system_identifier = (int64) GetSystemIdentifier();
	here->database = MyDatabaseId;
	here->timeline = GetWALInsertionTimeLine();
	here->inode = (int64) status.st_ino;
}

/* A line of a history: the timeline that ended, where it did, and why. */
static bool
read_line(char *line, TimeLineID *ended, const char **reason)
{
	uint32		high,
				low;
	int			length = 0;

	if (sscanf(line, "%u\t%X/%X\t%n", ended, &high, &low, &length) != 3 || length == 0)
		return false;
	line[strcspn(line, "\r\n")] = '\0';
	*reason = line + length;
	return true;
}

/*
 * Did this timeline come from the recorded one by promotions alone?  Its history
 * has a line for each that ended on the way; without the file nobody knows, and
 * the answer is no.
 */
static bool
came_by_promotions(TimeLineID recorded, TimeLineID timeline)
{
	char		path[MAXPGPATH];
	char		line[MAXPGPATH];
	bool		seen = false;
	bool		promotions = true;
	FILE	   *file;

	TLHistoryFilePath(path, timeline);
	file = AllocateFile(path, "r");
	if (file == NULL)
		return false;
	while (fgets(line, sizeof(line), file) != NULL)
	{
		TimeLineID	ended;
		const char *reason;

		if (!read_line(line, &ended, &reason) || ended < recorded)
			continue;
		seen = seen || ended == recorded;
		promotions = promotions && strcmp(reason, PROMOTION_REASON) == 0;
	}
	FreeFile(file);
	return seen && promotions;
}

/* ---------- the row ---------- */

static void
write_installation(const char *statement, const Surroundings *here, const pg_uuid_t *id)
{
	Oid			types[] = {INT8OID, OIDOID, INT4OID, INT8OID, UUIDOID};
	Datum		values[] = {
		Int64GetDatum(here->system_identifier), ObjectIdGetDatum(here->database),
		Int32GetDatum((int32) here->timeline), Int64GetDatum(here->inode), UUIDPGetDatum(id)
	};

	prism_query(statement, lengthof(types), types, values, NULL);
}

static void
new_uuid(pg_uuid_t *id)
{
	if (!pg_strong_random(id->data, UUID_LEN))
		ereport(ERROR,
				errcode(ERRCODE_INTERNAL_ERROR),
				errmsg("could not generate random values"));
	id->data[6] = (id->data[6] & 0x0f) | 0x40;	/* version 4 */
	id->data[8] = (id->data[8] & 0x3f) | 0x80;	/* variant of RFC 4122 */
}

/* Read the row; false: there is none. */
static bool
read_recorded(Surroundings *recorded, pg_uuid_t *id)
{
	PrismQueryRows rows = prism_query("SELECT system_identifier, database_oid, timeline, directory_inode, installation_id"
									  " FROM prism.installation ORDER BY since DESC LIMIT 1", 0, NULL, NULL, NULL);
	bool		isnull;

	if (rows.count == 0)
		return false;
	recorded->system_identifier = prism_column_int64(&rows.row[0], 1);
	recorded->database = prism_column_oid(&rows.row[0], 2);
	recorded->timeline = (TimeLineID) prism_column_int32(&rows.row[0], 3);
	recorded->inode = prism_column_int64(&rows.row[0], 4);
	*id = *DatumGetUUIDP(prism_column_value(&rows.row[0], 5, &isnull));
	prism_query_free(&rows);
	return true;
}

/* Several workers may come here at the same time. */
static void
lock_row(void)
{
	prism_query("LOCK TABLE prism.installation IN SHARE ROW EXCLUSIVE MODE", 0, NULL, NULL, NULL);
}

static void
insert_installation(const Surroundings *here, pg_uuid_t *id)
{
	new_uuid(id);
	write_installation("INSERT INTO prism.installation"
					   " (system_identifier, database_oid, timeline, directory_inode, installation_id)"
					   " VALUES ($1, $2, $3, $4, $5)", here, id);
}

static void
update_installation(const Surroundings *here, const pg_uuid_t *id)
{
	write_installation("UPDATE prism.installation SET system_identifier = $1, database_oid = $2,"
					   " timeline = $3, directory_inode = $4, installation_id = $5, since = pg_catalog.now()", here, id);
}

/* ---------- the decision ---------- */

static PrismInstallationState
compare(const Surroundings *recorded, const Surroundings *here, char *reason, Size reason_size)
{
	reason[0] = '\0';
	if (recorded->system_identifier != here->system_identifier)
	{
		snprintf(reason, reason_size,
				 "the database was made by another cluster (system identifier " UINT64_FORMAT
				 ", here " UINT64_FORMAT "): restored, upgraded or copied",
				 (uint64) recorded->system_identifier, (uint64) here->system_identifier);
		return PRISM_INSTALLATION_COPIED;
	}
	if (recorded->database != here->database)
	{
		snprintf(reason, reason_size,
				 "the database is a copy of another one of this cluster (oid %u, here %u)",
				 recorded->database, here->database);
		return PRISM_INSTALLATION_COPIED;
	}
	if (recorded->timeline != here->timeline)
	{
		if (came_by_promotions(recorded->timeline, here->timeline))
			return PRISM_INSTALLATION_OWN;
		snprintf(reason, reason_size,
				 "the cluster was recovered to a point in time (timeline %u, before %u)",
				 here->timeline, recorded->timeline);
		return PRISM_INSTALLATION_REWOUND;
	}
	if (recorded->inode != here->inode)
	{
		snprintf(reason, reason_size,
				 "the data directory is a copy (its PG_VERSION is inode " INT64_FORMAT
				 ", was " INT64_FORMAT ")", here->inode, recorded->inode);
		return PRISM_INSTALLATION_COPIED;
	}
	return PRISM_INSTALLATION_OWN;
}

/* Set the installation's state.  True: it is our own, and the row is to learn of a promotion. */
static bool
is_promoted(PrismInstallation *installation, const Surroundings *recorded, const Surroundings *here)
{
	installation->state = compare(recorded, here, installation->reason, sizeof(installation->reason));
	return installation->state == PRISM_INSTALLATION_OWN && recorded->timeline != here->timeline;
}

void
prism_identity_check(PrismInstallation *installation)
{
	Surroundings here;
	Surroundings recorded;
	pg_uuid_t	id;

	read_surroundings(&here);
	if (!read_recorded(&recorded, &id))
	{
		lock_row();
		if (!read_recorded(&recorded, &id))
		{
			insert_installation(&here, &id);
			recorded = here;
		}
	}
	if (is_promoted(installation, &recorded, &here))
	{
		lock_row();
		/* prism.rebase() or another worker may have come first */
		if (read_recorded(&recorded, &id) && is_promoted(installation, &recorded, &here))
		{
			update_installation(&here, &id);
			ereport(LOG,
					errmsg("prism goes on after a promotion"),
					errdetail("Timeline %u, before %u.", here.timeline, recorded.timeline));
		}
	}
	installation->timeline = here.timeline;
	strlcpy(installation->id, DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&id))),
			sizeof(installation->id));
}

void
prism_identity_take(bool new_id)
{
	Surroundings here;
	Surroundings recorded;
	pg_uuid_t	id;

	read_surroundings(&here);
	lock_row();
	if (!read_recorded(&recorded, &id))
	{
		insert_installation(&here, &id);
		return;
	}
	if (new_id)
		new_uuid(&id);
	update_installation(&here, &id);
}
