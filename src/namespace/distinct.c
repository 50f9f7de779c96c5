/*-------------------------------------------------------------------------
 *
 * distinct.c
 *	  Within one configuration, names, topics and tables belong to one
 *	  namespace each.
 *
 * src/namespace/distinct.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "namespace/complaint.h"
#include "namespace/spec.h"

#include "port.h"

/* What two namespaces must not have both. */
typedef struct Belonging
{
	const char *(*text) (const PrismNamespace *namespace);	/* or NULL: it has none */
	void		(*complain) (const PrismNamespace *namespace, const PrismNamespace *first);
} Belonging;

typedef struct Owner
{
	const PrismNamespace *namespace;
	const char *text;
	int			number;			/* in the order of the configuration */
} Owner;

static const char *
name_of(const PrismNamespace *namespace)
{
	return namespace->name;
}

static void
complain_of_name(const PrismNamespace *namespace, const PrismNamespace *first)
{
	prism_complain(&namespace->given->name.place,
				   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				   errmsg("namespace \"%s\" is given twice", prism_yaml_show(namespace->name)),
				   errdetail("The first one is " PRISM_AT ".", prism_at(&first->given->name.place)));
}

static const char *
topic_of(const PrismNamespace *namespace)
{
	return namespace->topic;
}

static void
complain_of_topic(const PrismNamespace *namespace, const PrismNamespace *first)
{
	prism_complain(namespace->topic_place,
				   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				   errmsg("namespaces \"%s\" and \"%s\" have the same topic \"%s\"",
						  prism_yaml_show(first->name), prism_yaml_show(namespace->name), prism_yaml_show(namespace->topic)),
				   errhint("A topic belongs to one namespace: name another one by \"topic: ...\" in \"backend\"."));
}

static const char *
table_of(const PrismNamespace *namespace)
{
	return namespace->table;
}

static void
complain_of_table(const PrismNamespace *namespace, const PrismNamespace *first)
{
	prism_complain(namespace->table_place,
				   errcode(ERRCODE_DUPLICATE_TABLE),
				   errmsg("namespaces \"%s\" and \"%s\" have the same outbox table \"%s\"",
						  prism_yaml_show(first->name), prism_yaml_show(namespace->name), prism_yaml_show(namespace->table)));
}

static const Belonging belongings[] = {
	{name_of, complain_of_name},
	{topic_of, complain_of_topic},
	{table_of, complain_of_table},
};

static int
compare_owners(const void *a, const void *b)
{
	const Owner *first = a;
	const Owner *second = b;
	int			order = strcmp(first->text, second->text);

	return order != 0 ? order : first->number - second->number;
}

/* Who is given twice has all twice, and that is one mistake: it is asked nothing more. */
static void
check_belonging(const Belonging *belonging, const List *namespaces, bool *told)
{
	Owner	   *owners = palloc(list_length(namespaces) * sizeof(Owner));
	int			first = 0;
	int			count = 0;
	ListCell   *cell;

	foreach(cell, namespaces)
	{
		Owner		owner = {.namespace = lfirst(cell),.number = foreach_current_index(cell)};

		owner.text = belonging->text(owner.namespace);
		if (owner.text != NULL && !told[owner.number])
			owners[count++] = owner;
	}
	qsort(owners, count, sizeof(Owner), compare_owners);
	for (int i = 1; i < count && !prism_complaints_full(); i++)
	{
		if (strcmp(owners[i].text, owners[first].text) != 0)
		{
			first = i;
			continue;
		}
		belonging->complain(owners[i].namespace, owners[first].namespace);
		told[owners[i].number] = true;
	}
	pfree(owners);
}

void
prism_namespaces_check_distinct(const List *namespaces)
{
	bool	   *told = palloc0((list_length(namespaces) + 1) * sizeof(bool));

	for (int i = 0; i < (int) lengthof(belongings); i++)
		check_belonging(&belongings[i], namespaces, told);
	pfree(told);
}
