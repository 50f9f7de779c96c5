-- All rights, on one page.
--
-- Nobody but prism's owner gets anything here. A role's rights are its privileges on namespaces (prism.grant), which are
-- kept as PostgreSQL's own on the view prism_log.namespace_<id>: publish is INSERT, consume is UPDATE, read is SELECT,
-- admin is REFERENCES. They are checked in C by every function. Whoever holds one of them on any namespace is also
-- given what the following table says, and loses it with the last one. Schema prism_log, prism's tables, and what is
-- not listed here are for the owner alone.

CREATE VIEW prism.privilege_object AS
SELECT v.held_as, o.kind, o.name::name AS name
FROM (VALUES
    ('publish', 'INSERT'),
    ('consume', 'UPDATE'),
    ('read',    'SELECT'),
    ('admin',   'REFERENCES')) AS v(privilege, held_as)
JOIN (VALUES
    ('publish', 'routine', 'publish'),
    ('publish', 'routine', 'publish_batch'),
    ('publish', 'routine', 'transaction'),
    ('publish', 'routine', 'last_position'),

    ('consume', 'routine', 'consume'),
    ('consume', 'routine', 'ack'),
    ('consume', 'routine', 'wait'),
    ('consume', 'routine', 'create_group'),
    ('consume', 'routine', 'drop_group'),

    ('read',    'routine', 'read'),

    ('admin',   'routine', 'apply'),
    ('admin',   'routine', 'plan'),
    ('admin',   'routine', 'drop_namespace'),
    ('admin',   'routine', 'grant'),
    ('admin',   'routine', 'revoke'),
    ('admin',   'routine', 'pause'),
    ('admin',   'routine', 'resume'),

    ('any',     'routine', 'version'),
    ('any',     'view',    'namespaces'),
    ('any',     'view',    'topics'),
    ('any',     'view',    'groups'),
    ('any',     'view',    'sinks'),
    ('any',     'view',    'outbox'),
    ('any',     'view',    'metrics'),
    ('any',     'view',    'status')) AS o(privilege, kind, name)
    ON o.privilege IN (v.privilege, 'any');
COMMENT ON VIEW prism.privilege_object IS 'Which functions and views of schema prism come with which privilege on a namespace';

REVOKE ALL ON ALL TABLES IN SCHEMA prism, prism_log FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA prism, prism_log FROM PUBLIC;
REVOKE ALL ON ALL ROUTINES IN SCHEMA prism, prism_log FROM PUBLIC;
