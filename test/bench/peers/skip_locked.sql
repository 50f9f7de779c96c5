-- A queue of rows that are locked and deleted in one transaction: FOR UPDATE SKIP LOCKED.
CREATE TABLE skip_locked (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    payload bytea NOT NULL
);
