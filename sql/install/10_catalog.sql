-- Prism's catalogue. Only prism's own functions write it; each change of topic, sink or group goes through
-- src/store, which tells the other sessions. No foreign keys and no triggers: a data-only restore must work.

CREATE SEQUENCE prism.object_id AS integer;
COMMENT ON SEQUENCE prism.object_id IS 'Numbers of namespaces, topics and sinks';

-- Apart, as whoever may consume can use up any number of these (a savepoint that is rolled back takes one along): the
-- number of a group is the remainder, and begins anew (src/store/group/group_catalog.c).
CREATE SEQUENCE prism.group_number;
COMMENT ON SEQUENCE prism.group_number IS 'Consumer groups that were ever made: what their numbers are taken from';

-- Which installation this log is. One row, made at first use, so that a restore brings the dumped one.
CREATE TABLE prism.installation (
    installation_id   uuid NOT NULL PRIMARY KEY,
    system_identifier bigint NOT NULL,
    database_oid      oid NOT NULL,
    timeline          integer NOT NULL,
    directory_inode   bigint NOT NULL,
    state             text NOT NULL DEFAULT 'own',
    since             timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE prism.installation IS 'Which installation this log is: made at first use, compared at every start, so that a copy is noticed';

CREATE TABLE prism.namespace (
    namespace_id integer NOT NULL PRIMARY KEY,
    name         text NOT NULL UNIQUE,
    config       jsonb NOT NULL,
    applied_at   timestamptz NOT NULL,
    applied_by   name NOT NULL
);
COMMENT ON TABLE prism.namespace IS 'Namespaces as applied, normalised; rights on them are the privileges on prism_log.namespace_<namespace_id>';

-- The counter of topic n is the sequence prism_log.topic_<n>_mark, its segments are prism_log.topic_<n>_<number>.
CREATE TABLE prism.topic (
    topic_id          integer NOT NULL PRIMARY KEY,
    namespace_id      integer,
    name              text NOT NULL UNIQUE,
    segment_messages  bigint NOT NULL,
    message_bytes_max bigint NOT NULL,
    created_at        timestamptz NOT NULL,
    policy            jsonb NOT NULL DEFAULT '{}',
    dropped_end       bigint NOT NULL DEFAULT 0,
    dropped_until     timestamptz,
    dead_letter_of    integer UNIQUE,
    chain             jsonb NOT NULL DEFAULT '[]',
    payload_cleaned   bigint NOT NULL DEFAULT 0
);
CREATE INDEX topic_namespace ON prism.topic (namespace_id);
COMMENT ON TABLE prism.topic IS 'Topics and how their logs are cut into segments';
COMMENT ON COLUMN prism.topic.namespace_id IS 'NULL for prism''s own topics';
COMMENT ON COLUMN prism.topic.segment_messages IS 'offsets a segment; never changes, as offset / segment_messages is the number of the segment';

COMMENT ON COLUMN prism.topic.policy IS 'what the log promises, as its namespace needs it (src/store/log/topic_policy.h); what is not there is as by default';
COMMENT ON COLUMN prism.topic.chain IS 'the patterns that a message passes, as apply() has decided, each with its options (src/pattern); the topic of dead letters has those of its origin that fit there';
COMMENT ON COLUMN prism.topic.payload_cleaned IS 'no message below has a payload any more that lay beside the log: it went before its message, as the cleanup of the claim check says';
COMMENT ON COLUMN prism.topic.dropped_end IS 'behind the last message that retention has dropped: whoever has not finished something below it has lost it';
COMMENT ON COLUMN prism.topic.dropped_until IS 'when the latest of them was published';
COMMENT ON COLUMN prism.topic.dead_letter_of IS 'the topic whose dead letters it holds, by its number: what it is called does not make it that';

CREATE TABLE prism.segment (
    topic_id       integer NOT NULL,
    segment_number bigint NOT NULL,
    created_at     timestamptz NOT NULL,
    settled_at     timestamptz,
    dropped        boolean NOT NULL DEFAULT false,
    PRIMARY KEY (topic_id, segment_number)
);
COMMENT ON TABLE prism.segment IS 'The segments of each topic that exist';
COMMENT ON COLUMN prism.segment.dropped IS 'its topic is gone; the maintainer drops the table';
COMMENT ON COLUMN prism.segment.settled_at IS 'when all transactions that have offsets of it were seen to have ended: retention counts from then';

CREATE TABLE prism.jump (
    topic_id    integer NOT NULL,
    from_offset bigint NOT NULL,
    to_offset   bigint NOT NULL,
    skipped     bigint NOT NULL,
    PRIMARY KEY (topic_id, from_offset)
);
COMMENT ON TABLE prism.jump IS 'Offsets without a message: skipped on purpose (restart, new timeline, roll by age), or of commits that came to nothing; so that lag in messages can be told without counting';
COMMENT ON COLUMN prism.jump.skipped IS 'how many of these offsets hold no message: fewer than all of them where commits that came to nothing are told in one';

CREATE TABLE prism.sink (
    sink_id  integer NOT NULL PRIMARY KEY,
    topic_id integer NOT NULL,
    name     text NOT NULL,
    own      boolean NOT NULL,
    backend  text NOT NULL,
    server   name,
    config   jsonb NOT NULL,
    paused   boolean NOT NULL DEFAULT false,
    any_endpoint boolean NOT NULL DEFAULT false,
    UNIQUE (topic_id, name)
);
CREATE UNIQUE INDEX sink_own ON prism.sink (topic_id) WHERE own;
COMMENT ON TABLE prism.sink IS 'Where the messages of a topic are carried to';
COMMENT ON COLUMN prism.sink.name IS 'what it is called among the topic''s sinks; the one of the namespace''s backend is called as that';
COMMENT ON COLUMN prism.sink.own IS 'it is the one of its namespace''s backend, which prism.apply() makes, changes and drops; the others are of whatever added them';
COMMENT ON COLUMN prism.sink.any_endpoint IS 'a superuser wrote its config: brokers named there may lead to any address, whatever prism.allowed_endpoints says';
COMMENT ON COLUMN prism.sink.server IS 'how the foreign server was called, for people: which it is says prism_log.sink_<sink_id>; NULL: the endpoint stands in config';

-- A sink's server is that of the foreign table prism_log.sink_<sink_id>, which is there for nothing else: so DROP SERVER
-- is refused, another name changes nothing, nobody gets the messages by taking one, and a dump carries it.
CREATE VIEW prism.sink_server AS
SELECT s.sink_id, f.oid AS server_oid, f.srvname AS server
FROM prism.sink s
JOIN pg_catalog.pg_class c ON c.relname = ('sink_' || s.sink_id)::pg_catalog.name
    AND c.relnamespace = (SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = 'prism_log')
JOIN pg_catalog.pg_foreign_table t ON t.ftrelid = c.oid
JOIN pg_catalog.pg_foreign_server f ON f.oid = t.ftserver
WHERE s.server IS NOT NULL;
COMMENT ON VIEW prism.sink_server IS 'The foreign servers of sinks that have one, and what they are called now';

CREATE TABLE prism.consumer_group (
    group_id   integer NOT NULL PRIMARY KEY,
    topic_id   integer NOT NULL,
    name       text NOT NULL,
    start_from bigint NOT NULL,
    config     jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    UNIQUE (topic_id, name)
);
COMMENT ON TABLE prism.consumer_group IS 'Consumer groups and where they began';
COMMENT ON COLUMN prism.consumer_group.start_from IS 'the position at which the group was made; its progress is in the progress log';

CREATE TABLE prism.handler (
    group_id        integer NOT NULL PRIMARY KEY,
    topic_id        integer NOT NULL,
    function_schema name NOT NULL,
    function_name   name NOT NULL,
    takes_batch     boolean NOT NULL,
    role            name,
    registered_by   name,
    batch_size      integer NOT NULL,
    timeout_ms      integer NOT NULL,
    created_at      timestamptz NOT NULL
);
-- Those roles are known by their privileges on the view prism_log.handler_<group_id>: the one that it is called as has SELECT, the one that registered it INSERT.
COMMENT ON TABLE prism.handler IS 'Functions that workers call with the messages of a group; whose rights are used are the privileges on prism_log.handler_<group_id>';
COMMENT ON COLUMN prism.handler.takes_batch IS 'its argument is prism.message[]; false: prism.message';
COMMENT ON COLUMN prism.handler.role IS 'how the role was called as which it runs, for people; NULL: the owner of the extension';
COMMENT ON COLUMN prism.handler.registered_by IS 'how the role was called that registered it, for people; NULL: the owner of the extension';

-- What counts are the privileges on the view prism_log.namespace_<namespace_id>; a restore adds default privileges to them.
CREATE TABLE prism.granted (
    namespace_id integer NOT NULL,
    role         name NOT NULL,
    privilege    text NOT NULL,
    PRIMARY KEY (namespace_id, role, privilege)
);
COMMENT ON TABLE prism.granted IS 'What prism.grant() has given, so that a restore can be told from it; what counts are the privileges on prism_log.namespace_<namespace_id>';
COMMENT ON COLUMN prism.granted.role IS 'how the role was called when rights on the namespace were changed last';
COMMENT ON COLUMN prism.granted.privilege IS 'as on that view: INSERT is publish, UPDATE consume, SELECT read, REFERENCES admin';

SELECT pg_catalog.pg_extension_config_dump('prism.object_id', '');
SELECT pg_catalog.pg_extension_config_dump('prism.group_number', '');
SELECT pg_catalog.pg_extension_config_dump('prism.installation', '');
SELECT pg_catalog.pg_extension_config_dump('prism.namespace', '');
SELECT pg_catalog.pg_extension_config_dump('prism.topic', '');
SELECT pg_catalog.pg_extension_config_dump('prism.segment', '');
SELECT pg_catalog.pg_extension_config_dump('prism.jump', '');
SELECT pg_catalog.pg_extension_config_dump('prism.sink', '');
SELECT pg_catalog.pg_extension_config_dump('prism.consumer_group', '');
SELECT pg_catalog.pg_extension_config_dump('prism.handler', '');
SELECT pg_catalog.pg_extension_config_dump('prism.granted', '');
