/*-------------------------------------------------------------------------
 *
 * option_table.h
 *	  Options of foreign servers: the table that a back end writes, and the check against it.
 *
 * Names are allowed one by one.  They are those of the client library; a dot in
 * one may be written as an underscore, as SQL would want it quoted.
 *
 * No .c of its name: the check alone is code, and stands in option_check.c.
 *
 * src/backend/option_table.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_OPTION_TABLE_H
#define PRISM_OPTION_TABLE_H

#include "base/prism.h"

#include "nodes/pg_list.h"

typedef enum PrismOptionKind
{
	PRISM_OPTION_TEXT,
	PRISM_OPTION_ENDPOINTS,		/* a list, as endpoint_rule.h says */
	PRISM_OPTION_URL,			/* http or https, a host, perhaps a port; http is for superusers */
	PRISM_OPTION_PEM,
	PRISM_OPTION_INTEGER,		/* range_min .. range_max */
	PRISM_OPTION_BOOLEAN,
	PRISM_OPTION_CHOICE			/* one of choices */
} PrismOptionKind;

#define PRISM_OPTION_SECRET	(1 << 0)	/* in user mappings only */
#define PRISM_OPTION_CREDENTIAL (1 << 1)	/* not secret by itself: in user mappings or servers */
#define PRISM_OPTION_WITH_PORT	(1 << 2)	/* endpoints must say their ports */

typedef struct PrismOptionRule
{
	const char *name;			/* the client library's; SQL may write _ for . */
	const char *same_as;		/* the library's other name for it, which counts; NULL: this one does */
	PrismOptionKind kind;
	int64		range_min;
	int64		range_max;
	const char *choices;		/* comma separated */
	int			flags;
	const char *superuser_choices;	/* values only a superuser may set, comma separated */
} PrismOptionRule;

/* Known to the client library and refused: * stands for any characters. */
typedef struct PrismOptionRefusal
{
	const char *name;
	const char *reason;			/* continues: option "x" is refused: it ... */
} PrismOptionRefusal;

/* Belongs to a back end with a foreign data wrapper. */
typedef struct PrismOptionTable
{
	const char *whose;			/* continues: valid here are ... */
	const char *inline_endpoints;	/* the option that brokers of YAML are */
	const PrismOptionRule *rules;
	int			rule_count;
	const PrismOptionRefusal *refusals;
	int			refusal_count;
} PrismOptionTable;

/* Where an option was written. */
typedef enum PrismOptionPlace
{
	PRISM_IN_SERVER,			/* readable by everybody */
	PRISM_IN_USER_MAPPING		/* secrets, and what belongs to them */
} PrismOptionPlace;

/*
 * option_check.c: throws unless the option may stand in that place with that
 * value.  'check_rights': the current user must be allowed to write it, too.
 * Returns the name that counts, which belongs to the table.
 */
extern const char *prism_option_check(const PrismOptionTable *table, PrismOptionPlace place,
									  const char *typed, const char *value, bool check_rights);

/* Add the name that counts to those seen; throws when it is there already. */
extern List *prism_option_once(List *seen, const char *name);

#endif							/* PRISM_OPTION_TABLE_H */
