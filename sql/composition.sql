-- Which patterns go together: every list of up to three, with every client API and back end, as prism.check() says.
-- What is not built yet is accepted here, as everywhere but at the end.
\pset format unaligned
\pset tuples_only on
CREATE TEMP TABLE composition AS
WITH word AS (SELECT * FROM unnest(ARRAY['wal', 'outbox', 'claim-check', 'tiered-storage', 'cdc', 'cache', 'event-store', 'projection']) WITH ORDINALITY AS w(name, n)),
list(names, numbers) AS (
    SELECT ARRAY[]::text[], ARRAY[]::bigint[]
    UNION ALL SELECT ARRAY[a.name], ARRAY[a.n] FROM word a
    UNION ALL SELECT ARRAY[a.name, b.name], ARRAY[a.n, b.n] FROM word a, word b WHERE a.n <> b.n
    UNION ALL SELECT ARRAY[a.name, b.name, c.name], ARRAY[a.n, b.n, c.n] FROM word a, word b, word c WHERE a.n <> b.n AND b.n <> c.n AND a.n <> c.n)
SELECT list.names AS patterns, list.numbers, api, i AS api_number, backend, k AS backend_number, refused.*
FROM list,
    unnest(ARRAY['queue', 'pubsub', 'transact', 'reader', 'cache']) WITH ORDINALITY AS a(api, i),
    unnest(ARRAY['postgres', 'memory', 'kafka', 'nats', 'redis', 's3', 'clickhouse']) WITH ORDINALITY AS b(backend, k),
    LATERAL (SELECT min(code COLLATE "C") AS code, min(message COLLATE "C") AS message, min(detail COLLATE "C") AS detail, min(hint COLLATE "C") AS hint
             FROM prism.check(format('{name: c, client_api: %s, patterns: [%s], backend: %s}', api, array_to_string(list.names, ', '), backend))
             WHERE code <> '0A000') AS refused;
SELECT count(*), count(*) FILTER (WHERE code IS NULL) AS accepted FROM composition;
-- All that is accepted: patterns as written, client APIs, back ends.
WITH of_api AS (
    SELECT patterns, numbers, api, api_number, string_agg(backend, ' ' ORDER BY backend_number) AS backends
    FROM composition WHERE code IS NULL GROUP BY patterns, numbers, api, api_number)
SELECT format('%-42s %-24s %s', '[' || array_to_string(patterns, ', ') || ']', string_agg(api, ' ' ORDER BY api_number), backends)
FROM of_api GROUP BY patterns, numbers, backends ORDER BY cardinality(numbers), numbers, min(api_number);
-- All else is one of the specification's three errors, with its fields,
SELECT code, count(*), min(message COLLATE "C"), bool_and(detail ~ ('^' || CASE code WHEN 'PR001' THEN 'IncompatiblePattern: pattern [a-z-]+, api [a-z]+\.'
        WHEN 'PR002' THEN 'IncompatiblePatternOrder: first [a-z-]+, second [a-z-]+\.'
        ELSE 'BackendIncompatibleWithPatterns: backend [a-z0-9]+, api [a-z]+, patterns \[[a-z, -]*\]\.' END)) AS fields
FROM composition WHERE code IS NOT NULL GROUP BY code ORDER BY code;
-- and names a composition that is accepted: the rows of the specification's matrix.
CREATE TEMP TABLE row_of_matrix AS
SELECT substring(hint FROM '\{.*\}') AS yaml, count(*) AS times FROM composition WHERE code IS NOT NULL GROUP BY 1;
SELECT yaml, times FROM row_of_matrix ORDER BY yaml COLLATE "C";
SELECT yaml, c.* FROM row_of_matrix, prism.check(replace(yaml, '{client_api', '{name: pasted, client_api')) AS c WHERE c.code <> '0A000';
