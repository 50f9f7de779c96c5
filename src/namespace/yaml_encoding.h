/*-------------------------------------------------------------------------
 *
 * yaml_encoding.h
 *	  A configuration between the database's encoding and YAML's, UTF-8.
 *
 * src/namespace/yaml_encoding.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_YAML_ENCODING_H
#define PRISM_YAML_ENCODING_H

#include "namespace/yaml.h"

/* The text itself, or a converted copy; NULL: it is complained of. */
extern char *prism_yaml_to_utf8(const char *text, Size bytes);

/* A copy of what a node has as its text; NULL: it is complained of. */
extern char *prism_yaml_from_utf8(const char *text, Size bytes, const PrismYaml *node);

#endif							/* PRISM_YAML_ENCODING_H */
