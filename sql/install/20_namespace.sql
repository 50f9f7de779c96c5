-- Namespaces: what topics there are, what happens to their messages, and who may do what.

CREATE FUNCTION prism.apply(config text)
RETURNS TABLE (namespace text, action text, detail text, part text, before text, after text, mode text, reason text, line integer)
LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'prism_apply';
COMMENT ON FUNCTION prism.apply(text) IS
'Makes the namespaces of a YAML configuration what it says: all of them or none. A namespace that is made has a row created, one that is as it should be a row unchanged; else there is a row changed for each key that changes (detail: key: before -> after), and for each part of the database that was not as it should be (detail: repaired: ...). part is the key as in prism.config_keys, with the name of the pattern or group in it, or the part; before and after are its values, as in YAML; mode says when a change holds: online (at the commit), next (for what is published after it), drain (when the forwarder has settled what is under way), refused; reason why so; line where the configuration speaks of it. Namespaces that the configuration does not name stay as they are. A warning says when prism.max_topics is too small for what there is then. Errors: 22004 for NULL, 22023 with line and column for a bad configuration (of several mistakes the error is that of the first place, and its detail lists all; prism.check() shows them), PR001, PR002 and PR003 for patterns that do not fit the client API, each other or the back end, 0A000 for what this version does not do yet, 42501, 42704 for an unknown foreign server, 42P07 for a taken outbox table, 42710 for another namespace''s topic, 42939 for a topic with the name of dead letters (.dlq), 53400 for consumers when all of prism.max_topics are in use, 55000 for another back end, server, brokers or topic there while messages wait for the former one, 2BP01 for an outbox view that others have built on; 55P03 when another transaction that is at work on the same namespace, topic or outbox view does not end within 5 seconds (the detail names its process), 40P01, as for rows, when each of two waits for the other, 40001 under REPEATABLE READ when namespaces have changed since the transaction began.';

CREATE FUNCTION prism.plan(config text)
RETURNS TABLE (namespace text, action text, detail text, part text, before text, after text, mode text, reason text, line integer)
LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'prism_plan';
COMMENT ON FUNCTION prism.plan(text) IS
'Shows what prism.apply() would do, without doing it: the same rows, of one list of steps that apply() makes. Besides its actions: drifted (the database is not as the configuration says, which apply() repairs); refused for what apply() raises an error for (detail: its SQLSTATE and message; reason: its detail and hint), while the rows of other namespaces follow; a row "pattern" for each pattern of a namespace that says why it is there, "backend" and "partitions" for what was chosen as nobody names it; and a row "warning" for needs that are unwise or that the log sees to until a pattern is built, and for what apply() does and somebody may not want, as a topic that will have no place among prism.max_topics, or messages that wait for the sink and are larger than a new limit (of the next 10,000). Nobody changes the namespaces until the end of the transaction. Errors as prism.apply(), 55P03 included, but for those that are rows: 2BP01, 42710, 42P07, 53400 and 55000.';

CREATE FUNCTION prism.check(config text)
RETURNS TABLE (line integer, "column" integer, code text, message text, hint text, detail text)
LANGUAGE c STABLE PARALLEL SAFE ROWS 10 SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'prism_check';
COMMENT ON FUNCTION prism.check(text) IS
'All that is wrong with the words and the shape of a YAML configuration, a row each, by place; no row: nothing is. For editors and CI: anybody may call it, also read only and where prism is not preloaded. line and column, in characters, begin at 1 and are NULL for what is wrong with the document as a whole; code is the SQLSTATE that prism.apply() raises for it. After 100 it tells only that there are more (54000). What the database must have is not looked at: foreign servers, rights, names that are taken. Error: 22004 for NULL.';

CREATE FUNCTION prism_internal.config_keys(
    OUT key text, OUT synonym text, OUT type text, OUT unit text, OUT default_value text, OUT minimum bigint, OUT maximum bigint,
    OUT words text[], OUT later_words text[], OUT only_with text[], OUT available boolean, OUT help text
) RETURNS SETOF record
    LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 120
    AS 'MODULE_PATHNAME', 'prism_config_keys';
COMMENT ON FUNCTION prism_internal.config_keys() IS
'The keys of a configuration, in the order of the reference. Behind prism.config_keys.';

CREATE VIEW prism.config_keys AS SELECT * FROM prism_internal.config_keys();
COMMENT ON VIEW prism.config_keys IS
'The keys that a configuration may have. key: as errors call it; default_value: what holds when it is not given, in words; minimum and maximum: in the unit, of what this version takes; words: those that it takes, later_words: those that this version knows and refuses (0A000); only_with: the types of pattern or back end that have it; available: false for what says nothing without a pattern that this version refuses so; help: what it says.';

CREATE FUNCTION prism.drop_namespace(name text, force boolean DEFAULT false)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'prism_drop_namespace';
COMMENT ON FUNCTION prism.drop_namespace(text, boolean) IS
'Drops a namespace with its topic, messages, dead letters, groups, sink and rights. Refuses (55000) while messages wait for a sink or for their deliver_at, unless forced; waits for transactions that use the topic. Errors: 22004 for NULL, 42704, 42501, 55000; 53400, unless forced, for a topic with a sink that has no place among prism.max_topics, as nobody can tell what waits; 55P03, 40P01 and 40001 as prism.apply(), 55P03 also for who changes the rights of a role that holds some here.';

CREATE FUNCTION prism.grant(namespace text, privilege text, role text)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'prism_grant';
COMMENT ON FUNCTION prism.grant(text, text, text) IS
'Gives a role a privilege on a namespace: publish, consume, read or admin (apply it again, drop it, grant on it). Roles that are members of the role have it too. Errors: 22004 for NULL, 42704 for an unknown namespace or role, 22023 for an unknown privilege, 42501 unless called by the owner of prism or an admin of the namespace; 55P03 when another transaction that is at work on the namespace, or takes privileges from the role, or (for the role''s first privilege of a kind) gives one of those or takes the last one elsewhere, does not end within 5 seconds (the detail names its process), 40P01 and 40001 as prism.apply().';

CREATE FUNCTION prism.revoke(namespace text, privilege text, role text)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'prism_revoke';
COMMENT ON FUNCTION prism.revoke(text, text, text) IS
'Takes a privilege on a namespace from a role; nothing happens if it does not have it. Errors: as prism.grant(), 55P03 also for who gives privileges to the role.';

CREATE FUNCTION prism_internal.privileges(namespace_id integer) RETURNS text[]
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'prism_privileges';
COMMENT ON FUNCTION prism_internal.privileges(integer) IS
'What the current user may do with a namespace: publish, consume, read, admin. Roles that read or write all data of a server have nothing by that. Behind prism.namespaces and prism.visible_namespace.';

-- What the current user may see. Every view of prism that shows namespaces, topics, groups or sinks starts from this one.
-- A namespace that has lost its rights view is seen by superusers, who can repair it.
CREATE VIEW prism.visible_namespace WITH (security_barrier) AS
SELECT n.namespace_id, n.name
FROM prism.namespace n
LEFT JOIN pg_catalog.pg_class c
    ON c.relname = ('namespace_' || n.namespace_id)::name
    AND c.relnamespace = (SELECT s.oid FROM pg_catalog.pg_namespace s WHERE s.nspname = 'prism_log')
WHERE CASE
    WHEN c.oid IS NULL THEN (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user)
    ELSE prism_internal.privileges(n.namespace_id) <> '{}'
        OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
END;
COMMENT ON VIEW prism.visible_namespace IS
'Namespaces on which the current user holds a privilege, all of them for those who may read all statistics (pg_monitor); what prism''s other views are restricted to';

CREATE VIEW prism.namespaces WITH (security_barrier) AS
SELECT
    n.name AS namespace,
    n.config ->> 'topic' AS topic,
    n.config ->> 'client_api' AS client_api,
    ARRAY(SELECT p ->> 'type' FROM pg_catalog.jsonb_array_elements(CASE pg_catalog.jsonb_typeof(n.config -> 'patterns') WHEN 'array' THEN n.config -> 'patterns' END) WITH ORDINALITY AS e(p, i) ORDER BY i) AS patterns,
    n.config #>> '{backend,type}' AS backend,
    n.config #>> '{backend,server}' AS server,
    n.config ->> 'delivery_guarantee' AS delivery_guarantee,
    CASE WHEN pg_catalog.jsonb_typeof(n.config -> 'max_message_size') = 'number' AND (n.config -> 'max_message_size')::numeric < 9e18
        THEN (n.config -> 'max_message_size')::bigint END AS max_message_size,
    prism_internal.privileges(n.namespace_id) AS privileges,
    n.applied_at,
    n.applied_by,
    -- addresses are for administrators
    CASE WHEN 'admin' = ANY (prism_internal.privileges(n.namespace_id)) THEN n.config ELSE n.config #- '{backend,brokers}' END AS config
FROM prism.visible_namespace s
JOIN prism.namespace n USING (namespace_id);
COMMENT ON VIEW prism.namespaces IS
'Namespaces on which the current user holds a privilege. max_message_size in bytes; privileges: what the current user may do; config: as applied, defaults filled in; its brokers for administrators.';
