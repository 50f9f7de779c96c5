-- prism.on(), prism.off(), prism.handlers: who may register what. What handlers do is in test/t/handler.pl.
SET client_min_messages = warning;
CREATE ROLE regress_prism_handler LOGIN;
CREATE ROLE regress_prism_handler_silent;
CREATE ROLE regress_prism_handler_super LOGIN SUPERUSER;
CREATE ROLE regress_prism_handler_stranger LOGIN;
CREATE SCHEMA "handler test";
GRANT USAGE, CREATE ON SCHEMA "handler test" TO regress_prism_handler;
SELECT action FROM prism.apply('namespaces: [{name: handler-test}, {name: handler-gone}]');
SELECT prism.grant('handler-test', 'consume', r) FROM unnest(ARRAY['regress_prism_handler', 'regress_prism_handler_silent']) AS r;
\set QUIET on
SET search_path = "handler test", pg_catalog;
CREATE VIEW handler_rows AS SELECT topic, consumer_group, handler, role, batch_size, timeout, "position", lag_messages FROM prism.handlers ORDER BY 1, 2;
GRANT SELECT ON handler_rows TO PUBLIC;
SET ROLE regress_prism_handler;
CREATE FUNCTION batch(prism.message[]) RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION "One by one"(prism.message) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION counts(prism.message[]) RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint';
CREATE FUNCTION rows(prism.message) RETURNS SETOF void LANGUAGE sql AS '';
CREATE FUNCTION two(prism.message, integer DEFAULT 1) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION many(VARIADIC prism.message[]) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION texts(text[]) RETURNS void LANGUAGE sql AS '';
CREATE PROCEDURE commits(prism.message) LANGUAGE plpgsql AS 'BEGIN COMMIT; END';
CREATE FUNCTION pg_temp.mine(prism.message) RETURNS void LANGUAGE sql AS '';
RESET ROLE;
\set QUIET off

-- A role registers what it may do itself. The group is made when it is not there.
SET ROLE regress_prism_handler;
SELECT prism.on('handler-test', 'a', 'batch(prism.message[])');
SELECT prism.on('handler-test', 'b', '"One by one"(prism.message)', batch_size => 1, timeout => '1500ms');
SELECT * FROM handler_rows;
-- One handler a group.
SELECT prism.on('handler-test', 'a', '"One by one"(prism.message)');
-- Nobody sees prism's own table.
SELECT * FROM prism.handler;
RESET ROLE;

-- Another group of the same topic, by a superuser for a role.
SELECT prism.on('handler-test', 'c', 'batch(prism.message[])', role => 'regress_prism_handler');
-- ... never as a superuser, himself or another.
SELECT prism.on('handler-test', 'd', 'batch(prism.message[])', role => 'regress_prism_handler_super');
SET SESSION AUTHORIZATION regress_prism_handler_super;
SELECT prism.on('handler-test', 'd', 'batch(prism.message[])');
RESET SESSION AUTHORIZATION;
SET search_path = "handler test", pg_catalog;
-- What was refused has not even made its group.
SELECT count(*) FROM prism.groups WHERE topic = 'handler-test' AND consumer_group = 'd';

-- The role: it can log in, may consume and may execute.
SELECT prism.on('handler-test', 'd', 'batch(prism.message[])', role => 'regress_prism_handler_silent');
SELECT prism.on('handler-test', 'd', 'batch(prism.message[])', role => 'regress_prism_handler_stranger');
SELECT prism.on('handler-test', 'd', 'batch(prism.message[])', role => 'regress_prism_nowhere');
REVOKE EXECUTE ON FUNCTION batch(prism.message[]) FROM PUBLIC;
SELECT prism.grant('handler-test', 'consume', 'regress_prism_handler_stranger');
SELECT prism.on('handler-test', 'd', 'batch(prism.message[])', role => 'regress_prism_handler_stranger');
GRANT EXECUTE ON FUNCTION batch(prism.message[]) TO regress_prism_handler_stranger;
SELECT prism.on('handler-test', 'd', 'batch(prism.message[])', role => 'regress_prism_handler_stranger');
GRANT USAGE ON SCHEMA "handler test" TO regress_prism_handler_stranger;
-- A role that one could not SET ROLE to cannot be named.
SET ROLE regress_prism_handler_stranger;
SELECT prism.on('handler-test', 'd', 'batch(prism.message[])', role => 'regress_prism_handler');
SELECT prism.on('handler-gone', 'd', 'batch(prism.message[])');
SELECT prism.off('handler-gone', 'd');
RESET ROLE;

-- The function.
SELECT prism.on('handler-test', 'd', 'nowhere(prism.message)', role => 'regress_prism_handler');
SELECT prism.on('handler-test', 'd', 1::oid::regprocedure, role => 'regress_prism_handler');
SELECT prism.on('handler-test', 'd', 'counts(prism.message[])', role => 'regress_prism_handler');
SELECT prism.on('handler-test', 'd', 'rows(prism.message)', role => 'regress_prism_handler');
SELECT prism.on('handler-test', 'd', 'two(prism.message, integer)', role => 'regress_prism_handler');
SELECT prism.on('handler-test', 'd', 'many(prism.message[])', role => 'regress_prism_handler');
SELECT prism.on('handler-test', 'd', 'texts(text[])', role => 'regress_prism_handler');
SELECT prism.on('handler-test', 'd', 'commits(prism.message)', role => 'regress_prism_handler');
SELECT prism.on('handler-test', 'd', 'pg_temp.mine(prism.message)', role => 'regress_prism_handler');

-- Arguments.
SELECT prism.on(NULL, 'd', 'batch(prism.message[])');
SELECT prism.on('handler-test', NULL, 'batch(prism.message[])');
SELECT prism.on('handler-test', 'd', NULL);
SELECT prism.on('handler-test', '', 'batch(prism.message[])');
SELECT prism.on('nowhere', 'd', 'batch(prism.message[])');
SELECT prism.on('handler-test', 'd', 'batch(prism.message[])', batch_size => 0);
SELECT prism.on('handler-test', 'd', 'batch(prism.message[])', batch_size => 10001);
SELECT prism.on('handler-test', 'd', 'batch(prism.message[])', batch_size => NULL);
SELECT prism.on('handler-test', 'd', 'batch(prism.message[])', timeout => '0');
SELECT prism.on('handler-test', 'd', 'batch(prism.message[])', timeout => '2 hours');
SELECT prism.on('handler-test', 'd', 'batch(prism.message[])', timeout => NULL);
BEGIN READ ONLY;
SELECT prism.on('handler-test', 'd', 'batch(prism.message[])');
ROLLBACK;
SELECT prism.off(NULL, 'a');
SELECT prism.off('handler-test', NULL);
SELECT prism.off('handler-test', 'nowhere');
SELECT prism.create_group('handler-test', 'without');
SELECT prism.off('handler-test', 'without');

-- Rolled back, nothing has happened.
BEGIN;
SELECT prism.off('handler-test', 'a');
SELECT consumer_group FROM handler_rows;
ROLLBACK;
BEGIN;
SELECT prism.on('handler-test', 'without', 'batch(prism.message[])', role => 'regress_prism_handler');
ROLLBACK;
SELECT consumer_group FROM handler_rows;

-- Off and on again; the group stays where it was.
SELECT prism.off('handler-test', 'a');
SELECT consumer_group FROM handler_rows;
-- ... as another role: what runs as it must be its own, a member's, or a superuser's.
SELECT prism.on('handler-test', 'a', 'batch(prism.message[])', 50, role => 'regress_prism_handler_stranger');
GRANT regress_prism_handler_stranger TO regress_prism_handler;
SELECT prism.on('handler-test', 'a', 'batch(prism.message[])', 50, role => 'regress_prism_handler_stranger');
SELECT * FROM handler_rows WHERE consumer_group = 'a';

-- What stands in the way of a call is shown at once.
REVOKE EXECUTE ON FUNCTION batch(prism.message[]) FROM regress_prism_handler_stranger;
SELECT consumer_group, state, error FROM prism.handlers WHERE consumer_group = 'a';
GRANT EXECUTE ON FUNCTION batch(prism.message[]) TO regress_prism_handler_stranger;
ALTER ROLE regress_prism_handler_stranger NOLOGIN;
SELECT consumer_group, state, error FROM prism.handlers WHERE consumer_group = 'a';
ALTER ROLE regress_prism_handler_stranger LOGIN SUPERUSER;
SELECT consumer_group, state, error FROM prism.handlers WHERE consumer_group = 'a';
ALTER ROLE regress_prism_handler_stranger NOSUPERUSER;
SELECT prism.revoke('handler-test', 'consume', 'regress_prism_handler_stranger');
SELECT consumer_group, state, error FROM prism.handlers WHERE consumer_group = 'a';
SELECT prism.grant('handler-test', 'consume', 'regress_prism_handler_stranger');
REVOKE regress_prism_handler_stranger FROM regress_prism_handler;
SELECT consumer_group, state, error FROM prism.handlers WHERE consumer_group = 'a';
ALTER FUNCTION batch(prism.message[]) OWNER TO regress_prism_handler_super;
SELECT consumer_group, state = 'failed' AS failed FROM prism.handlers WHERE consumer_group = 'a';
ALTER FUNCTION batch(prism.message[]) OWNER TO regress_prism_handler;
ALTER FUNCTION "One by one"(prism.message) RENAME TO renamed;
SELECT consumer_group, state, error FROM prism.handlers WHERE consumer_group = 'b';
ALTER FUNCTION renamed(prism.message) RENAME TO "One by one";

-- A handler goes with its group, and with its namespace.
SELECT prism.drop_group('handler-test', 'b');
SELECT consumer_group FROM handler_rows;
SELECT prism.drop_namespace('handler-test');
SELECT count(*) FROM handler_rows;
SELECT count(*) FROM prism.handler;

SELECT prism.drop_namespace('handler-gone');
DROP SCHEMA "handler test" CASCADE;
DROP FUNCTION pg_temp.mine(prism.message);
DROP ROLE regress_prism_handler, regress_prism_handler_silent, regress_prism_handler_super, regress_prism_handler_stranger;
