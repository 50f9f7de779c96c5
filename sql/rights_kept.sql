-- A session keeps what a role may do, as it is asked about with each message; whatever changes it counts at once all the same.
SET client_min_messages = warning;
CREATE ROLE regress_prism_kept;
CREATE ROLE regress_prism_kept_member IN ROLE regress_prism_kept;
CREATE ROLE regress_prism_kept_other;
CREATE ROLE regress_prism_kept_superuser SUPERUSER;
SELECT action FROM prism.apply('namespaces: [{name: rights_kept}, {name: rights_kept_other}]');
SELECT format('prism_log.namespace_%s', namespace_id) AS rights_view FROM prism.namespace WHERE name = 'rights_kept' \gset
-- All of them may call the functions: what is left to refuse is the namespace.
SELECT count(prism.grant('rights_kept_other', privilege, 'regress_prism_kept' || suffix))
FROM unnest('{publish, consume, read}'::text[]) AS privilege, unnest('{"", _member, _other, _superuser}'::text[]) AS suffix;
SELECT prism.grant('rights_kept', 'publish', 'regress_prism_kept');

CREATE FUNCTION pg_temp.publishes() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE WHEN prism.publish('rights_kept', 'x'::bytea) IS NOT NULL THEN 'yes' END;
EXCEPTION WHEN insufficient_privilege THEN
    RETURN 'no: ' || SQLERRM;
END
$$;

-- Each role by itself.
BEGIN;
SET LOCAL ROLE regress_prism_kept;
SELECT pg_temp.publishes();
SET LOCAL ROLE regress_prism_kept_other;
SELECT pg_temp.publishes();
SET LOCAL ROLE regress_prism_kept_member;
SELECT pg_temp.publishes();
SET LOCAL ROLE regress_prism_kept_superuser;
SELECT pg_temp.publishes();
SET LOCAL ROLE regress_prism_kept_other;
SELECT pg_temp.publishes();
COMMIT;

-- Each namespace by itself.
SET ROLE regress_prism_kept_other;
SELECT pg_temp.publishes(), prism.publish('rights_kept_other', 'x'::bytea) IS NOT NULL AS elsewhere, pg_temp.publishes() FROM generate_series(1, 2);
RESET ROLE;

-- Within a statement, the user that a function runs as.
CREATE FUNCTION pg_temp.publishes_as_owner() RETURNS text SECURITY DEFINER LANGUAGE plpgsql AS $$ BEGIN RETURN pg_temp.publishes(); END $$;
ALTER FUNCTION pg_temp.publishes_as_owner() OWNER TO regress_prism_kept;
SET ROLE regress_prism_kept_other;
SELECT pg_temp.publishes(), pg_temp.publishes_as_owner(), pg_temp.publishes() FROM generate_series(1, 2);
RESET ROLE;
ALTER FUNCTION pg_temp.publishes_as_owner() OWNER TO regress_prism_kept_other;
SET ROLE regress_prism_kept;
SELECT pg_temp.publishes(), pg_temp.publishes_as_owner(), pg_temp.publishes() FROM generate_series(1, 2);
RESET ROLE;

-- Taken and given in the same transaction, by prism and on the view itself.
BEGIN;
SET LOCAL ROLE regress_prism_kept;
SELECT pg_temp.publishes();
RESET ROLE;
SELECT prism.revoke('rights_kept', 'publish', 'regress_prism_kept');
SET LOCAL ROLE regress_prism_kept;
SELECT pg_temp.publishes();
SET LOCAL ROLE regress_prism_kept_member;
SELECT pg_temp.publishes();
RESET ROLE;
GRANT INSERT ON :rights_view TO regress_prism_kept;
SET LOCAL ROLE regress_prism_kept_member;
SELECT pg_temp.publishes();
ROLLBACK;

-- Given, and the transaction or the savepoint rolled back.
BEGIN;
SELECT prism.grant('rights_kept', 'publish', 'regress_prism_kept_other');
SET LOCAL ROLE regress_prism_kept_other;
SELECT pg_temp.publishes();
ROLLBACK;
SET ROLE regress_prism_kept_other;
SELECT pg_temp.publishes();
RESET ROLE;
BEGIN;
SAVEPOINT given;
SELECT prism.grant('rights_kept', 'publish', 'regress_prism_kept_other');
SET LOCAL ROLE regress_prism_kept_other;
SELECT pg_temp.publishes();
ROLLBACK TO given;
SET LOCAL ROLE regress_prism_kept_other;
SELECT pg_temp.publishes();
COMMIT;

-- A member no more, and again.
BEGIN;
SET LOCAL ROLE regress_prism_kept_member;
SELECT pg_temp.publishes();
RESET ROLE;
REVOKE regress_prism_kept FROM regress_prism_kept_member;
SET LOCAL ROLE regress_prism_kept_member;
SELECT pg_temp.publishes();
ROLLBACK;
SET ROLE regress_prism_kept_member;
SELECT pg_temp.publishes();
RESET ROLE;
-- One that does not inherit.
BEGIN;
SELECT CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'GRANT regress_prism_kept TO regress_prism_kept_member WITH INHERIT FALSE'
    ELSE 'ALTER ROLE regress_prism_kept_member NOINHERIT' END AS do_not_inherit \gset
:do_not_inherit;
SET LOCAL ROLE regress_prism_kept_member;
SELECT pg_temp.publishes();
ROLLBACK;
-- A superuser no more, and again.
BEGIN;
SET LOCAL ROLE regress_prism_kept_superuser;
SELECT pg_temp.publishes();
RESET ROLE;
ALTER ROLE regress_prism_kept_superuser NOSUPERUSER;
SET LOCAL ROLE regress_prism_kept_superuser;
SELECT pg_temp.publishes();
ROLLBACK;
SET ROLE regress_prism_kept_superuser;
SELECT pg_temp.publishes();
RESET ROLE;
-- Whoever owns the database is a member of a role by that alone.
SELECT pg_get_userbyid(datdba) AS database_owner FROM pg_database WHERE datname = current_database() \gset
SELECT prism.grant('rights_kept', 'publish', 'pg_database_owner');
BEGIN;
SET LOCAL ROLE regress_prism_kept_other;
SELECT pg_temp.publishes();
RESET ROLE;
ALTER DATABASE :"DBNAME" OWNER TO regress_prism_kept_other;
SET LOCAL ROLE regress_prism_kept_other;
SELECT pg_temp.publishes();
RESET ROLE;
ALTER DATABASE :"DBNAME" OWNER TO :"database_owner";
SET LOCAL ROLE regress_prism_kept_other;
SELECT pg_temp.publishes();
ROLLBACK;
SELECT prism.revoke('rights_kept', 'publish', 'pg_database_owner');
-- And whoever owns the rights view has what its owner had.
BEGIN;
ALTER VIEW :rights_view OWNER TO regress_prism_kept_other;
SET LOCAL ROLE regress_prism_kept_other;
SELECT pg_temp.publishes();
ROLLBACK;
SET ROLE regress_prism_kept_other;
SELECT pg_temp.publishes();
RESET ROLE;

-- A role is gone, and its number another's.
BEGIN;
CREATE ROLE regress_prism_kept_gone SUPERUSER IN ROLE regress_prism_kept;
SET LOCAL ROLE regress_prism_kept_gone;
SELECT pg_temp.publishes();
RESET ROLE;
SELECT 'regress_prism_kept_gone'::regrole::oid AS gone \gset
GRANT regress_prism_kept_other TO regress_prism_kept_gone;
DROP ROLE regress_prism_kept_gone;
SET LOCAL allow_system_table_mods = on;
INSERT INTO pg_authid (oid, rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit)
VALUES (:gone, 'regress_prism_kept_heir', false, true, false, false, false, false, false, -1);
GRANT regress_prism_kept_other TO regress_prism_kept_heir;
SET LOCAL ROLE regress_prism_kept_heir;
SELECT pg_temp.publishes();
ROLLBACK;

-- What is kept for consuming and acknowledging, too.
SELECT prism.create_group('rights_kept', 'g', 'earliest');
SELECT count(prism.grant('rights_kept', privilege, 'regress_prism_kept')) FROM unnest('{consume, read}'::text[]) AS privilege;
BEGIN;
SET LOCAL ROLE regress_prism_kept_member;
SELECT count(*), sum(prism.ack(m)) FROM prism.consume('rights_kept', 'g', 1) AS m;
SELECT count(*) FROM prism.read('rights_kept', 0, 2);
SELECT m AS message FROM prism.consume('rights_kept', 'g', 1) AS m \gset
RESET ROLE;
SELECT prism.revoke('rights_kept', 'consume', 'regress_prism_kept');
SET LOCAL ROLE regress_prism_kept_member;
SELECT count(*) FROM prism.read('rights_kept', 0, 2);
SELECT prism.ack(:'message'::prism.message);
ROLLBACK;
BEGIN;
SET LOCAL ROLE regress_prism_kept_member;
SELECT count(*) FROM prism.read('rights_kept', 0, 2);
RESET ROLE;
SELECT prism.revoke('rights_kept', 'read', 'regress_prism_kept');
SET LOCAL ROLE regress_prism_kept_member;
SELECT count(*) FROM prism.read('rights_kept', 0, 2);
ROLLBACK;

-- Of another namespace and topic with the name that one had, nothing is known.
SET ROLE regress_prism_kept_member;
SELECT pg_temp.publishes();
RESET ROLE;
SELECT prism.drop_namespace('rights_kept', force => true);
SELECT action FROM prism.apply('name: rights_kept');
SET ROLE regress_prism_kept_member;
SELECT pg_temp.publishes();
RESET ROLE;
-- Nor in another life of the extension.
SELECT prism.grant('rights_kept', 'publish', 'regress_prism_kept');
SET ROLE regress_prism_kept_member;
SELECT pg_temp.publishes();
RESET ROLE;
BEGIN;
DROP EXTENSION prism CASCADE;
CREATE EXTENSION prism;
SELECT action FROM prism.apply('name: rights_kept');
GRANT USAGE ON SCHEMA prism TO regress_prism_kept_member;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA prism TO regress_prism_kept_member;
SET LOCAL ROLE regress_prism_kept_member;
SELECT pg_temp.publishes();
ROLLBACK;
SET ROLE regress_prism_kept_member;
SELECT pg_temp.publishes();
RESET ROLE;

SELECT count(prism.drop_namespace(name)) FROM unnest('{rights_kept, rights_kept_other}'::text[]) AS name;
DROP FUNCTION pg_temp.publishes_as_owner();
DROP ROLE regress_prism_kept, regress_prism_kept_member, regress_prism_kept_other, regress_prism_kept_superuser;
