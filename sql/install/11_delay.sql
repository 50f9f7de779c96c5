-- Delayed messages: the catalogue of buckets. Only src/store/delay_bucket.c writes it.

CREATE TABLE prism.delay_bucket (
    bucket_id integer NOT NULL PRIMARY KEY,
    due_from  timestamptz NOT NULL,
    due_to    timestamptz NOT NULL,
    retired   boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE prism.delay_bucket IS 'Tables prism_log.delayed_<bucket_id> with messages that are not yet due: sorted by due time, dropped whole';
COMMENT ON COLUMN prism.delay_bucket.due_to IS 'first time behind the bucket''s; infinity: it holds all that is later than the others';

COMMENT ON COLUMN prism.delay_bucket.retired IS 'nothing in it waits: the maintainer drops it';

SELECT pg_catalog.pg_extension_config_dump('prism.delay_bucket', '');
