-- All rights, on one page.
--
-- Nobody but prism's owner gets anything here. A role's rights are its privileges on namespaces (prism.grant), which are
-- kept as PostgreSQL's own on the view prism_log.namespace_<id>: publish is INSERT, consume is UPDATE, read is SELECT,
-- admin is REFERENCES. They are checked in C by every function. Whoever holds one of them on any namespace is also
-- given what the following table says, and loses it with the last one. Whose rights a handler uses is kept likewise, on
-- prism_log.handler_<group_id> (src/store/handler/handler_party.c): SELECT is the role that it runs as, INSERT who registered it.
-- Schema prism_log, prism's tables, and what is
-- not listed here are for the owner alone.

CREATE VIEW prism.privilege_object AS
SELECT v.held_as, o.needs, o.name::name AS name
FROM (VALUES
    ('publish', 'INSERT'),
    ('consume', 'UPDATE'),
    ('read',    'SELECT'),
    ('admin',   'REFERENCES')) AS v(privilege, held_as)
JOIN (VALUES
    ('publish', 'EXECUTE', 'publish'),
    ('publish', 'EXECUTE', 'publish_batch'),
    ('publish', 'EXECUTE', 'transaction'),
    ('publish', 'EXECUTE', 'last_position'),
    ('publish', 'INSERT',  'outbox'),

    ('consume', 'EXECUTE', 'consume'),
    ('consume', 'EXECUTE', 'ack'),
    ('consume', 'EXECUTE', 'nack'),
    ('consume', 'EXECUTE', 'reject'),
    ('consume', 'EXECUTE', 'extend'),
    ('consume', 'EXECUTE', 'wait'),
    ('consume', 'EXECUTE', 'create_group'),
    ('consume', 'EXECUTE', 'drop_group'),
    ('consume', 'EXECUTE', 'seek'),
    ('consume', 'EXECUTE', 'on'),
    ('consume', 'EXECUTE', 'off'),

    ('read',    'EXECUTE', 'read'),

    ('admin',   'EXECUTE', 'apply'),
    ('admin',   'EXECUTE', 'plan'),
    ('admin',   'EXECUTE', 'drop_namespace'),
    ('admin',   'EXECUTE', 'grant'),
    ('admin',   'EXECUTE', 'revoke'),
    ('admin',   'EXECUTE', 'pause'),
    ('admin',   'EXECUTE', 'resume'),
    ('admin',   'EXECUTE', 'skip'),
    ('admin',   'EXECUTE', 'redrive'),

    ('any',     'EXECUTE', 'version'),
    ('any',     'EXECUTE', 'privileges'),
    ('any',     'EXECUTE', 'outbox_messages'),
    ('any',     'EXECUTE', 'payload_text'),
    ('any',     'EXECUTE', 'group_states'),
    ('any',     'EXECUTE', 'handler_states'),
    ('any',     'EXECUTE', 'sink_states'),
    ('any',     'EXECUTE', 'topic_size'),
    ('any',     'EXECUTE', 'topic_states'),
    ('any',     'EXECUTE', 'worker_slots'),
    ('any',     'EXECUTE', 'worker_trouble'),
    ('any',     'EXECUTE', 'disks'),
    ('any',     'EXECUTE', 'metrics_text'),
    ('any',     'SELECT',  'outbox'),
    ('any',     'SELECT',  'namespaces'),
    ('any',     'SELECT',  'topics'),
    ('any',     'SELECT',  'groups'),
    ('any',     'SELECT',  'handlers'),
    ('any',     'SELECT',  'sinks'),
    ('any',     'SELECT',  'metrics'),
    ('any',     'SELECT',  'status')) AS o(privilege, needs, name)
    ON o.privilege IN (v.privilege, 'any');
COMMENT ON VIEW prism.privilege_object IS
'What comes with a privilege on a namespace: held_as on its rights view, needs EXECUTE on all functions of the name in schema prism, or SELECT or INSERT on the view';

REVOKE ALL ON ALL TABLES IN SCHEMA prism, prism_log FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA prism, prism_log FROM PUBLIC;
REVOKE ALL ON ALL ROUTINES IN SCHEMA prism, prism_log FROM PUBLIC;

-- PUBLIC is not the only one: default privileges of the owner have given rights to others, or taken his own.
CREATE FUNCTION prism.guard_table() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'prism_guard_table';
COMMENT ON FUNCTION prism.guard_table() IS
'BEFORE trigger of each of prism''s tables: refuses (42501) who has not the rights of the table''s owner, even if pg_write_all_data or a grant would let him write.';
CREATE FUNCTION prism.own_schemas() RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'prism_own_schemas';
SELECT prism.own_schemas();
DROP FUNCTION prism.own_schemas();
GRANT USAGE ON TYPE prism.message TO PUBLIC;

-- Monitoring: how things stand, never a payload, a key or a header.
GRANT USAGE ON SCHEMA prism TO pg_monitor;
GRANT SELECT ON prism.namespaces, prism.topics, prism.groups, prism.handlers, prism.sinks, prism.workers, prism.status, prism.metrics TO pg_monitor;
GRANT EXECUTE ON FUNCTION prism.version(), prism.privileges(integer), prism.topic_states(), prism.topic_size(integer), prism.group_states(), prism.handler_states(), prism.sink_states(), prism.worker_slots(), prism.worker_trouble(), prism.disks(), prism.doctor(), prism.metrics_text()
    TO pg_monitor;
