# What others do to a database that prism lives in: event triggers, another owner, DROP OWNED, a restore that leaves the
# messages out, fewer processes than databases want.
# timeout: 300
use PrismTest;

my $node = prism_node('main');

sub sql { return $node->safe_psql($_[1] // 'postgres', $_[0]); }
sub error_of { return ($node->psql('postgres', $_[0]))[2]; }

# An audit that works for sessions need not work for a worker: segments are made all the same.
sql(q{
	SET prism.segment_messages = 1024;
	SELECT prism.apply('namespaces: [{name: audited}, {name: handled, consumers: [{group: handler, max_attempts: 1}]}]');
	CREATE FUNCTION fails(m prism.message) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'handler fails'; END $$;
	CREATE ROLE worker LOGIN;
	GRANT CREATE ON SCHEMA public TO worker;
	SELECT prism.grant('handled', 'consume', 'worker');
	SET ROLE worker;
	SELECT prism.on('handled', 'handler', 'fails(prism.message)');
	RESET ROLE;
	CREATE TABLE audit (tag text);
	CREATE FUNCTION audit() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit VALUES (tg_tag); END $$;
	CREATE EVENT TRIGGER audit ON ddl_command_end EXECUTE FUNCTION audit();
	CREATE TABLE ordinary ();
});
is(sql('SELECT count(*) FROM audit'), 1, 'an event trigger fires for a session');
is(sql(q{SELECT count(prism.publish_batch('audited', array_fill('x'::bytea, ARRAY[1000]))) FROM generate_series(1, 4)}), 4, 'publishers go over the ends of segments');
sql(q{SELECT prism.publish('audited', 'later', deliver_at => now() + interval '1 hour')});
wait_for_value($node, q{SELECT delayed FROM prism.topics WHERE topic = 'audited'}, 1);
is(sql(q{SELECT state FROM prism.status WHERE namespace = 'audited'}), 'ok', 'and the status is ok');

# Nor for a consumer's session, in which the first dead letter of a topic makes a topic, or a handler's.
sql(q{
	CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no % here', tg_tag; END $$;
	CREATE EVENT TRIGGER refuse ON ddl_command_start EXECUTE FUNCTION refuse();
});
like(error_of('CREATE TABLE refused ()'), qr/no CREATE TABLE here/, 'one refuses what sessions make');
sql(q{SELECT prism.create_group('audited', 'consumer', 'earliest'); SELECT prism.reject(m) FROM prism.consume('audited', 'consumer', 1) m});
is(sql(q{SELECT count(*) FROM prism.read('audited.dlq')}), 1, 'a message is rejected all the same');
sql(q{SELECT prism.publish('handled', 'x')});
wait_for_value($node, q{SELECT dead_letters FROM prism.status WHERE namespace = 'handled'}, 1);
pass('and so is one that a handler cannot process');
sql('DROP EVENT TRIGGER refuse');

# One that fires always stops the maintainer: then the status says so.
sql('ALTER EVENT TRIGGER audit ENABLE ALWAYS');
my ($code, $output, $error) = $node->psql('postgres', q{SELECT count(prism.publish_batch('audited', array_fill('x'::bytea, ARRAY[1000]))) FROM generate_series(1, 4)});
like($error, qr/no segment ready for topic "audited"/, 'a publisher finds no segment');
is(sql(q{SELECT state, hint ~ 'segment' FROM prism.status WHERE namespace = 'audited'}), 'error|t', 'the status is error');
wait_for_value($node, q{SELECT error ~ 'audit' FROM prism.workers WHERE kind = 'maintainer'});
pass('the maintainer says why');
sql('DROP EVENT TRIGGER audit');
wait_for_value($node, q{SELECT state FROM prism.status WHERE namespace = 'audited'}, 'ok');
pass('without it all is well');

# Commands that take all of the owner's objects, behind a transaction that publishes to its topics against their order.
sql(q{CREATE ROLE dba SUPERUSER LOGIN; CREATE ROLE heir SUPERUSER LOGIN; CREATE DATABASE owned});
$node->safe_psql('owned', q{CREATE EXTENSION prism; SELECT prism.apply('namespaces: [{name: first}, {name: second}]')}, extra_params => [ '-U', 'dba' ]);
for my $command ('REASSIGN OWNED BY dba TO heir', 'DROP OWNED BY heir')
{
	my $publisher = $node->background_psql('owned');
	my $taker = $node->background_psql('owned');

	$publisher->query_safe(q{BEGIN; SELECT prism.publish('second', 'x')});
	$taker->query_until(qr/taking/, "\\echo taking\n$command;\n");
	wait_for_value($node, "SELECT wait_event_type FROM pg_stat_activity WHERE query = '$command;'", 'Lock', 'owned');
	$publisher->query_safe(q{SELECT prism.publish('first', 'x')});
	$publisher->query_safe('COMMIT');
	is($taker->query_safe("SELECT 'done'"), 'done', "$command waits for a publisher, without a deadlock");
	if ($command =~ /REASSIGN/)
	{
		is($publisher->query_safe(q{SELECT prism.publish('first', 'x') IS NOT NULL}), 't', 'sessions follow the new owner');
		wait_for_value($node, q{SELECT count(*) FROM prism.workers WHERE kind = 'maintainer' AND state = 'running' AND database = 'owned'}, 1, 'owned');
		sql(q{SELECT prism.publish('first', 'x', deliver_at => now())}, 'owned');
		wait_for_value($node, q{SELECT count(*) FROM prism.read('first')}, 3, 'owned');
		is(sql(q{SELECT r.rolname FROM pg_extension e JOIN pg_roles r ON r.oid = e.extowner WHERE e.extname = 'prism'}, 'owned'), 'heir', 'so do workers');
	}
	$_->quit for $publisher, $taker;
}
is(sql(q{SELECT count(*) FROM pg_extension WHERE extname = 'prism'}, 'owned'), 0, 'DROP OWNED takes the extension along');
is(log_count($node, 'deadlock detected'), 0, 'nobody met a deadlock');

# A restore that leaves the messages out leaves no delayed ones.
my $dump = $node->basedir . '/without.sql';
$node->command_ok([ 'pg_dump', '--exclude-table-data=prism_log.*', '-f', $dump, '-d', $node->connstr('postgres') ], 'a dump without messages');
sql('CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('restored') ], 'restored');
sql(q{SELECT prism.publish('audited', 'at once', deliver_at => now())}, 'restored');
wait_for_value($node, q{SELECT count(*) FROM prism.read('audited')}, 1, 'restored');
is(sql(q{SELECT state FROM prism.workers WHERE kind = 'scheduler' AND database = 'restored'}, 'restored'), 'running', 'delayed messages are delivered there');
is(sql(q{SELECT state FROM prism.status WHERE namespace = 'audited'}, 'restored'), 'ok', 'and the status is ok');

# Fewer processes than databases want: the doctor of each counts them all.
sql("CREATE DATABASE d$_"), sql(q{CREATE EXTENSION prism; SELECT prism.apply('name: n')}, "d$_") for 1 .. 2;
$node->append_conf('postgresql.conf', 'prism.max_workers = 5');
$node->restart;
wait_for_value($node, q{SELECT count(*) > 0 FROM prism.workers WHERE state = 'no_worker_slot'});
wait_for_value($node, q{SELECT count(*) FROM prism.doctor() WHERE item = 'prism.max_workers' AND state = 'error'}, 1);
like(sql(q{SELECT hint FROM prism.doctor() WHERE item = 'prism.max_workers'}), qr/prism.max_workers = \d+, and 2 more for each of \d+ further databases/, 'the doctor counts what all databases want, and names those that could not be asked');
is(sql(q{SELECT count(*) FROM prism.doctor() WHERE item = 'launcher'}), 0, 'there is a launcher');
$node->append_conf('postgresql.conf', 'max_worker_processes = 0');
$node->restart;
is(sql(q{SELECT string_agg(item || ' ' || state, ', ') FROM prism.doctor() WHERE item IN ('launcher', 'max_worker_processes')}), 'launcher error', 'without one the doctor says so, and names one number');
# who only sees the status is told as well, once the launcher has had its time to come
wait_for_value($node, q{SELECT DISTINCT state || ' ' || hint FROM prism.status},
	'warn Of the workers that all namespaces of this database need: launcher without a process. prism.workers shows the error, prism.doctor() what to do.');
is(sql(q{SELECT state, pid IS NULL, hint FROM prism.workers}), 'starting|t|Raise max_worker_processes and restart the server.', 'so does prism.workers');
is(sql(q{SELECT labels, value FROM prism.metrics WHERE name = 'prism_worker_up'}), '{"kind": "launcher"}|0', 'and a monitor sees it');

is(log_count($node, 'PANIC|TRAP|terminated by signal'), 0, 'without an accident');
done_testing();
