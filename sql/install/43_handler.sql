-- Handlers: functions that workers call with the messages of a group. src/api/handler_commands.c, src/bgworker/handle/handler_loop.c.

CREATE FUNCTION prism."on"(
    topic text, consumer_group text, handler regprocedure, batch_size integer DEFAULT 100,
    timeout interval DEFAULT '30s', role name DEFAULT NULL
) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_on';
COMMENT ON FUNCTION prism."on"(text, text, regprocedure, integer, interval, name) IS
'From the commit on, a worker calls a function with the messages of a consumer group, in their order, and acknowledges them in the same transaction: what the function does to the database happens exactly once. A group that does not exist begins at the earliest kept message.
handler: a function that returns void and takes prism.message[] (a batch) or prism.message. batch_size: messages of a transaction, 1 to 10000 (fewer when they are large). timeout: for the calls of one transaction, 1 millisecond to 1 hour.
role: as whom it is called, the caller by default; it must be able to log in, with rights to consume from the topic and to execute the function. Never a superuser. The caller must be able to SET ROLE to it. The function is found by its name; it must belong to the role, to one that can SET ROLE to it, or to a superuser. All this is asked again at each call. Roles are known by what they are, not by their names: DROP ROLE is refused (2BP01) while a handler needs the role, DROP OWNED by it ends its consent, and a handler without it is failed until it is registered again.
An error undoes the batch; its messages are tried again one by one, and one that fails alone rests and ends in the dead letters as the group''s options say, while others go on. The function may give up or reject single messages itself, by prism.nack() and prism.reject(). Handlers of a role have their turns one after the other, in one process.
Errors: 22004 NULL; 22023 argument out of range; 42501 a superuser, a role that the caller, or the owner of the function, cannot SET ROLE to, or missing rights; 42883 no such function; 42P13 wrong argument or result; 42704 unknown topic or role; 42710 the group has a handler; 55000 the role cannot log in; 25006 read-only transaction or standby.';

CREATE FUNCTION prism.off(topic text, consumer_group text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_off';
COMMENT ON FUNCTION prism.off(text, text) IS
'From the commit on, the consumer group has no handler any more; a call under way is not ended by that. The group stays, with its position. Errors: 22004 NULL; 42704 unknown topic or group, or no handler; 42501 no right to consume; 25006 read-only transaction or standby.';

CREATE FUNCTION prism_internal.handler_states(
    OUT topic text, OUT consumer_group text, OUT handler text, OUT role text, OUT batch_size integer,
    OUT timeout interval, OUT state text, OUT since timestamptz, OUT error text, OUT error_at timestamptz,
    OUT retry_at timestamptz, OUT calls_total bigint, OUT messages_total bigint, OUT failures_total bigint
) RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10
    AS 'MODULE_PATHNAME', 'prism_handler_states';
COMMENT ON FUNCTION prism_internal.handler_states() IS
'The handlers of topics on which the caller holds a privilege; errors of calls for administrators and for members of the handler''s role. Behind prism.handlers.';

CREATE VIEW prism.handlers WITH (security_barrier) AS
    SELECT h.topic, h.consumer_group, h.handler, h.role, h.batch_size, h.timeout, h.state, h.since,
           g."position", g.lag_messages, g.lag_seconds, h.error, h.error_at, h.retry_at,
           h.calls_total, h.messages_total, h.failures_total
    FROM prism_internal.handler_states() AS h
    LEFT JOIN prism_internal.group_states() AS g USING (topic, consumer_group);
COMMENT ON VIEW prism.handlers IS
'One row a handler. state: starting (it gets a process), waiting (for messages; without a process, where others need it), running, backoff (a passing fault; tried again at retry_at), failed (it cannot be called: error says why; tried again at retry_at). position and lag are those of its consumer group; error: the last one. Totals since the server started: transactions with calls, messages processed, and those that failed.';
