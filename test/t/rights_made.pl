# Whatever prism makes has the rights that prism gave it and lies where prism puts it, whatever is set for the owner, the
# database or the session; roles that read or write all data get nothing by prism's functions and change none of its tables.
use PrismTest;

my $node = prism_node('main', extension => 0, conf => "allow_in_place_tablespaces = on\n");
sub sql { my ($sql, %params) = @_; return $node->safe_psql('postgres', $sql, %params); }

sub error_of
{
	my ($sql, $database) = @_;
	my (undef, undef, $error) = $node->psql($database // 'postgres', $sql, on_error_stop => 0);
	return $error;
}

# ---------- default privileges, default places ----------

sql(q{
	CREATE ROLE stranger LOGIN;
	CREATE ROLE tenant LOGIN;
	CREATE ROLE dump LOGIN IN ROLE pg_read_all_data;
	CREATE ROLE load LOGIN IN ROLE pg_write_all_data, pg_read_all_data;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO stranger WITH GRANT OPTION;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO stranger;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO stranger;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO stranger;
	ALTER DEFAULT PRIVILEGES REVOKE USAGE ON TYPES FROM PUBLIC;
	ALTER DEFAULT PRIVILEGES GRANT USAGE ON TYPES TO stranger;
	ALTER DEFAULT PRIVILEGES REVOKE INSERT, SELECT ON TABLES FROM CURRENT_USER;
	ALTER DEFAULT PRIVILEGES REVOKE UPDATE ON SEQUENCES FROM CURRENT_USER});
sql("CREATE TABLESPACE elsewhere LOCATION ''");
sql('ALTER DATABASE postgres SET default_tablespace = elsewhere');
sql('CREATE EXTENSION prism');
sql(q{SELECT prism.apply('namespaces: [{name: mine, patterns: [{type: outbox, table: mine_outbox}]}, {name: other}]')});
sql(q{SELECT prism.grant('mine', v, 'tenant') FROM unnest('{publish,consume}'::text[]) v});
# What workers make: a segment more, and a bucket for what is to come later.
sql(q{SET prism.segment_messages = 1024; SELECT prism.apply('{name: small}')});
sql(q{SELECT prism.publish_batch('small', array_agg('{}'::jsonb)) FROM generate_series(1, 1100)});
sql(q{SELECT prism.publish('mine', '{}'::jsonb, deliver_at => '2100-01-01')});
wait_for_value($node, q{SELECT count(*) >= 3 FROM prism.segment JOIN prism.topic USING (topic_id) WHERE name = 'small'}, 't');
wait_for_value($node, q{SELECT count(*) > 0 FROM pg_class WHERE relname ~ '^delayed_[0-9]+$'}, 't');

sql(q{CREATE FUNCTION tenants(prism.message) RETURNS void LANGUAGE sql AS 'SELECT 1'; ALTER FUNCTION tenants(prism.message) OWNER TO tenant});
sql(q{SELECT prism.on('mine', 'h', 'tenants(prism.message)', role => 'tenant')});
is(sql(q{SELECT role FROM prism.handlers}), 'tenant', 'a handler is called as the role that it was registered for');

# All that is in prism's schemas, with its rights; the second column is what PostgreSQL noted for the dump.
my $objects = q{
	WITH schema AS (SELECT oid, nspname FROM pg_namespace WHERE nspname IN ('prism', 'prism_internal', 'prism_log')), object AS (
		SELECT 'pg_class'::regclass AS class, c.oid, c.oid::regclass::text AS name, c.relacl AS acl, c.relowner AS owner
		FROM pg_class c WHERE relnamespace IN (SELECT oid FROM schema) AND relkind IN ('r', 'v', 'S')
		UNION ALL SELECT 'pg_proc'::regclass, oid, oid::regprocedure::text, coalesce(proacl, acldefault('f', proowner)), proowner
		FROM pg_proc WHERE pronamespace IN (SELECT oid FROM schema)
		UNION ALL SELECT 'pg_type'::regclass, oid, oid::regtype::text, typacl, typowner FROM pg_type WHERE typnamespace IN (SELECT oid FROM schema)
		UNION ALL SELECT 'pg_namespace'::regclass, oid, nspname, nspacl, nspowner FROM pg_namespace WHERE oid IN (SELECT oid FROM schema)),
	granted AS (
		SELECT o.*, a.grantee, a.privilege_type FROM object o, aclexplode(o.acl) a
		UNION ALL SELECT o.*, a.grantee, a.privilege_type FROM object o
		JOIN pg_init_privs i ON i.classoid = o.class AND i.objoid = o.oid, aclexplode(i.initprivs) a)};
ok(sql("$objects SELECT count(*) FROM object") > 100, 'there are objects');
is(sql("$objects SELECT name, privilege_type FROM granted WHERE grantee = 'stranger'::regrole ORDER BY 1, 2"), '',
	'default privileges give nobody a right on what prism makes');
is(sql("$objects SELECT DISTINCT name, privilege_type FROM granted WHERE grantee = 0 ORDER BY 1"), "prism|USAGE\nprism.\"check\"(text)|EXECUTE\nprism.message|USAGE",
	'PUBLIC may have a configuration checked and name the type of messages, no more');
is(sql("$objects SELECT DISTINCT grantee::regrole FROM granted WHERE grantee NOT IN (0, owner) ORDER BY 1"), "pg_monitor\ntenant",
	'nobody else has any right but whom it was granted');
is(sql("$objects SELECT o.name FROM object o WHERE class = 'pg_class'::regclass AND acl IS NOT NULL
		AND NOT EXISTS (SELECT FROM aclexplode(acl) a WHERE a.grantee = owner AND a.privilege_type IN ('INSERT', 'USAGE'))"), '',
	'the owner has his rights also where his default privileges take them');
like(error_of('SET ROLE stranger; SELECT * FROM prism.namespaces'), qr/permission denied for view namespaces/, 'a stranger to whom the owner gives all by default sees nothing');
like(error_of("SET ROLE stranger; SELECT prism.publish('mine', '{}'::jsonb)"), qr/permission denied for function publish/, 'nor does he publish');
is(sql(q{SELECT c.oid::regclass FROM pg_class c LEFT JOIN pg_tablespace t ON t.oid = c.reltablespace
		WHERE relnamespace IN ('prism'::regnamespace, 'prism_log'::regnamespace, 'pg_toast'::regnamespace) AND t.spcname = 'elsewhere'}), '',
	'default_tablespace of the session or the database places nothing');
sql('CREATE TABLE public.mine (i integer)');
is(sql(q{SELECT t.spcname FROM pg_class c JOIN pg_tablespace t ON t.oid = c.reltablespace WHERE c.oid = 'public.mine'::regclass}), 'elsewhere',
	'it places what others make');

# ---------- pg_read_all_data, pg_write_all_data ----------

sql(q{SELECT prism.publish('other', '"secret"'::jsonb); SELECT prism.create_group('other', 'g')});
sql(q{SELECT prism.grant('mine', v, r) FROM unnest('{publish,consume,read}'::text[]) v, unnest('{dump,load}'::text[]) r});

# Each table of prism's that there is, also those that a later version adds.
my @tables = split /\n/, sql(q{SELECT oid::regclass FROM pg_class WHERE relnamespace IN ('prism'::regnamespace, 'prism_log'::regnamespace)
	AND relkind = 'r' ORDER BY 1});
ok(@tables > 15, 'there are tables');
my $attempts = '';
for my $table (@tables)
{
	my $column = sql("SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = '$table'::regclass AND attnum = 1");
	$attempts .= "\\echo $_\n$_;\n" for ("INSERT INTO $table SELECT * FROM $table", "UPDATE $table SET $column = $column", "DELETE FROM $table");
}
my (undef, $echoed, $errors) = $node->psql('postgres', "SET ROLE load;\n$attempts", on_error_stop => 0);
is(scalar(() = $errors =~ /ERROR:  permission denied for table \S+\nDETAIL:  Prism's own/g), 3 * @tables, 'pg_write_all_data writes none of the tables')
	or diag("$echoed\n$errors");
like(error_of("SET ROLE load; COPY prism.jump FROM STDIN"), qr/permission denied for table jump/, 'nor by COPY');
like(error_of("SET ROLE load; DELETE FROM prism.handler"), qr/DETAIL:  Prism's own tables are written by their owner alone.*HINT:  Use the functions/s,
	'the error says why, and what to use');
is(sql("SET ROLE load; SELECT count(*) FROM prism.topic") > 0, 1, 'pg_read_all_data reads them');

for my $call (q{SELECT prism.read('other')}, q{SELECT prism.consume('other', 'g')}, q{SELECT prism.publish('other', '{}'::jsonb)},
	q{SELECT prism.drop_group('other', 'g')}, q{INSERT INTO prism.outbox (topic, payload) VALUES ('other', 'x')})
{
	like(error_of("SET ROLE load; $call"), qr/permission denied for topic "other"/, "$call: no right by reading and writing all data");
}
is(sql(q{SET ROLE load; SELECT namespace, privileges FROM prism.namespaces}), 'mine|{publish,consume,read}', 'nor do the views say so');

# What was granted, and is taken or given by other commands, or has another name: what is noted of it follows.
my $view = sql(q{SELECT 'prism_log.namespace_' || namespace_id FROM prism.namespace WHERE name = 'mine'});
my $noted = q{SELECT string_agg(role || ' ' || privilege, ', ' ORDER BY role, privilege) FROM prism.granted JOIN prism.namespace USING (namespace_id) WHERE name = 'mine' AND role ~ '^former|^latter'};
sql(qq{CREATE ROLE former; CREATE ROLE former_too; CREATE ROLE former_three;
	SELECT prism.grant('mine', 'read', r) FROM unnest('{former,former_too,former_three}'::text[]) r});
is(sql($noted), 'former SELECT, former_three SELECT, former_too SELECT', 'what was granted is noted');
my $open = $node->background_psql('postgres');
$open->query_safe(q{BEGIN; SELECT prism.grant('other', 'read', 'former_three')});
sql(qq{DROP OWNED BY former});
sql(qq{ALTER ROLE former_too RENAME TO latter});
sql(qq{REVOKE SELECT ON $view FROM former_three; GRANT INSERT ON $view TO former_three});
is(sql(q{SELECT count(*) FROM prism.workers WHERE kind = 'maintainer' AND error IS NOT NULL}), 0, 'the maintainer does not wait for who is granting');
$open->query_safe('COMMIT; SELECT prism.wake_workers()');
$open->quit;
wait_for_value($node, $noted, 'former_three INSERT, latter SELECT');
pass('and so is what has become of it');

# A role that reads all data can dump the database, and it is restored.
sql('CREATE ROLE database_owner LOGIN; ALTER DATABASE postgres OWNER TO database_owner');
my @owner_dumps = ('pg_dump', '-U', 'database_owner', '-f', '/dev/null', 'postgres');
$node->command_fails_like(\@owner_dumps, qr/permission denied for (table|schema|sequence)/, "pg_dump by the database's owner ends with what he may not read");
sql('GRANT pg_read_all_data TO database_owner');
$node->command_ok(\@owner_dumps, 'and works with what README says');
$node->command_ok([ 'pg_dump', '-U', 'dump', '-Fc', '-f', $node->basedir . '/dump', 'postgres' ], 'pg_dump by a member of pg_read_all_data');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->safe_psql('restored', 'ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC, stranger, load, former, latter');
my $held = q{SELECT n.name || ': ' || g.role || ' ' || string_agg(DISTINCT a.privilege_type, ',' ORDER BY a.privilege_type)
	FROM prism.namespace n JOIN pg_class c ON c.relname = 'namespace_' || n.namespace_id, aclexplode(c.relacl) a, LATERAL (SELECT coalesce((SELECT rolname FROM pg_roles WHERE oid = a.grantee), 'public') AS role) g
	WHERE a.grantee <> c.relowner GROUP BY n.name, g.role ORDER BY 1};
my $granted = sql($held);
like($granted, qr/^mine: load INSERT,SELECT,UPDATE$/m, 'what was granted');
# the worker comes when all is there, what the dump grants too: until then it finds no place
$node->append_conf('postgresql.conf', 'prism.max_workers = 1');
$node->restart;
$node->command_ok([ 'pg_restore', '-d', 'restored', '--exit-on-error', $node->basedir . '/dump' ], 'pg_restore');
isnt($node->safe_psql('restored', $held), $granted, 'default privileges give more than was granted');
$node->append_conf('postgresql.conf', 'prism.max_workers = 8');
$node->restart;
wait_for_value($node, $held, $granted, 'restored');
pass('a restore under default privileges gives nobody a right on a namespace, and takes none');
my $handlers = q{SELECT string_agg(c.relname || ' ' || a.grantee::regrole || ' ' || a.privilege_type, ', ' ORDER BY c.relname, a.privilege_type, a.grantee) FROM pg_class c, aclexplode(c.relacl) a WHERE c.relname ~ '^handler_' AND c.relnamespace = 'prism_log'::regnamespace AND a.grantee <> c.relowner};
isnt(sql($handlers), '', 'there is a handler');
wait_for_value($node, $handlers, sql($handlers), 'restored');
pass('nor takes anybody for whose rights a handler uses');
wait_for_value($node, q{SELECT count(*) FROM prism.read('other')}, 1, 'restored');
like(error_of('SET ROLE load; DELETE FROM prism.handler; DELETE FROM ' . (grep { /prism_log\.topic/ } @tables)[0], 'restored'),
	qr/^.*permission denied for table handler.*permission denied for table topic_/s, 'restored tables are guarded as well');

done_testing();
