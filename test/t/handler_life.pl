# Around handlers everything may go while they work: the function, rights, the group, the role, the namespace, the
# extension, the database. And a dump carries them, to another server with other oids.
# timeout: 300
use PrismTest;

my $node = prism_node('main', streaming => 1);
sub sql { return $node->safe_psql($_[1] // 'postgres', $_[0]); }

sub handler_is
{
	my ($condition, $database) = @_;
	return wait_for_value($node, "SELECT $condition FROM prism.handlers WHERE consumer_group = 'g'", 't', $database);
}

sub handler_processes
{
	my ($database) = @_;
	return "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'prism handler' AND datname = '" . ($database // 'postgres') . "'";
}

# A function whose calls last as long as somebody holds the lock 42.
my $slow = q{
	CREATE OR REPLACE FUNCTION work(messages prism.message[]) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM pg_advisory_xact_lock_shared(42);
		INSERT INTO done SELECT m."position" FROM unnest(messages) AS m;
	END $$;
};
my $setup = qq{
	GRANT CREATE ON SCHEMA public TO app;
	SELECT prism.apply('name: t');
	SELECT prism.grant('t', 'consume', 'app');
	SET ROLE app;
	CREATE TABLE done (p bigint);
	$slow
	SELECT prism.on('t', 'g', 'work(prism.message[])', batch_size => 5);
};

sub publish
{
	my ($count, $database) = @_;
	return sql("SELECT count(prism.publish('t', 'x')) FROM generate_series(1, $count)", $database);
}

# Calls begin to wait when this is held: they are under way.
sub hold_calls
{
	my ($database) = @_;
	my $holder = $node->background_psql($database // 'postgres', on_error_stop => 0);
	$holder->query_safe('SELECT pg_advisory_lock(42)');
	publish(7, $database);
	wait_for_value($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'prism handler' AND wait_event_type = 'Lock'}, 1);
	return $holder;
}

sql('CREATE ROLE app LOGIN');
sql($setup);
handler_is(q{state = 'waiting'});
publish(20);
handler_is('messages_total = 20');
is(sql(q{SELECT string_agg(name || ' ' || value, ', ' ORDER BY name) FROM prism.metrics WHERE name IN ('prism_handler_up', 'prism_handler_messages_total', 'prism_handler_failures_total')}),
	'prism_handler_failures_total 0, prism_handler_messages_total 20, prism_handler_up 1', 'its metrics');
is(sql('SELECT state FROM prism.status'), 'ok', 'all is well');

# The function goes while it is called, and comes back.
my $holder = hold_calls();
sql('DROP FUNCTION work(prism.message[])');
$holder->quit;
handler_is(q{state = 'failed' AND error LIKE 'function public.work(prism.message[]) does not exist'});
pass('without its function a handler says so');
is(sql(q{SELECT state, hint FROM prism.status}), 'warn|The handler of consumer group g is in trouble: prism.handlers says why.', 'prism.status points there');
is(sql(q{SELECT value FROM prism.metrics WHERE name = 'prism_handler_up'}), 0, 'and a monitor sees it');
publish(1);
sql("SET ROLE app; $slow");
handler_is('lag_messages = 0 AND state = \'waiting\'');
is(sql('SELECT count(*), count(DISTINCT p) FROM done'), '28|28', 'with its function it goes on, and nothing is lost');

# Rights go and come back.
sql(q{SELECT prism.revoke('t', 'consume', 'app')});
publish(1);
handler_is(q{state = 'failed' AND error LIKE 'role "app" has no right to consume%' AND retry_at IS NOT NULL});
sql(q{SELECT prism.grant('t', 'consume', 'app')});
handler_is(q{lag_messages = 0 AND state = 'waiting'});
pass('rights are those of the moment');
sql('ALTER ROLE app SUPERUSER');
publish(1);
handler_is(q{state = 'failed' AND error LIKE 'handlers do not run as superuser%' AND lag_messages = 1});
sql('ALTER ROLE app NOSUPERUSER');
handler_is(q{lag_messages = 0});
pass('a role that has become a superuser is not served');

# Settings: off and on.
$node->append_conf('postgresql.conf', 'prism.enabled = off');
$node->reload;
wait_for_value($node, handler_processes(), 0);
is(sql(q{SELECT state FROM prism.handlers}), 'starting', 'without processes nobody serves it');
$node->append_conf('postgresql.conf', 'prism.enabled = on');
$node->reload;
wait_for_value($node, handler_processes(), 1);

# prism.off() while a call is under way: it ends as it would have, then the process goes.
$holder = hold_calls();
sql(q{SELECT prism.off('t', 'g')});
$holder->quit;
wait_for_value($node, handler_processes(), 0);
is(sql(q{SELECT count(*), count(DISTINCT p) FROM done}), sql(q{SELECT position || '|' || position FROM prism.groups WHERE consumer_group = 'g'}),
	'what was done and where the group stands agree');
sql(q{SELECT prism.on('t', 'g', 'work(prism.message[])', role => 'app', batch_size => 3)});
handler_is('lag_messages = 0');
is(sql('SELECT count(*), count(DISTINCT p) FROM done'), '37|37', 'the next handler goes on there');

# The handler is given to another role while a call is under way: the first one's process leaves it to the other's.
sql(q{
	CREATE ROLE one LOGIN; CREATE ROLE two LOGIN;
	SELECT prism.apply('name: given');
	SELECT prism.grant('given', 'consume', role) FROM unnest('{one,two}'::text[]) role;
	CREATE FUNCTION stay(messages prism.message[]) RETURNS void LANGUAGE sql AS 'SELECT pg_advisory_xact_lock_shared(43)';
	CREATE FUNCTION pass(messages prism.message[]) RETURNS void LANGUAGE sql AS '';
	SELECT prism.on('given', 'h', 'stay(prism.message[])', role => 'one', batch_size => 2);
});
my $given = q{FROM prism.handlers WHERE topic = 'given'};
$holder = $node->background_psql('postgres', on_error_stop => 0);
$holder->query_safe('SELECT pg_advisory_lock(43)');
sql(q{SELECT count(prism.publish('given', 'x')) FROM generate_series(1, 4)});
wait_for_value($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'prism handler' AND usename = 'one' AND wait_event_type = 'Lock'}, 1);
sql(q{BEGIN; SELECT prism.off('given', 'h'); SELECT prism.on('given', 'h', 'pass(prism.message[])', role => 'two', batch_size => 2); COMMIT});
wait_for_value($node, "SELECT state, messages_total, failures_total, error IS NULL $given", 'waiting|2|0|t');
pass('a call of another process is not taken for one that broke');
$holder->quit;
wait_for_value($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'prism handler' AND usename = 'one'}, 0);
is(sql("SELECT state, messages_total, failures_total, error IS NULL $given"), 'waiting|2|0|t', 'who had it before changes nothing when he leaves');
sql(q{SELECT prism.publish('given', 'x')});
wait_for_value($node, "SELECT lag_messages, messages_total, state $given", '0|3|waiting');
pass('its calls are counted');
sql(q{BEGIN; SELECT prism.off('given', 'h'); SELECT prism.on('given', 'h', 'pass(prism.message[])', role => 'one'); COMMIT});
sql(q{SELECT prism.publish('given', 'x')});
wait_for_value($node, "SELECT lag_messages, state $given", '0|waiting');
pass('and it comes back');
sql(q{SELECT prism.drop_namespace('given', true); DROP FUNCTION stay(prism.message[]), pass(prism.message[]); DROP ROLE one; DROP ROLE two});

# The group goes while a call is under way: nothing of that call stays.
$holder = hold_calls();
sql(q{SELECT prism.drop_group('t', 'g')});
$holder->quit;
wait_for_value($node, handler_processes(), 0);
is(sql('SELECT count(*), count(DISTINCT p) FROM done'), '37|37', 'a call whose group was dropped is undone');

# Another group has the name, or another handler the group, once its process has waited for those who do that: what was
# registered before is not called with a message of theirs.
sql(q{
	CREATE TABLE got (what text, p bigint);
	GRANT INSERT ON got TO app;
	SELECT prism.apply('name: anew');
	SELECT prism.grant('anew', 'consume', 'app');
	SELECT count(prism.publish('anew', 'x')) FROM generate_series(1, 5);
	CREATE FUNCTION former(messages prism.message[]) RETURNS void LANGUAGE sql AS $$ INSERT INTO got SELECT 'former', m."position" FROM unnest(messages) AS m $$;
	CREATE FUNCTION latter(messages prism.message[]) RETURNS void LANGUAGE sql AS $$ INSERT INTO got SELECT 'latter', m."position" FROM unnest(messages) AS m $$;
});
my $waits = q{SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND a.backend_type = 'prism handler'};
for my $case (
	[ q{SELECT prism.drop_group('anew', 'g'), prism.create_group('anew', 'g', 'earliest')}, '', 5, 'a group of that name without a handler' ],
	[ q{SELECT prism.drop_group('anew', 'g'), prism.create_group('anew', 'g', 'earliest'), prism.on('anew', 'g', 'latter(prism.message[])', role => 'app')},
		'latter 5', 0, 'one with another handler' ],
	[ q{SELECT prism.apply('{name: anew, consumers: [{group: g, max_attempts: 7}]}'), prism.off('anew', 'g'), prism.on('anew', 'g', 'latter(prism.message[])', role => 'app')},
		'latter 5', 0, 'another handler of the same group' ],
	[ q{SELECT prism.apply('{name: anew, consumers: [{group: g, max_attempts: 8}]}');
		DO $$ BEGIN EXECUTE 'REVOKE SELECT ON prism_log.handler_' || (SELECT h.group_id FROM prism.handler h JOIN prism.topic USING (topic_id) WHERE name = 'anew') || ' FROM app'; END $$},
		'', 5, 'one whose role has taken its consent back' ])
{
	my ($changes, $calls, $left, $name) = @$case;
	sql(q{SELECT prism.create_group('anew', 'g', 'latest'); SELECT prism.on('anew', 'g', 'former(prism.message[])', role => 'app')});
	wait_for_value($node, q{SELECT state FROM prism.handlers WHERE topic = 'anew'}, 'waiting');
	my $deployer = $node->background_psql('postgres');
	$deployer->query_safe("BEGIN; $changes; SELECT prism.seek('anew', 'g', 'earliest');");
	# a new process knows nothing of the group, and so asks for its name
	sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'prism handler'});
	wait_for_value($node, $waits, 1);
	$deployer->query_safe('COMMIT');
	$deployer->quit;
	wait_for_value($node, q{SELECT count(*) FROM prism.handlers WHERE topic = 'anew' AND state NOT IN ('waiting', 'failed')}, 0);
	wait_for_value($node, handler_processes(), $left > 0 ? 0 : 1);
	wait_for_value($node, q{SELECT lag_messages FROM prism.groups WHERE topic = 'anew'}, $left);
	is(sql(q{SELECT string_agg(DISTINCT what || ' ' || (SELECT count(*) FROM got), '') FROM got}), $calls, "$name: its messages are its own");
	sql(q{TRUNCATE got; SELECT prism.drop_group('anew', 'g')});
	wait_for_value($node, handler_processes(), 0);
}
sql(q{SELECT prism.drop_namespace('anew', true); DROP FUNCTION former(prism.message[]), latter(prism.message[]); DROP TABLE got});

# The role.
sql(q{SELECT prism.create_group('t', 'g', 'latest'); SELECT prism.on('t', 'g', 'work(prism.message[])', role => 'app')});
wait_for_value($node, handler_processes(), 1);
sql('CREATE DATABASE elsewhere');
sql('REASSIGN OWNED BY app TO postgres; SELECT prism.revoke(\'t\', \'consume\', \'app\'); REVOKE ALL ON SCHEMA public FROM app');
my ($code, $out, $error) = $node->psql('elsewhere', 'DROP ROLE app');
like($error, qr/role "app" cannot be dropped.*1 object in database postgres/s, 'a role that is needed cannot be dropped, from another database either');
sql('DROP OWNED BY app; DROP ROLE app; DROP DATABASE elsewhere');
publish(1);
handler_is(q{state = 'failed' AND error = 'role "app" was dropped, or has given up its rights by DROP OWNED'});
pass('a role that was dropped is named');
wait_for_value($node, handler_processes(), 0);
sql(q{SELECT prism.off('t', 'g')});
sql(q{SELECT prism.drop_namespace('t')});
sql('DROP TABLE done; DROP FUNCTION work(prism.message[])');

# A namespace: dropping it waits for the transaction that uses its topic, as for everybody's.
sql('CREATE ROLE app LOGIN');
sql($setup);
$holder = hold_calls();
my $dropper = $node->background_psql('postgres');
$dropper->query_until(qr/dropping/, "\\echo dropping\nSELECT prism.drop_namespace('t', true);\n");
wait_for_value($node, q{SELECT wait_event_type FROM pg_stat_activity WHERE query = 'SELECT prism.drop_namespace(''t'', true);'}, 'Lock');
$holder->quit;
$dropper->quit;
wait_for_value($node, handler_processes(), 0);
is(sql('SELECT count(*) FROM prism.handler'), 0, 'a namespace takes its handlers along');
is(sql('SELECT count(*) FROM done'), 5, 'after the call that was under way');

# The extension and the database, each with a call under way that would last for long: it is ended.
for my $what ([ postgres => 'DROP EXTENSION prism CASCADE' ], [ other => 'DROP DATABASE other' ])
{
	my ($database, $statement) = @$what;
	if ($database eq 'other')
	{
		sql('CREATE DATABASE other');
		sql('CREATE EXTENSION prism', $database);
	}
	sql("DROP TABLE IF EXISTS done; $setup", $database);
	$holder = hold_calls($database);
	# the holder of the lock would be in the way of DROP DATABASE himself; by now the call waits for a longer one
	$holder->quit if $database eq 'other';
	my $status = $node->psql('postgres', $statement, stderr => \my $error);
	is($status, 0, $statement) or diag($error);
	$holder->quit if $database ne 'other';
	wait_for_value($node, handler_processes($database), 0);
}

# A dump carries handlers by name. The restored one goes on where the original stood.
sql('DROP TABLE done; CREATE EXTENSION prism');
sql($setup);
publish(10);
handler_is('messages_total = 10');
my $dump = $node->basedir . '/handler.dump';
system_or_bail('pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr('postgres'));
sql('CREATE DATABASE copy');
system_or_bail('pg_restore', '-d', $node->connstr('copy'), $dump);
is(sql(q{SELECT role || ' ' || (SELECT count(*) FROM pg_shdepend WHERE dbid = (SELECT oid FROM pg_database WHERE datname = 'copy') AND refobjid = 'app'::regrole
	AND objid = (SELECT oid FROM pg_class WHERE relname ~ '^handler_[0-9]+$') AND deptype = 'a') FROM prism.handlers}, 'copy'), 'app 1', 'its role is known there, and needed');
isnt(sql(q{SELECT 'work(prism.message[])'::regprocedure::oid}, 'copy'), sql(q{SELECT 'work(prism.message[])'::regprocedure::oid}),
	'the function has another oid there');
publish(5, 'copy');
handler_is('lag_messages = 0 AND messages_total = 5', 'copy');
is(sql('SELECT count(*), count(DISTINCT p) FROM done', 'copy'), '15|15', 'the restored handler went on');
is(sql('SELECT count(*) FROM done'), 10, 'the original was not concerned');

# A standby calls nobody; promoted, it goes on where the primary stood.
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
publish(10);
handler_is('messages_total = 20');
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'prism %'}), 0, 'a standby has no workers');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM prism.handlers'), 0, 'and shows no handlers, as nothing is known of them there');
$node->stop('immediate');
$standby->promote;
$standby->safe_psql('postgres', q{SELECT count(prism.publish('t', 'x')) FROM generate_series(1, 5)});
wait_for_value($standby, q{SELECT lag_messages = 0 AND messages_total = 5 FROM prism.handlers});
is($standby->safe_psql('postgres', 'SELECT count(*), count(DISTINCT p) FROM done'), '25|25', 'promoted, it goes on');
done_testing();
