-- The log as the RFC's outbox table: src/api/outbox_view.c.

CREATE FUNCTION prism_internal.outbox_messages(
    for_topic text DEFAULT NULL,
    OUT id uuid, OUT topic text, OUT key text, OUT headers jsonb, OUT payload bytea,
    OUT "position" bigint, OUT created_at timestamptz, OUT published_at timestamptz, OUT deliver_at timestamptz
) RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_outbox_messages';
COMMENT ON FUNCTION prism_internal.outbox_messages(text) IS
'Messages of one topic, or of all that the caller may read: those this transaction has published, in order (position NULL), then those it has published for later (with deliver_at), those that wait for a sink (published_at NULL), and the last 1,000 before them. Errors: 42704 unknown topic; 42501 no right to read.';

CREATE FUNCTION prism.outbox_insert() RETURNS trigger
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'prism_outbox_insert';
COMMENT ON FUNCTION prism.outbox_insert() IS
'INSTEAD OF INSERT trigger of prism.outbox and of the views that namespaces name (argument: the topic): publishes the row. A view of one''s own over prism.outbox can have the trigger too: columns are found by their names (id uuid; topic, key text; headers jsonb; payload text, json, jsonb or bytea; deliver_at timestamptz). Errors: as prism.publish(); 428C9 for a value in a column that prism fills in; 42804 a column of another type; 55000 a payload with backslashes under bytea_output = escape.';

CREATE VIEW prism.outbox WITH (security_barrier) AS
    SELECT m.id, m.topic, m.key, m.headers, prism_internal.payload_text(m.payload) AS payload, m."position", m.created_at, m.published_at, m.deliver_at
    FROM prism_internal.outbox_messages() AS m;
CREATE TRIGGER publish INSTEAD OF INSERT ON prism.outbox
    FOR EACH ROW EXECUTE FUNCTION prism.outbox_insert();
COMMENT ON VIEW prism.outbox IS
$$The RFC's outbox: this transaction's pending messages, those not yet published, and recent ones; published_at is the time at which the slowest sink's position had passed the message, without sinks that of publish(). deliver_at: of this transaction's messages for later; once committed they are not shown until they are delivered. payload: what was published as text, or, when its bytes are no text in the database's encoding, \x and their hexadecimal digits; prism.read() has the bytes. INSERT and COPY publish: payload can be text, json, jsonb or bytea (\x and hexadecimal digits are bytes), and RETURNING has id, topic, headers and created_at as they were published. Error 55000 under session_replication_role = replica, where the server does not call triggers of views: prism.publish() works there.$$;
