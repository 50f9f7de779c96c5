# Waiting consumers: who is woken by what, and what waiting holds up.
# timeout: 300
use PrismTest;

use constant WAITERS => 20;
# A lost wake-up is repaired by a timer of 5 s; who is woken properly takes some milliseconds, on a busy machine more.
use constant PROMPT_S => 3;

my $node = prism_node('main', conf => "max_connections = 100\n");

sub sql { return $node->safe_psql('postgres', $_[0]) }

# Client programs that run until they have nothing more to do.
sub start
{
	my (@command) = @_;
	my ($out, $err) = ('', '');
	return { err => \$err, run => IPC::Run::start([ @command ], '>', \$out, '2>', \$err) };
}

sub start_pgbench
{
	my ($name, $clients, $script) = @_;
	my $file = $PostgreSQL::Test::Utils::tmp_check . "/$name.sql";
	append_to_file($file, $script);
	return start('pgbench', '-n', '-c', $clients, '-t', 1, '-f', $file, $node->connstr('postgres'));
}

# A session that runs one statement, and its pid.
sub start_psql
{
	my ($statement) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query_safe('\set VERBOSITY verbose');
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	$session->query_until(qr/begun/, "\\echo begun\n$statement\n");
	return ($session, $pid);
}

my $asleep = q{FROM pg_stat_activity WHERE backend_type = 'client backend' AND wait_event_type = 'Extension'};
sub await_sleepers { return wait_for_value($node, "SELECT count(*) $asleep", $_[0]) }
sub await_sleeper { return wait_for_value($node, "SELECT count(*) $asleep AND pid = $_[0]", 1) }

# Since when it is the database's clock, as a number of seconds.
sub now { return sql('SELECT extract(epoch FROM clock_timestamp())') }
sub prompt { my ($since, $name) = @_; cmp_ok(now() - $since, '<', PROMPT_S, $name); return }
sub await_lag { return wait_for_value($node, "SELECT lag_messages FROM prism.groups WHERE topic = '$_[0]'", $_[1]) }

# How often processes have given up the CPU: what sleeps does not.
sub switches
{
	my $sum = 0;
	for my $pid (split /\n/, sql("SELECT pid $asleep"))
	{
		$sum += $1 if slurp_file("/proc/$pid/status") =~ /^voluntary_ctxt_switches:\s+(\d+)/m;
	}
	return $sum;
}

# One message is for one: the others sleep on, and go on sleeping when another topic has some.
sql(q{CREATE TABLE came (at timestamptz); SELECT prism.apply('name: crowd'); SELECT prism.apply('name: noise')});
sql(q{SELECT prism.create_group('crowd', 'g')});
my $crowd = start_pgbench('crowd', WAITERS, <<'SQL');
CALL prism.wait('crowd', 'g', '5 min');
INSERT INTO came VALUES (clock_timestamp());
SELECT prism.ack(m) FROM prism.consume('crowd', 'g', 1) AS m;
SQL
await_sleepers(WAITERS);
my $before = switches();
sql(q{DO $$ BEGIN FOR i IN 1 .. 200 LOOP PERFORM prism.publish('noise', 'x'); COMMIT; END LOOP; END $$});
my $noise = switches() - $before;
cmp_ok($noise, '<', 4 * WAITERS, "200 commits to another topic woke nobody ($noise switches)");
for my $message (1 .. 4)
{
	sql(q{SELECT prism.publish('crowd', 'x')});
	await_lag('crowd', 0);
}
my $came = sql('SELECT count(*) FROM came');
cmp_ok($came, '<', WAITERS / 2, "4 messages called $came of " . WAITERS . ' sessions');
sql(q{SELECT prism.publish_batch('crowd', array_fill('x'::bytea, ARRAY[16]))});
await_lag('crowd', 0);
pass('many messages call many');
sql(q{SELECT prism.publish('crowd', 'for those who came in vain') FROM generate_series(1, 20)});
$crowd->{run}->finish;
is($crowd->{run}->result(0), 0, 'and all come home');

# Who is called and does not come holds up the others for a moment only.
sql(q{SELECT prism.apply('name: idler')});
sql(q{SELECT prism.create_group('idler', 'g')});
my ($first, $first_pid) = start_psql(q{CALL prism.wait('idler', 'g', '5 min');});
my ($second, $second_pid) = start_psql(q{CALL prism.wait('idler', 'g', '5 min');});
await_sleeper($_) for $first_pid, $second_pid;
my $since = now();
sql(q{SELECT prism.publish('idler', 'x')});
is($_->query('SELECT 1'), 1, 'every waiter is called in the end') for $first, $second;
prompt($since, 'promptly');

# What came back by a rollback or its lease's end, and what waited for an earlier message of its key.
sub sleeper_gets
{
	my ($wake, $expected, $name) = @_;
	$second->query_until(qr/begun/, qq{\\echo begun\nSELECT "position", attempt FROM prism.consume('idler', 'g', 1, wait => '1 min');\n});
	await_sleeper($second_pid);
	my $since = now();
	$first->query_safe($wake);
	is($second->query('SELECT 1'), "$expected\n1", $name);
	prompt($since, 'promptly');
	return;
}
$first->query_safe(q{BEGIN; SELECT count(*) FROM prism.consume('idler', 'g')});
sleeper_gets('ROLLBACK', '0|2', 'what is rolled back goes to who waits');
$second->query_safe(q{SELECT prism.ack('idler', 'g', '{0}')});
$first->query_safe(q{SELECT prism.publish('idler', 'x', key => 'k') FROM generate_series(1, 2)});
$first->query_safe(q{BEGIN; SELECT count(*) FROM prism.consume('idler', 'g', 1)});
sleeper_gets(q{SELECT prism.ack('idler', 'g', '{1}'); COMMIT}, '2|1', 'what waited for an earlier message of its key');
$second->query_safe(q{SELECT prism.ack('idler', 'g', '{2}')});
$first->query_safe(q{SELECT prism.publish('idler', 'x')});
$first->query_safe(q{SELECT count(*) FROM prism.consume('idler', 'g', 1, lease => '1 s')});
sleeper_gets('SELECT 1', '3|2', 'and what a lease has ended of');

# A group that was dropped and made again in one transaction is another one, in the same place: who waits is found there.
$second->query_until(qr/begun/, qq{\\echo begun\nCALL prism.wait('idler', 'g', '1 min');\n});
await_sleeper($second_pid);
sql(q{BEGIN; SELECT prism.drop_group('idler', 'g'); SELECT prism.create_group('idler', 'g', 'latest'); COMMIT});
await_sleeper($second_pid);
wait_for_value($node, q{SELECT "position" = read_end FROM (SELECT "position", (SELECT next_position FROM prism.topics WHERE topic = 'idler') AS read_end FROM prism.groups WHERE topic = 'idler') AS g}, 't');
$since = now();
sql(q{SELECT prism.publish('idler', 'for the new one')});
is($second->query('SELECT 1'), 1, 'a group made again wakes those who waited for the former one');
prompt($since, 'promptly');

# No wake-up is lost when sessions are cancelled as they are woken: one message at a time, one of eight left to take it.
sql(q{CREATE TABLE got (message int, waited interval); SELECT prism.apply('name: storm')});
sql(q{SELECT prism.create_group('storm', 'g')});
my $take = q{INSERT INTO got SELECT convert_from(m.payload, 'UTF8')::int, clock_timestamp() - m.created_at FROM prism.consume('storm', 'g', 1%s) AS m WHERE prism.ack(m) = 1;};
my @storm = map {
	my $file = $PostgreSQL::Test::Utils::tmp_check . "/storm$_.sql";
	my $step = $_ % 2 ? sprintf($take, q{, wait => '1 min'}) : q{CALL prism.wait('storm', 'g', '1 min'); } . sprintf($take, '');
	append_to_file($file, "SET application_name = 'storm';\n" . "$step\n" x 200);
	start('psql', '-X', '-q', '-d', $node->connstr('postgres'), '-f', $file);
} 1 .. 8;
for my $message (1 .. 40)
{
	wait_for_value($node, "SELECT count(*) $asleep AND application_name = 'storm'", 8);
	sql(qq{DO \$\$ BEGIN PERFORM prism.publish('storm', '$message'); COMMIT;
		PERFORM pg_cancel_backend(pid) FROM (SELECT pid FROM pg_stat_activity WHERE application_name = 'storm' ORDER BY random() LIMIT 7) AS s; END \$\$});
	wait_for_value($node, "SELECT count(*) FROM got WHERE message = $message", 1);
}
is(sql('SELECT count(*), count(DISTINCT message) FROM got'), '40|40', 'every message was taken once');
is(sql(q{SELECT max(waited) < '3 s' FROM got}), 't', 'and none waited for the timer that repairs lost wake-ups');
sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'storm'});
$_->{run}->finish for @storm;

# No snapshot is held, wherever a procedure may let go of it.
sql(q{SELECT prism.apply('name: quiet')});
sql(q{SELECT prism.create_group('quiet', 'g');
	CREATE PROCEDURE inner_wait() LANGUAGE plpgsql AS $$ BEGIN CALL prism.wait('quiet', 'g', '5 min'); END $$;
	CREATE PROCEDURE outer_wait() LANGUAGE plpgsql AS $$ DECLARE r record; BEGIN
		FOR r IN SELECT n FROM generate_series(1, 1) AS n LOOP CALL inner_wait(); COMMIT; END LOOP; END $$;
	CREATE FUNCTION function_wait() RETURNS int LANGUAGE plpgsql AS $$ BEGIN CALL prism.wait('quiet', 'g', '5 min'); RETURN 1; END $$});
my %held = (
	q{CALL prism.wait('quiet', 'g', '5 min');} => 0,
	q{CALL inner_wait();} => 0,
	q{DO $$ BEGIN CALL prism.wait('quiet', 'g', '5 min'); END $$;} => 0,
	q{DO $$ BEGIN PERFORM prism.consume('quiet', 'g'); COMMIT; CALL prism.wait('quiet', 'g', '5 min'); PERFORM 1; END $$;} => 0,
	q{BEGIN; CALL prism.wait('quiet', 'g', '5 min'); COMMIT;} => 1,
	q{SELECT function_wait();} => 1,
	q{SELECT count(*) FROM prism.consume('quiet', 'g', wait => '1 min');} => 1,
	q{BEGIN ISOLATION LEVEL SERIALIZABLE; CALL prism.wait('quiet', 'g', '5 min'); COMMIT;} => 1);
for my $statement (sort keys %held)
{
	my ($session, $pid) = start_psql($statement);
	await_sleeper($pid);
	wait_for_value($node, "SELECT backend_xmin IS NOT NULL $asleep AND pid = $pid", $held{$statement} ? 't' : 'f');
	pass(($held{$statement} ? 'a snapshot is held by ' : 'no snapshot is held by ') . $statement);
	sql(q{SELECT prism.publish('quiet', 'x')});
	$session->query('SELECT 1');
	sql(q{SELECT prism.ack(m) FROM prism.consume('quiet', 'g', 100) AS m});
	$session->quit;
}
# a query that is being read holds one, which is not the procedure's to drop
my ($loop, $loop_pid) = start_psql('CALL outer_wait();');
await_sleeper($loop_pid);
sql(q{SELECT prism.publish('quiet', 'x')});
is($loop->query('SELECT 1'), 1, 'waiting within a loop over a query goes on');
is($loop->{stderr} =~ /ERROR/ ? $loop->{stderr} : '', '', 'without an error');
$loop->quit;
sql(q{SELECT prism.ack(m) FROM prism.consume('quiet', 'g', 100) AS m});

# Who waits holds up nobody who drops, and is told.
sub ends_with
{
	my ($statement, $then, $expected, $name) = @_;
	my ($session, $pid) = start_psql($statement);
	await_sleeper($pid);
	my $since = now();
	sql("SET lock_timeout = '10 s'; $then");
	$session->query('SELECT 1');
	like($session->{stderr}, $expected, $name);
	prompt($since, 'promptly');
	$session->quit;
	return;
}
sql(q{CREATE ROLE consumer; SELECT prism.grant('quiet', 'consume', 'consumer')});
ends_with(q{SET ROLE consumer; CALL prism.wait('quiet', 'g', '5 min');},
	q{SELECT prism.revoke('quiet', 'consume', 'consumer'); SELECT prism.publish('quiet', 'x')},
	qr/ERROR:  42501/, 'who has lost the right to consume is told so when he is woken');
sql(q{SELECT prism.ack(m) FROM prism.consume('quiet', 'g', 100) AS m});
ends_with(q{SELECT count(*) FROM prism.consume('quiet', 'g', wait => '1 min');}, q{SELECT prism.drop_group('quiet', 'g')},
	qr/ERROR:  42704: consumer group "g" was dropped/, 'consume() tells that its group was dropped');
sql(q{SELECT prism.create_group('quiet', 'g', 'latest')});
ends_with(q{CALL prism.wait('quiet', 'g', '5 min');}, q{SELECT prism.drop_namespace('quiet', true)},
	qr/ERROR:  42704: topic "quiet" does not exist/, 'dropping a topic does not wait for who waits for it');
sql(q{SELECT prism.apply('name: quiet')});
ends_with(q{CALL prism.wait('quiet', 'no such group', '5 min');}, q{SELECT prism.drop_namespace('quiet', true)},
	qr/ERROR:  42704: topic "quiet" does not exist/, 'nor for who waits for a group that is not there');

$_->quit for $first, $second;
done_testing();
