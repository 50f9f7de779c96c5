-- A queue of rows that a reader hides for a while and deletes when the work is done.
CREATE TABLE visibility_timeout (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    vt timestamptz NOT NULL DEFAULT clock_timestamp(),
    read_count integer NOT NULL DEFAULT 0,
    payload bytea NOT NULL
);
CREATE INDEX ON visibility_timeout (vt);
