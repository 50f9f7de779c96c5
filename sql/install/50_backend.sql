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

-- Of back ends that are not built yet: their servers can be made, so that documents can name them.
CREATE FUNCTION prism_internal.s3_validator(options text[], catalog oid) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'prism_s3_validator';
REVOKE ALL ON FUNCTION prism_internal.s3_validator(text[], oid) FROM PUBLIC;
COMMENT ON FUNCTION prism_internal.s3_validator(text[], oid) IS
'Checks the options of servers and user mappings of prism_s3, as prism_internal.kafka_validator() does.';

CREATE FOREIGN DATA WRAPPER prism_s3 NO HANDLER VALIDATOR prism_internal.s3_validator;
REVOKE ALL ON FOREIGN DATA WRAPPER prism_s3 FROM PUBLIC;
COMMENT ON FOREIGN DATA WRAPPER prism_s3 IS
'Object stores that speak S3, which namespaces may name already and nothing is sent to yet: CREATE SERVER s3 FOREIGN DATA WRAPPER prism_s3 OPTIONS (endpoint ''https://host'', region ..., bucket ...); access_key_id and secret_access_key in a user mapping';

CREATE FUNCTION prism_internal.redis_validator(options text[], catalog oid) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'prism_redis_validator';
REVOKE ALL ON FUNCTION prism_internal.redis_validator(text[], oid) FROM PUBLIC;
COMMENT ON FUNCTION prism_internal.redis_validator(text[], oid) IS
'Checks the options of servers and user mappings of prism_redis, as prism_internal.kafka_validator() does.';

CREATE FOREIGN DATA WRAPPER prism_redis NO HANDLER VALIDATOR prism_internal.redis_validator;
REVOKE ALL ON FOREIGN DATA WRAPPER prism_redis FROM PUBLIC;
COMMENT ON FOREIGN DATA WRAPPER prism_redis IS
'Redis and Valkey, which namespaces may name already and nothing is sent to yet: CREATE SERVER redis FOREIGN DATA WRAPPER prism_redis OPTIONS (endpoints ''host:6379''); username and password in a user mapping';

CREATE FUNCTION prism_internal.nats_validator(options text[], catalog oid) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'prism_nats_validator';
REVOKE ALL ON FUNCTION prism_internal.nats_validator(text[], oid) FROM PUBLIC;
COMMENT ON FUNCTION prism_internal.nats_validator(text[], oid) IS
'Checks the options of servers and user mappings of prism_nats, as prism_internal.kafka_validator() does.';

CREATE FOREIGN DATA WRAPPER prism_nats NO HANDLER VALIDATOR prism_internal.nats_validator;
REVOKE ALL ON FOREIGN DATA WRAPPER prism_nats FROM PUBLIC;
COMMENT ON FOREIGN DATA WRAPPER prism_nats IS
'NATS with JetStream, which namespaces may name already and nothing is sent to yet: CREATE SERVER nats FOREIGN DATA WRAPPER prism_nats OPTIONS (endpoints ''host:4222''); username and password, token, or jwt and nkey_seed in a user mapping';

CREATE FUNCTION prism_internal.clickhouse_validator(options text[], catalog oid) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'prism_clickhouse_validator';
REVOKE ALL ON FUNCTION prism_internal.clickhouse_validator(text[], oid) FROM PUBLIC;
COMMENT ON FUNCTION prism_internal.clickhouse_validator(text[], oid) IS
'Checks the options of servers and user mappings of prism_clickhouse, as prism_internal.kafka_validator() does.';

CREATE FOREIGN DATA WRAPPER prism_clickhouse NO HANDLER VALIDATOR prism_internal.clickhouse_validator;
REVOKE ALL ON FOREIGN DATA WRAPPER prism_clickhouse FROM PUBLIC;
COMMENT ON FOREIGN DATA WRAPPER prism_clickhouse IS
'ClickHouse by HTTP, which namespaces may name already and nothing is sent to yet: CREATE SERVER clickhouse FOREIGN DATA WRAPPER prism_clickhouse OPTIONS (endpoint ''https://host:8443''); username and password in a user mapping';
