-- All rights, on one page.
--
-- Nobody but prism's owner gets anything here, except that all may call prism.check(). A role's rights are its privileges on namespaces (prism.grant), which are
-- kept as PostgreSQL's own on the view prism_log.namespace_<id>: publish is INSERT, consume is UPDATE, read is SELECT,
-- admin is REFERENCES. They are checked in C by every function. Whoever holds one of them on any namespace is also
-- given what the following table says, and loses it with the last one. Whose rights a handler uses is kept likewise, on
-- prism_log.handler_<group_id> (src/store/handler/handler_party.c): SELECT is the role that it runs as, INSERT who registered it.
-- The schemas prism_internal and prism_log, prism's tables, and what is not listed here are for the owner alone. On functions
-- of prism_internal there is EXECUTE for those who may look at a view that calls them, as PostgreSQL asks for it then, but
-- USAGE of the schema is granted to nobody. pg_read_all_data and pg_write_all_data have it on all schemas: so each of them
-- shows its caller no more than the view does.

CREATE VIEW prism.privilege_object AS
SELECT v.held_as, o.needs, o.schema::name AS schema, o.name::name AS name
FROM (VALUES
    ('publish', 'INSERT'),
    ('consume', 'UPDATE'),
    ('read',    'SELECT'),
    ('admin',   'REFERENCES')) AS v(privilege, held_as)
JOIN (VALUES
    ('publish', 'EXECUTE', 'prism',          'publish'),
    ('publish', 'EXECUTE', 'prism',          'publish_batch'),
    ('publish', 'EXECUTE', 'prism',          'transaction'),
    ('publish', 'EXECUTE', 'prism',          'last_position'),
    ('publish', 'INSERT',  'prism',          'outbox'),
    ('publish', 'EXECUTE', 'prism',          'payload_open'),
    ('publish', 'EXECUTE', 'prism',          'payload_append'),
    ('publish', 'EXECUTE', 'prism',          'publish_payload'),
    ('publish', 'EXECUTE', 'prism',          'payload_discard'),
    ('publish', 'EXECUTE', 'prism',          'publish_large_object'),
    ('publish', 'INSERT',  'prism',          'payload_piece'),

    ('consume', 'EXECUTE', 'prism',          'consume'),
    ('consume', 'EXECUTE', 'prism',          'ack'),
    ('consume', 'EXECUTE', 'prism',          'nack'),
    ('consume', 'EXECUTE', 'prism',          'reject'),
    ('consume', 'EXECUTE', 'prism',          'extend'),
    ('consume', 'EXECUTE', 'prism',          'wait'),
    ('consume', 'EXECUTE', 'prism',          'create_group'),
    ('consume', 'EXECUTE', 'prism',          'drop_group'),
    ('consume', 'EXECUTE', 'prism',          'seek'),
    ('consume', 'EXECUTE', 'prism',          'on'),
    ('consume', 'EXECUTE', 'prism',          'off'),

    ('consume', 'EXECUTE', 'prism',          'payload_read'),
    ('consume', 'EXECUTE', 'prism',          'payload_pieces'),
    ('consume', 'EXECUTE', 'prism',          'payload_export'),

    ('read',    'EXECUTE', 'prism',          'read'),
    ('read',    'EXECUTE', 'prism',          'payload_read'),
    ('read',    'EXECUTE', 'prism',          'payload_pieces'),
    ('read',    'EXECUTE', 'prism',          'payload_export'),

    ('admin',   'EXECUTE', 'prism',          'apply'),
    ('admin',   'EXECUTE', 'prism',          'plan'),
    ('admin',   'EXECUTE', 'prism',          'drop_namespace'),
    ('admin',   'EXECUTE', 'prism',          'grant'),
    ('admin',   'EXECUTE', 'prism',          'revoke'),
    ('admin',   'EXECUTE', 'prism',          'pause'),
    ('admin',   'EXECUTE', 'prism',          'resume'),
    ('admin',   'EXECUTE', 'prism',          'skip'),
    ('admin',   'EXECUTE', 'prism',          'redrive'),

    ('any',     'EXECUTE', 'prism',          'version'),
    ('any',     'EXECUTE', 'prism_internal', 'config_keys'),
    ('any',     'EXECUTE', 'prism_internal', 'privileges'),
    ('any',     'EXECUTE', 'prism_internal', 'outbox_messages'),
    ('any',     'EXECUTE', 'prism_internal', 'payload_text'),
    ('any',     'EXECUTE', 'prism_internal', 'group_states'),
    ('any',     'EXECUTE', 'prism_internal', 'handler_states'),
    ('any',     'EXECUTE', 'prism_internal', 'sink_states'),
    ('any',     'EXECUTE', 'prism_internal', 'topic_size'),
    ('any',     'EXECUTE', 'prism_internal', 'claim_states'),
    ('any',     'EXECUTE', 'prism_internal', 'progress'),
    ('any',     'EXECUTE', 'prism_internal', 'topic_states'),
    ('any',     'EXECUTE', 'prism_internal', 'topics_full'),
    ('any',     'EXECUTE', 'prism_internal', 'worker_slots'),
    ('any',     'EXECUTE', 'prism_internal', 'worker_trouble'),
    ('any',     'EXECUTE', 'prism_internal', 'disks'),
    ('any',     'EXECUTE', 'prism',          'metrics_text'),
    ('any',     'SELECT',  'prism',          'outbox'),
    ('any',     'SELECT',  'prism',          'payload_piece'),
    ('any',     'SELECT',  'prism',          'config_keys'),
    ('any',     'SELECT',  'prism',          'namespaces'),
    ('any',     'SELECT',  'prism',          'topics'),
    ('any',     'SELECT',  'prism',          'claims'),
    ('any',     'SELECT',  'prism',          'progress'),
    ('any',     'SELECT',  'prism',          'groups'),
    ('any',     'SELECT',  'prism',          'handlers'),
    ('any',     'SELECT',  'prism',          'sinks'),
    ('any',     'SELECT',  'prism',          'metrics'),
    ('any',     'SELECT',  'prism',          'status')) AS o(privilege, needs, schema, name)
    ON o.privilege IN (v.privilege, 'any');
COMMENT ON VIEW prism.privilege_object IS
'What comes with a privilege on a namespace: held_as on its rights view, needs EXECUTE on all functions of the name in the schema, or SELECT or INSERT on the view';

CREATE FUNCTION prism_internal.guard_table() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'prism_guard_table';
COMMENT ON FUNCTION prism_internal.guard_table() IS
'BEFORE trigger of each of prism''s tables: refuses (42501) who has not the rights of the table''s owner, even if pg_write_all_data or a grant would let him write.';

-- No function is made behind this: PUBLIC may execute it otherwise.
REVOKE ALL ON ALL TABLES IN SCHEMA prism, prism_internal, prism_log FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA prism, prism_internal, prism_log FROM PUBLIC;
REVOKE ALL ON ALL ROUTINES IN SCHEMA prism, prism_internal, prism_log FROM PUBLIC;

-- PUBLIC is not the only one: default privileges of the owner have given rights to others, or taken his own.
CREATE FUNCTION prism_internal.own_schemas() RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'prism_own_schemas';
SELECT prism_internal.own_schemas();
DROP FUNCTION prism_internal.own_schemas();
GRANT USAGE ON TYPE prism.message TO PUBLIC;
-- For anybody: it reads a text that its caller has, and nothing else. Where PUBLIC is to have nothing at all, take both away:
-- whoever holds a privilege has USAGE of his own.
GRANT USAGE ON SCHEMA prism TO PUBLIC;
GRANT EXECUTE ON FUNCTION prism.check(text) TO PUBLIC;

-- Monitoring: how things stand, never a payload, a key or a header.
GRANT USAGE ON SCHEMA prism TO pg_monitor;
GRANT SELECT ON prism.namespaces, prism.topics, prism.claims, prism.progress, prism.groups, prism.handlers, prism.sinks, prism.workers, prism.status, prism.metrics TO pg_monitor;
GRANT EXECUTE ON FUNCTION prism.version(), prism.doctor(), prism.metrics_text() TO pg_monitor;
GRANT EXECUTE ON FUNCTION prism_internal.privileges(integer), prism_internal.topic_states(), prism_internal.topic_size(integer), prism_internal.claim_states(), prism_internal.progress(), prism_internal.topics_full(),
    prism_internal.group_states(), prism_internal.handler_states(), prism_internal.sink_states(), prism_internal.worker_slots(),
    prism_internal.worker_trouble(), prism_internal.disks()
    TO pg_monitor;
