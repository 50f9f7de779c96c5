-- Where large payloads are kept: one row for each time that a topic began to use a place. The number of the one that its
-- messages go to now stands in prism.topic.chain; src/store/payload/store_catalog.c writes both together.
CREATE TABLE prism.store (
    store_id   integer NOT NULL PRIMARY KEY,
    topic_id   integer NOT NULL,
    backend    text NOT NULL,
    server     name,
    bucket     text,
    prefix     text,
    options    jsonb NOT NULL DEFAULT '{}',
    retired_at bigint
);
CREATE INDEX store_topic ON prism.store (topic_id);
COMMENT ON TABLE prism.store IS 'Where the large payloads of topics are kept, and where they were: of each topic one row is in use, the others are there as long as messages name them';
COMMENT ON COLUMN prism.store.server IS 'the foreign server; NULL: the payloads stay in tables of this database';
COMMENT ON COLUMN prism.store.retired_at IS 'the next position of the topic when another place took over; NULL: it is the one in use';

SELECT pg_catalog.pg_extension_config_dump('prism.store', '');
