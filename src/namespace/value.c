/*-------------------------------------------------------------------------
 *
 * value.c
 *	  What has been checked, as C values.
 *
 * src/namespace/value.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "namespace/schema.h"

bool
prism_yaml_boolean(const PrismYaml *node)
{
	return strcmp(node->text, "true") == 0;
}

int64
prism_yaml_integer(const PrismYaml *node)
{
	int64		number = 0;

	if (!prism_parse_integer(node->text, &number))
		elog(ERROR, "\"%s\" was not checked", node->text);
	return number;
}

int64
prism_yaml_interval_ms(const PrismYaml *node)
{
	int64		ms = 0;

	if (!prism_parse_interval(node->text, &ms))
		elog(ERROR, "\"%s\" was not checked", node->text);
	return ms;
}

const PrismYaml *
prism_yaml_is(const PrismYaml *map, const char *key, const char *word)
{
	const PrismYaml *value = prism_yaml_get(map, key);

	return value != NULL && strcmp(value->text, word) == 0 ? value : NULL;
}

PrismYaml *
prism_pattern_option(const PrismYaml *pattern, const char *key)
{
	PrismYaml  *option = NULL;
	PrismYaml  *config;

	if (pattern->kind != PRISM_YAML_MAP)
		return NULL;
	option = prism_yaml_get(pattern, key);
	config = prism_yaml_get(pattern, "config");
	if (option == NULL && config != NULL)
		option = prism_yaml_get(config, key);
	return option;
}

bool
prism_pattern_enabled(const PrismYaml *pattern)
{
	PrismYaml  *enabled = pattern->kind == PRISM_YAML_MAP ? prism_yaml_get(pattern, "enabled") : NULL;

	return enabled == NULL || enabled->kind != PRISM_YAML_SCALAR || strcmp(enabled->text, "false") != 0;
}

const PrismYaml *
prism_yaml_one_of(const PrismYaml *map, const char *key, const char *synonym)
{
	const PrismYaml *value = prism_yaml_get(map, key);
	const PrismYaml *other = prism_yaml_get(map, synonym);

	if (value != NULL && other != NULL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"%s\" and \"%s\" " PRISM_AT " mean the same: give one of them",
					   key, synonym, prism_at(other)));
	return value != NULL ? value : other;
}
