-- The texts of the settings tell what each place costs in shared memory: measured here, within 5 % (structs differ a little between platforms).
CREATE TEMP VIEW said AS
SELECT name, setting::numeric AS places, (regexp_match(extra_desc, '(\d+) bytes'))[1]::numeric AS bytes
FROM pg_settings WHERE name LIKE 'prism.%' AND extra_desc ~ '\d bytes';
CREATE TEMP VIEW taken AS
SELECT 'prism.max_topics' AS name, sum(size) AS bytes FROM pg_shmem_allocations WHERE name IN ('prism topics', 'prism sinks')
UNION ALL
SELECT 'prism.max_topics_per_transaction', sum(size) / (SELECT sum(setting::numeric) FROM pg_settings
    WHERE name IN ('max_connections', 'autovacuum_max_workers', 'autovacuum_worker_slots', 'max_worker_processes', 'max_wal_senders')
    AND NOT (name = 'autovacuum_max_workers' AND current_setting('autovacuum_worker_slots', true) IS NOT NULL))
FROM pg_shmem_allocations WHERE name = 'prism blocks in flight'
UNION ALL
SELECT 'prism.max_groups', sum(size) - (SELECT places * bytes FROM said WHERE name = 'prism.group_window') * current_setting('prism.max_groups')::numeric
FROM pg_shmem_allocations WHERE name IN ('prism groups', 'prism handlers')
UNION ALL
SELECT 'prism.group_window', size / current_setting('prism.max_groups')::numeric FROM pg_shmem_allocations WHERE name = 'prism groups';
SELECT name, abs(taken.bytes / (said.places * said.bytes) - 1) < 0.05 AS is_so FROM said FULL JOIN taken USING (name) ORDER BY name;
