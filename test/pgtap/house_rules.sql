-- Rules that hold for everything the extension makes, whoever adds to it.
BEGIN;
SELECT plan(7);

CREATE TEMP VIEW member AS
SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
WHERE e.extname = 'prism' AND d.deptype = 'e';

CREATE TEMP VIEW member_function AS
SELECT p.* FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid;

CREATE TEMP VIEW member_relation AS
SELECT c.* FROM pg_class c JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid;

SELECT is_empty(
    $$ SELECT oid::regprocedure FROM member_function WHERE obj_description(oid, 'pg_proc') IS NULL $$,
    'every function says what it does');

SELECT is_empty(
    $$ SELECT oid::regclass FROM member_relation WHERE relkind IN ('v', 'r', 'S') AND obj_description(oid, 'pg_class') IS NULL $$,
    'every view, table and sequence says what it is');

SELECT is_empty(
    $$ SELECT p.oid::regprocedure FROM member_function p JOIN pg_language l ON l.oid = p.prolang
       WHERE l.lanname NOT IN ('c', 'internal') AND p.prosqlbody IS NULL
       AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false) $$,
    'functions with a text body pin their search_path');

SELECT is_empty(
    $$ SELECT p.oid::regprocedure FROM member_function p WHERE p.prosecdef AND p.proconfig IS NULL $$,
    'functions with the owner''s rights pin their search_path');

SELECT is_empty(
    $$ SELECT oid::regprocedure FROM member_function WHERE pronamespace NOT IN ('prism'::regnamespace, 'prism_internal'::regnamespace) $$,
    'functions are in the schemas prism and prism_internal');

SELECT is_empty(
    $$ SELECT oid::regclass FROM member_relation WHERE relnamespace NOT IN ('prism'::regnamespace, 'prism_log'::regnamespace) AND relkind <> 'c' $$,
    'relations are in the schemas prism and prism_log');

SELECT is_empty(
    $$ SELECT c.oid::regclass, a.privilege_type FROM member_relation c, aclexplode(c.relacl) a
       WHERE a.grantee = 0 AND a.privilege_type <> 'SELECT' $$,
    'nobody but its owner may write what belongs to prism, unless granted by name');

SELECT * FROM finish();
ROLLBACK;
