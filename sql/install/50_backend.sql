-- Endpoints of back ends are foreign servers, their secrets user mappings. Whoever may use a wrapper may let the
-- server connect to places, so nobody may until the owner of the extension grants USAGE.

CREATE FUNCTION prism_internal.kafka_validator(options text[], catalog oid) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'prism_kafka_validator';
REVOKE ALL ON FUNCTION prism_internal.kafka_validator(text[], oid) FROM PUBLIC;
COMMENT ON FUNCTION prism_internal.kafka_validator(text[], oid) IS
'Checks the options of servers and user mappings of prism_kafka; an unknown, refused or misplaced one is an error (HV00D), a bad value too (22023).';

CREATE FOREIGN DATA WRAPPER prism_kafka NO HANDLER VALIDATOR prism_internal.kafka_validator;
REVOKE ALL ON FOREIGN DATA WRAPPER prism_kafka FROM PUBLIC;
COMMENT ON FOREIGN DATA WRAPPER prism_kafka IS
'Kafka clusters: CREATE SERVER kafka FOREIGN DATA WRAPPER prism_kafka OPTIONS (bootstrap_servers ''host:port''); names of options are librdkafka''s, dots may be written as underscores';
