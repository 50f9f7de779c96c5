-- Background workers: what runs, and waking them.

CREATE FUNCTION prism_internal.worker_slots(OUT kind text, OUT database_oid oid, OUT server_oid oid, OUT sink_id integer,
                                   OUT pid integer, OUT state text, OUT since timestamptz, OUT restarts integer,
                                   OUT error text, OUT hint text, OUT role_oid oid)
RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL SAFE ROWS 10 AS 'MODULE_PATHNAME', 'prism_workers';
COMMENT ON FUNCTION prism_internal.worker_slots() IS
'The workers of this server that are wanted, with or without a process; nothing for roles that are neither superuser, nor owner of the extension, nor members of pg_read_all_stats. Behind prism.workers.';

CREATE FUNCTION prism_internal.worker_trouble(OUT kind text, OUT state text)
RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME', 'prism_worker_trouble';
COMMENT ON FUNCTION prism_internal.worker_trouble() IS
'The workers that all namespaces of this database need (launcher, manager, maintainer, scheduler) and that do not run as they should, with the state they are in or "without a process"; kind all, state "switched off" when prism.enabled is off; nothing on a standby, and nothing else of them. Behind prism.status.';

CREATE VIEW prism.workers AS
SELECT w.kind, d.datname AS database, s.srvname AS server, w.sink_id, r.rolname AS role, w.pid, w.state, w.since, w.restarts, w.error, w.hint
FROM prism_internal.worker_slots() w
LEFT JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) w.database_oid
LEFT JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) w.role_oid
LEFT JOIN pg_catalog.pg_foreign_server s ON s.oid OPERATOR(pg_catalog.=) w.server_oid
      AND d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database();
COMMENT ON VIEW prism.workers IS
'Background workers: kind (launcher, manager, maintainer, scheduler, forwarder, handler), database, foreign server or first sink of a forwarder, role of a handler, process id (NULL: no process), state (starting, running, backoff, stopping, no_worker_slot, failed), since when, restarts, last error, and what to do';

CREATE FUNCTION prism.wake_workers() RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'prism_wake_workers';
COMMENT ON FUNCTION prism.wake_workers() IS
'At commit, the workers of this database look at the catalogue again. Never needed in daily work: prism''s own functions do it by themselves.';

-- This very script: the launcher finds out that there is prism in this database.
SELECT prism.wake_workers();
