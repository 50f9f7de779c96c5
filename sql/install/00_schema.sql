\echo Use "CREATE EXTENSION prism" to load this file. \quit

-- Where the caller puts his own tables is not where prism's are.
SET LOCAL default_tablespace = '';
SET LOCAL default_table_access_method = heap;

-- prism           what users call and look at
-- prism_internal  functions that only prism calls: behind its views, its triggers, its foreign data wrappers. Nobody but the
--                 owner is granted USAGE: a view or trigger found its functions when it was made, so EXECUTE is all that its users need
-- prism_log       segments, sequences and rights views made at run time: plain tables, so pg_dump saves them
CREATE SCHEMA prism;
CREATE SCHEMA prism_internal;
CREATE SCHEMA prism_log;
REVOKE ALL ON SCHEMA prism, prism_internal, prism_log FROM PUBLIC;
COMMENT ON SCHEMA prism IS 'Prism: messages published in transactions';
COMMENT ON SCHEMA prism_internal IS 'Functions behind prism''s views and triggers: for prism alone, other ones in each version';
COMMENT ON SCHEMA prism_log IS 'Prism''s segments and sequences; read them through prism.read()';
