\echo Use "CREATE EXTENSION prism" to load this file. \quit

-- Where the caller puts his own tables is not where prism's are.
SET LOCAL default_tablespace = '';
SET LOCAL default_table_access_method = heap;

-- prism      what users call and look at
-- prism_log  segments, sequences and rights views made at run time: plain tables, so pg_dump saves them
CREATE SCHEMA prism;
CREATE SCHEMA prism_log;
REVOKE ALL ON SCHEMA prism, prism_log FROM PUBLIC;
COMMENT ON SCHEMA prism IS 'Prism: messages published in transactions';
COMMENT ON SCHEMA prism_log IS 'Prism''s segments and sequences; read them through prism.read()';
