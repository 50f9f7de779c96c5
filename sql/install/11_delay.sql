-- Delayed messages: the catalogue of buckets. Only src/store/delay_bucket.c writes it.

CREATE TABLE prism.delay_bucket (
    bucket_id integer NOT NULL PRIMARY KEY,
    due_from  timestamptz NOT NULL,
    due_to    timestamptz NOT NULL
);
COMMENT ON TABLE prism.delay_bucket IS 'Tables prism_log.delayed_<bucket_id> with messages that are not yet due: sorted by due time, dropped whole';
COMMENT ON COLUMN prism.delay_bucket.due_to IS 'first time behind the bucket''s; infinity: it holds all that is later than the others';

SELECT pg_catalog.pg_extension_config_dump('prism.delay_bucket', '');
