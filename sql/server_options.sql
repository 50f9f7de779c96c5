-- Endpoints of Kafka are foreign servers, secrets are user mappings; what can be typed there is an allow-list.

-- Dots in librdkafka's names may be underscores, which need no quotes.
CREATE SERVER so_kafka FOREIGN DATA WRAPPER prism_kafka
    OPTIONS (bootstrap_servers '127.0.0.1:9092, [::1]:9093', "client.id" 'orders', linger_ms '5', compression_type 'zstd');
CREATE USER MAPPING FOR CURRENT_USER SERVER so_kafka OPTIONS (sasl_username 'prism', sasl_password 'hidden');
ALTER SERVER so_kafka OPTIONS (ADD security_protocol 'sasl_ssl', ADD sasl_mechanisms 'SCRAM-SHA-512', SET linger_ms '0');

-- An unknown name is told with the nearest one.
DO $$
BEGIN
    ALTER SERVER so_kafka OPTIONS (ADD linger_msec '5');
EXCEPTION WHEN fdw_invalid_option_name THEN
    RAISE NOTICE '% %', SQLSTATE, SQLERRM;
END $$;
ALTER SERVER so_kafka OPTIONS (ADD linger_msec '5');
ALTER SERVER so_kafka OPTIONS (ADD color 'red');
ALTER USER MAPPING FOR CURRENT_USER SERVER so_kafka OPTIONS (ADD colour 'red');

-- The two spellings are one option.
ALTER SERVER so_kafka OPTIONS (ADD "linger.ms" '5');
-- Nor is the other name that librdkafka has for one another option.
CREATE SERVER so_twice FOREIGN DATA WRAPPER prism_kafka OPTIONS (compression_codec 'lz4', compression_type 'none');
CREATE SERVER so_twice FOREIGN DATA WRAPPER prism_kafka OPTIONS (sasl_mechanism 'PLAIN', sasl_mechanisms 'SCRAM-SHA-256');

-- A secret is not taken where everybody can read it, and nothing else beside secrets.
ALTER SERVER so_kafka OPTIONS (ADD sasl_password 'hidden');
ALTER SERVER so_kafka OPTIONS (ADD ssl_key_pem 'hidden');
ALTER USER MAPPING FOR CURRENT_USER SERVER so_kafka OPTIONS (ADD linger_ms '5');

-- What loads or runs code or reads files is refused by name, to superusers too.
ALTER SERVER so_kafka OPTIONS (ADD "plugin.library.paths" '/tmp/x.so');
ALTER SERVER so_kafka OPTIONS (ADD sasl_kerberos_kinit_cmd 'touch /tmp/x');
ALTER SERVER so_kafka OPTIONS (ADD ssl_engine_location '/tmp/x.so');
ALTER SERVER so_kafka OPTIONS (ADD ssl_ca_location '/etc/passwd');
ALTER USER MAPPING FOR CURRENT_USER SERVER so_kafka OPTIONS (ADD ssl_keystore_location '/etc/shadow');
ALTER SERVER so_kafka OPTIONS (ADD debug 'all');
ALTER SERVER so_kafka OPTIONS (ADD log_level '7');
ALTER SERVER so_kafka OPTIONS (ADD dr_msg_cb '0x1');
ALTER SERVER so_kafka OPTIONS (ADD opaque '1');

-- So is what prism's guarantees stand on.
ALTER SERVER so_kafka OPTIONS (ADD acks '1');
ALTER SERVER so_kafka OPTIONS (ADD enable_idempotence 'false');
ALTER SERVER so_kafka OPTIONS (ADD transactional_id 'x');
ALTER SERVER so_kafka OPTIONS (ADD partitioner 'random');
ALTER SERVER so_kafka OPTIONS (ADD message_timeout_ms '1');
ALTER SERVER so_kafka OPTIONS (ADD max_in_flight '100');
ALTER SERVER so_kafka OPTIONS (ADD group_id 'x');
ALTER SERVER so_kafka OPTIONS (ADD brokers '127.0.0.1:9092');

-- Values are checked.
ALTER SERVER so_kafka OPTIONS (SET bootstrap_servers 'file:///etc/passwd');
ALTER SERVER so_kafka OPTIONS (SET bootstrap_servers 'user:secret@broker:9092');
ALTER SERVER so_kafka OPTIONS (SET bootstrap_servers 'broker:');
ALTER SERVER so_kafka OPTIONS (SET bootstrap_servers 'broker:0');
ALTER SERVER so_kafka OPTIONS (SET bootstrap_servers 'broker:65536');
ALTER SERVER so_kafka OPTIONS (SET bootstrap_servers '');
ALTER SERVER so_kafka OPTIONS (SET linger_ms 'soon');
ALTER SERVER so_kafka OPTIONS (SET linger_ms '-1');
ALTER SERVER so_kafka OPTIONS (ADD queue_buffering_max_kbytes '65537');
ALTER SERVER so_kafka OPTIONS (SET compression_type 'brotli');
ALTER SERVER so_kafka OPTIONS (ADD socket_keepalive_enable 'yes');
ALTER SERVER so_kafka OPTIONS (ADD ssl_ca_pem '/etc/passwd');
ALTER SERVER so_kafka OPTIONS (SET "client.id" E'a\nb');
-- The value of a secret is not repeated.
ALTER USER MAPPING FOR CURRENT_USER SERVER so_kafka OPTIONS (SET sasl_password E'hidden\n');

-- Options have no place but servers and user mappings.
ALTER FOREIGN DATA WRAPPER prism_kafka OPTIONS (ADD bootstrap_servers '127.0.0.1:9092');

-- Nobody but the owner may use the wrapper.
CREATE ROLE so_tenant;
SET ROLE so_tenant;
CREATE SERVER so_other FOREIGN DATA WRAPPER prism_kafka OPTIONS (bootstrap_servers '127.0.0.1:9092');
SELECT prism_internal.kafka_validator('{}', 0);
RESET ROLE;

-- With USAGE, endpoints are those that a superuser listed, and verification stays on.
GRANT USAGE ON FOREIGN DATA WRAPPER prism_kafka TO so_tenant;
GRANT CREATE ON DATABASE :DBNAME TO so_tenant;
SET ROLE so_tenant;
CREATE SERVER so_other FOREIGN DATA WRAPPER prism_kafka OPTIONS (bootstrap_servers '127.0.0.1:9092');
CREATE SERVER so_other FOREIGN DATA WRAPPER prism_kafka OPTIONS (enable_ssl_certificate_verification 'false');
CREATE SERVER so_other FOREIGN DATA WRAPPER prism_kafka OPTIONS (ssl_endpoint_identification_algorithm 'none');
CREATE SERVER so_other FOREIGN DATA WRAPPER prism_kafka OPTIONS (security_protocol 'sasl_plaintext');
RESET ROLE;

-- A tenant cannot use another one's server either.
SET ROLE so_tenant;
CREATE USER MAPPING FOR CURRENT_USER SERVER so_kafka OPTIONS (sasl_password 'x');
RESET ROLE;

REVOKE CREATE ON DATABASE :DBNAME FROM so_tenant;
REVOKE USAGE ON FOREIGN DATA WRAPPER prism_kafka FROM so_tenant;
DROP ROLE so_tenant;
DROP SERVER so_kafka CASCADE;

-- What an endpoint is: the same in a foreign server and in a namespace.
CREATE FUNCTION pg_temp.accepted(statement text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN true;
EXCEPTION WHEN invalid_parameter_value THEN
    RETURN false;
END
$$;
SELECT left(endpoint, 30) AS endpoint,
    pg_temp.accepted(format('CREATE SERVER so_rule FOREIGN DATA WRAPPER prism_kafka OPTIONS (bootstrap_servers %L); DROP SERVER so_rule', endpoint)) AS server,
    pg_temp.accepted(format('SELECT prism.plan(%L)', format('{name: so_rule, backend: {type: kafka, brokers: [%s]}}', to_json(endpoint)))) AS namespace
FROM unnest(ARRAY['kafka-1', 'kafka-1:9092', '[::1]', '[::1]:9092', '[fd00::1:2]:1', '[::ffff:10.0.0.1]:65535', '10.0.0.1', 'KAFKA_1.Example.org.:9092', repeat('k', 253),
    repeat('k', 254), '', ':9092', 'kafka-1:', 'kafka-1:0', 'kafka-1:65536', 'kafka-1:+1', 'kafka-1: 1', 'kafka-1:9092:9092', '::1', '::1:9092', '[::1', '[::1]9092', '[::1]:',
    '[]:9092', '[kafka-1]:9092', '[fe80::1%eth0]:9092', '[1:2:3]:9092', '-kafka:9092', '.kafka:9092', 'ssl://kafka-1:9092', 'user@kafka-1:9092', 'kafka-1:9092/x', '*:9092'])
    AS e(endpoint);
