-- Delayed messages: the catalogue of buckets. Only src/store/delay/delay_bucket.c writes it.

CREATE TABLE prism.delay_bucket (
    bucket_id integer NOT NULL PRIMARY KEY,
    due_from  timestamptz NOT NULL,
    due_to    timestamptz NOT NULL,
    retired   boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE prism.delay_bucket IS 'Tables prism_log.delayed_<bucket_id> with messages that are not yet due: sorted by due time, dropped whole';
COMMENT ON COLUMN prism.delay_bucket.due_to IS 'first time behind the bucket''s; infinity: it holds all that is later than the others';

COMMENT ON COLUMN prism.delay_bucket.retired IS 'nothing in it waits: the maintainer drops it';

-- The one table of prism's that its owner writes by hand, when the error tells him to.
CREATE TABLE prism.delay_lost (
    bucket_id   integer NOT NULL,
    topic_id    integer NOT NULL,
    messages    bigint NOT NULL,
    written_off boolean NOT NULL DEFAULT false
);
-- It has no key, and PostgreSQL changes no row without one where a publication is FOR ALL TABLES.
ALTER TABLE prism.delay_lost REPLICA IDENTITY FULL;
COMMENT ON TABLE prism.delay_lost IS 'Delayed messages of which the owner of the extension says that they are gone: what is not found waits until then. The bucket''s table is kept as long as it has a row here';
COMMENT ON COLUMN prism.delay_lost.messages IS 'how many, exactly; 0: the table had rows that nobody waited for';
COMMENT ON COLUMN prism.delay_lost.written_off IS 'they are no longer waited for';

SELECT pg_catalog.pg_extension_config_dump('prism.delay_bucket', '');
SELECT pg_catalog.pg_extension_config_dump('prism.delay_lost', '');
