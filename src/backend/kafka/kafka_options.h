/*-------------------------------------------------------------------------
 *
 * kafka_options.h
 *	  The options of Kafka servers.
 *
 * src/backend/kafka/kafka_options.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_KAFKA_OPTIONS_H
#define PRISM_KAFKA_OPTIONS_H

#include "backend/option_table.h"

extern const PrismOptionTable prism_kafka_options;

#endif							/* PRISM_KAFKA_OPTIONS_H */
