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

/* Rows of several tables: clients of prism's own, whose names are not a library's. */
#define PRISM_OPTION_ROWS_LOGIN \
	{.name = "username",.kind = PRISM_OPTION_TEXT,.flags = PRISM_OPTION_CREDENTIAL}, \
	{.name = "password",.kind = PRISM_OPTION_TEXT,.flags = PRISM_OPTION_SECRET}
#define PRISM_OPTION_ROWS_CERTIFICATES \
	{.name = "ca.pem",.kind = PRISM_OPTION_PEM}, \
	{.name = "certificate.pem",.kind = PRISM_OPTION_PEM,.flags = PRISM_OPTION_CREDENTIAL}, \
	{.name = "key.pem",.kind = PRISM_OPTION_PEM,.flags = PRISM_OPTION_SECRET}
#define PRISM_OPTION_ROW_TLS \
	{.name = "tls",.kind = PRISM_OPTION_CHOICE,.choices = "require,off",.superuser_choices = "off"}
#define PRISM_OPTION_ROWS_TIME \
	{.name = "connect.timeout.ms",.kind = PRISM_OPTION_INTEGER,.range_min = 100,.range_max = 300000}, \
	{.name = "timeout.ms",.kind = PRISM_OPTION_INTEGER,.range_min = 10,.range_max = 300000}

/* Likewise of refusals; 'where' is the option that says which server it is. */
#define PRISM_OPTION_REFUSED_FILES \
	{"*.file", PRISM_OPTION_READS_FILES}, \
	{"*.path", PRISM_OPTION_READS_FILES}, \
	{"*location", PRISM_OPTION_READS_FILES}
#define PRISM_OPTION_READS_FILES "reads files of the server; give certificates and keys as text with the .pem options"
#define PRISM_OPTION_REFUSED_NAMES(where) \
	{"user", "has another name: username"}, \
	{"host", "has another name: " where}, \
	{"port", "has another name: " where}

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
