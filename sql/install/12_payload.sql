-- Payloads that lie beside the log, in tables of their own: prism_log.topic_<id>_payload_<number>.

-- One row a table, none a message.
CREATE TABLE prism.payload_segment (
    topic_id       integer NOT NULL,
    segment_number bigint NOT NULL,
    store_id       integer NOT NULL,
    created_at     timestamptz NOT NULL,
    sealed_end     bigint,
    dropped        boolean NOT NULL DEFAULT false,
    PRIMARY KEY (topic_id, segment_number)
);
COMMENT ON TABLE prism.payload_segment IS 'The tables that hold payloads of each topic that lie beside its log';
COMMENT ON COLUMN prism.payload_segment.store_id IS 'the store to which all payloads in it belong';
COMMENT ON COLUMN prism.payload_segment.sealed_end IS 'nobody writes to it any more, and messages that name it have positions below; NULL: not yet so';
COMMENT ON COLUMN prism.payload_segment.dropped IS 'its topic is gone; the maintainer drops the table';

CREATE TABLE prism.open_payload (
    payload_id    uuid NOT NULL PRIMARY KEY,
    topic_id      integer NOT NULL,
    segment_first bigint NOT NULL,
    kind          "char" NOT NULL,
    expires_at    timestamptz,
    owner         name NOT NULL,
    owner_oid     oid NOT NULL,
    segment_last  bigint
);
CREATE INDEX open_payload_topic ON prism.open_payload (topic_id, segment_first);
COMMENT ON TABLE prism.open_payload IS 'Payloads that no message of a log names yet: tables that may hold bytes of them are kept';
COMMENT ON COLUMN prism.open_payload.segment_first IS 'no payload segment before this one has bytes of it';
COMMENT ON COLUMN prism.open_payload.segment_last IS 'none behind this one has; NULL: more may be written';
COMMENT ON COLUMN prism.open_payload.kind IS 's: a stream that is not published yet; d: a message for later';
COMMENT ON COLUMN prism.open_payload.expires_at IS 'when a stream that nobody has published is given up; NULL: never';
COMMENT ON COLUMN prism.open_payload.owner IS 'how the role is called that made it; another role of this name is none of it, so its number is kept as well';

SELECT pg_catalog.pg_extension_config_dump('prism.payload_segment', '');
SELECT pg_catalog.pg_extension_config_dump('prism.open_payload', '');
