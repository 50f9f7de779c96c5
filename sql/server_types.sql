-- Servers of back ends that are not built: what can be typed is checked as Kafka's is, and a namespace that names one as its queue waits for it.

CREATE SERVER st_s3 FOREIGN DATA WRAPPER prism_s3
    OPTIONS (endpoint 'https://s3.eu-central-1.amazonaws.com', region 'eu-central-1', bucket 'prism', addressing 'path', part_size '8388608', "storage.class" 'STANDARD');
CREATE USER MAPPING FOR CURRENT_USER SERVER st_s3 OPTIONS (access_key_id 'AKIA', secret_access_key 'hidden', session_token 'hidden');
CREATE SERVER st_redis FOREIGN DATA WRAPPER prism_redis OPTIONS (endpoints 'redis-1:6379, [::1]:6380', database '0', tls 'require', cluster 'auto');
CREATE USER MAPPING FOR CURRENT_USER SERVER st_redis OPTIONS (username 'prism', password 'hidden');
CREATE SERVER st_nats FOREIGN DATA WRAPPER prism_nats OPTIONS (endpoints 'nats-1:4222', stream 'events', tls 'off');
CREATE USER MAPPING FOR CURRENT_USER SERVER st_nats OPTIONS (jwt 'hidden', nkey_seed 'hidden');
CREATE SERVER st_clickhouse FOREIGN DATA WRAPPER prism_clickhouse OPTIONS (endpoint 'http://localhost:8123/', database 'default', timeout_ms '10000');
CREATE USER MAPPING FOR CURRENT_USER SERVER st_clickhouse OPTIONS (username 'default', password 'hidden');

CREATE FUNCTION pg_temp.refused(statement text) RETURNS text LANGUAGE plpgsql AS $function$
DECLARE
    detail text;
    hint text;
BEGIN
    EXECUTE statement;
    RETURN 'taken';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n  ', SQLSTATE || ' ' || SQLERRM, 'detail: ' || nullif(detail, ''), 'hint: ' || nullif(hint, ''));
END
$function$;
\pset format unaligned
\pset tuples_only on

-- Each option with a value that is none of its values, and every one empty.
SELECT name, option, pg_temp.refused(format('CREATE SERVER st_bad FOREIGN DATA WRAPPER prism_%s OPTIONS (%s %L)', name, option, value))
FROM (VALUES
    ('s3', 'endpoint', 's3.amazonaws.com'), ('s3', 'endpoint', 'ftp://s3.amazonaws.com'), ('s3', 'endpoint', 'https://'), ('s3', 'endpoint', 'https://host/bucket'),
    ('s3', 'endpoint', 'https://user:secret@host'), ('s3', 'endpoint', 'https://host:0'), ('s3', 'endpoint', 'https://host?x'), ('s3', 'endpoint', 'https://' || repeat('h', 300)),
    ('s3', 'endpoint', 'file:///etc/passwd'), ('s3', 'endpoint', ''), ('s3', 'region', ''), ('s3', 'region', E'a\nb'), ('s3', 'addressing', 'host'), ('s3', 'part_size', '8MB'), ('s3', 'part_size', '5242879'),
    ('s3', 'uploads', '65'), ('s3', 'checksum', 'md5'), ('s3', 'storage_class', 'cold'), ('s3', 'ca_pem', '/etc/passwd'), ('s3', 'secret_access_key', 'hidden'), ('s3', 'access_key_id', 'AKIA'),
    ('s3', 'secret_key', 'hidden'), ('s3', 'profile', 'default'), ('s3', 'credential_process', 'touch /tmp/x'), ('s3', 'ca_file', '/etc/passwd'), ('s3', 'bukket', 'b'), ('s3', 'colour', 'red'),
    ('redis', 'endpoints', 'redis-1'), ('redis', 'endpoints', 'redis-1:6379,redis-2'), ('redis', 'endpoints', 'redis://redis-1:6379'), ('redis', 'endpoints', 'user:secret@redis-1:6379'), ('redis', 'endpoints', ''),
    ('redis', 'database', '-1'), ('redis', 'database', 'main'), ('redis', 'tls', 'maybe'), ('redis', 'cluster', 'yes'), ('redis', 'password', 'hidden'), ('redis', 'host', 'redis-1'), ('redis', 'timeout_ms', '0'),
    ('nats', 'endpoints', 'nats-1'), ('nats', 'credentials', '/etc/nats.creds'), ('nats', 'nkey_seed', 'hidden'), ('nats', 'token', 'hidden'), ('nats', 'stream', ''), ('nats', 'key_path', '/etc/key.pem'),
    ('clickhouse', 'endpoint', 'clickhouse:9000'), ('clickhouse', 'password', 'hidden'), ('clickhouse', 'user', 'default'), ('clickhouse', 'certificate_location', '/etc/cert.pem'), ('clickhouse', 'database', repeat('d', 1025))
) AS o(name, option, value);

-- Secrets belong to user mappings, and nothing else does; their values are not repeated.
SELECT pg_temp.refused($$ALTER USER MAPPING FOR CURRENT_USER SERVER st_s3 OPTIONS (ADD region 'x')$$);
SELECT pg_temp.refused($$ALTER USER MAPPING FOR CURRENT_USER SERVER st_redis OPTIONS (SET password E'hid\nden')$$);
SELECT pg_temp.refused($$ALTER USER MAPPING FOR CURRENT_USER SERVER st_nats OPTIONS (ADD "nkey.seed" 'hidden')$$);
SELECT pg_temp.refused(format('ALTER FOREIGN DATA WRAPPER prism_%s OPTIONS (ADD endpoint %L)', name, 'https://host')) FROM unnest(ARRAY['s3', 'redis', 'nats', 'clickhouse']) AS name;

-- Nobody but the owner may use the wrappers; with USAGE, endpoints are those that a superuser listed, and what travels is encrypted.
CREATE ROLE st_tenant;
GRANT CREATE ON DATABASE :DBNAME TO st_tenant;
SET ROLE st_tenant;
SELECT pg_temp.refused(format('CREATE SERVER st_other FOREIGN DATA WRAPPER prism_%s', name)) FROM unnest(ARRAY['s3', 'redis', 'nats', 'clickhouse']) AS name;
SELECT pg_temp.refused(format('SELECT prism_internal.%s_validator(%L, 0)', name, '{}')) FROM unnest(ARRAY['s3', 'redis', 'nats', 'clickhouse']) AS name;
RESET ROLE;
GRANT USAGE ON FOREIGN DATA WRAPPER prism_s3, prism_redis, prism_nats, prism_clickhouse TO st_tenant;
SET ROLE st_tenant;
CREATE SERVER st_none FOREIGN DATA WRAPPER prism_redis OPTIONS (endpoints 'redis-1');
SELECT pg_temp.refused(format('CREATE SERVER st_other FOREIGN DATA WRAPPER prism_%s OPTIONS (%s %L)', name, option, value))
FROM (VALUES ('s3', 'endpoint', 'https://host'), ('s3', 'endpoint', 'https://host:9000'), ('clickhouse', 'endpoint', 'http://host'), ('redis', 'endpoints', 'host:6379'), ('redis', 'tls', 'off'), ('nats', 'tls', 'off')) AS o(name, option, value);
RESET ROLE;

-- As the queue of a namespace each waits, with its server or without, and wherever it is said; as a place of payloads it waits with its pattern.
SELECT name, pg_temp.refused(format('SELECT prism.plan(%L)', format('{name: st, backend: %s}', name))) FROM unnest(ARRAY['redis', 'nats']) AS name;
SELECT pg_temp.refused($$SELECT prism.apply('{name: st, backend: {type: nats, server: st_nats, topic_prefix: x}}')$$);
SELECT pg_temp.refused($$SELECT prism.apply('{name: st, backend: {type: nats, server: st_nats, partitions: 3}}')$$);
SELECT pg_temp.refused($$SELECT prism.apply('{name: st, backend: kafka, patterns: [{type: claim-check, storage: {backend: s3, server: st_s3}}]}')$$);
-- A server of another wrapper is none of Kafka's.
SELECT pg_temp.refused($$SELECT prism.apply('{name: st, backend: {type: kafka, server: st_redis}}')$$);
SELECT count(*) FROM prism.namespaces WHERE namespace = 'st';

REVOKE CREATE ON DATABASE :DBNAME FROM st_tenant;
REVOKE USAGE ON FOREIGN DATA WRAPPER prism_s3, prism_redis, prism_nats, prism_clickhouse FROM st_tenant;
DROP ROLE st_tenant;
DROP SERVER st_s3, st_redis, st_nats, st_clickhouse CASCADE;
