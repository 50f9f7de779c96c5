# Workers come with the extension and go with it; they survive what happens to a process.
use PrismTest;
use Time::HiRes qw(time);

my $node = prism_node('main', extension => 0);

sub kinds
{
	my ($database) = @_;
	return "SELECT string_agg(kind, ' ' ORDER BY kind) FROM prism.workers WHERE database = '$database' AND state = 'running'";
}

sub process_count
{
	my ($backend_type) = @_;
	return "SELECT count(*) FROM pg_stat_activity WHERE backend_type = '$backend_type'";
}

sub wait_for_workers { return wait_for_value($node, kinds('postgres'), 'maintainer manager'); }

# Databases without prism are visited once and left alone.
wait_for_value($node, process_count('prism launcher'), 1);
$node->safe_psql('postgres', 'CREATE DATABASE other');
wait_for_value($node, process_count('prism manager'), 0);

$node->safe_psql('postgres', 'CREATE EXTENSION prism');
wait_for_workers();
pass('CREATE EXTENSION brings the workers');
is($node->safe_psql('postgres', process_count('prism manager')), 1, 'in that database alone');

my $begin = time;
$node->safe_psql('postgres', 'BEGIN; DROP EXTENSION prism; ROLLBACK');
$node->safe_psql('postgres', 'BEGIN; SAVEPOINT s; DROP EXTENSION prism; ROLLBACK TO s; COMMIT');
wait_for_workers();
cmp_ok(time - $begin, '<', 3, 'workers that left for a DROP EXTENSION come back at once when it is rolled back');

$node->safe_psql('other', 'CREATE EXTENSION prism');
wait_for_value($node, kinds('other'), 'maintainer manager');
pass('a second database gets workers of its own');

is($node->safe_psql('postgres', q{
	SELECT string_agg(backend_type || '/' || application_name || '/' || datname, ' ' ORDER BY backend_type)
	FROM pg_stat_activity WHERE backend_type LIKE 'prism %' AND datname = 'postgres'}),
	'prism maintainer/prism maintainer/postgres prism manager/prism manager/postgres',
	'pg_stat_activity names them');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'prism %' AND (xact_start IS NOT NULL OR backend_xmin IS NOT NULL)}),
	0, 'while they wait they hold no transaction and no snapshot');

$node->safe_psql('other', 'DROP EXTENSION prism');
wait_for_value($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'prism %' AND datname = 'other'}, 0);
pass('DROP EXTENSION ends them');
is($node->safe_psql('postgres', q{SELECT count(*) FROM prism.workers WHERE database = 'other'}), 0, 'and nobody waits for them');
$node->safe_psql('other', 'CREATE EXTENSION prism');
wait_for_value($node, kinds('other'), 'maintainer manager');
pass('CREATE EXTENSION again brings them back');
$node->safe_psql('other', 'BEGIN; DROP EXTENSION prism; CREATE EXTENSION prism; COMMIT');
wait_for_value($node, kinds('other'), 'maintainer manager');
pass('so it does in one transaction');

# A hook that listens to PREPARE: COMMIT PREPARED could not call the workers.
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 2');
$node->restart;
my ($status, $out, $err) = $node->psql('other', q{\set VERBOSITY verbose
	BEGIN; DROP EXTENSION prism; PREPARE TRANSACTION 'p'});
like($err, qr/0A000: cannot PREPARE a transaction that has changed prism's configuration/, 'PREPARE TRANSACTION of it is refused');
wait_for_workers();

# SIGTERM
for my $kind ('launcher', 'manager', 'maintainer')
{
	my $where = "backend_type = 'prism $kind' AND (datname IS NULL OR datname = 'postgres')";
	my $ended = $node->safe_psql('postgres', "SELECT pg_terminate_backend(pid, 10000), extract(epoch FROM clock_timestamp()), pid FROM pg_stat_activity WHERE $where");
	my (undef, $at, $pid) = split /\|/, $ended;

	wait_for_value($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE $where AND pid <> $pid");
	my $took = $node->safe_psql('postgres', "SELECT extract(epoch FROM backend_start) - $at FROM pg_stat_activity WHERE $where");
	# the postmaster restarts the launcher when its second is over, at its next look
	cmp_ok($took, '<', $kind eq 'launcher' ? 3 : 1, "pg_terminate_backend: another $kind within its second");
	wait_for_value($node, "SELECT restarts = 1 AND state = 'running' FROM prism.workers WHERE kind = '$kind' AND database IS NOT DISTINCT FROM "
		  . ($kind eq 'launcher' ? 'NULL' : "'postgres'"));
}
wait_for_workers();
is($node->safe_psql('postgres', process_count('prism manager')), 2, 'a manager finds the workers of its predecessor');
is($node->safe_psql('postgres', process_count('prism maintainer')), 2, 'and starts none twice');

# A cancel is no reason to end.
my $pid = worker_pid($node, 'prism manager', database => 'postgres');
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
$node->safe_psql('postgres', 'SELECT prism.wake_workers()');
wait_for_workers();
is(worker_pid($node, 'prism manager', database => 'postgres'), $pid, 'pg_cancel_backend ends no worker');

# Nothing to do, nothing done: how often workers went to sleep while others committed.
sub naps
{
	my ($pid) = @_;
	return slurp_file("/proc/$pid/status") =~ /^voluntary_ctxt_switches:\s+(\d+)/m ? $1 : die "no such process: $pid\n";
}

my @pids = split /\n/, $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'prism %'});
my %before = map { $_ => naps($_) } @pids;
$node->safe_psql('postgres', 'CREATE TABLE public.t (i int)');
$node->safe_psql('postgres', 'INSERT INTO public.t VALUES (1);' x 500);
cmp_ok(naps($_) - $before{$_}, '<', 10, 'transactions that publish nothing wake no worker') for @pids;

# Settings
apply_memory($node, 'sent', 'at_least_once', '{}');
wait_for_value($node, process_count('prism forwarder'), 1);
$node->append_conf('postgresql.conf', 'prism.enabled = off');
$node->reload;
wait_for_value($node, process_count('prism forwarder'), 0);
kill_worker($node, "prism $_", signal => 'TERM') for 'launcher', 'manager', 'maintainer';
wait_for_workers();
wait_for_value($node, kinds('other'), 'maintainer manager');
is($node->safe_psql('postgres', process_count('prism forwarder')), 0, 'prism.enabled = off ends those that carry messages, and no others');
$node->append_conf('postgresql.conf', 'prism.enabled = on');
$node->reload;
wait_for_value($node, kinds('postgres'), 'forwarder maintainer manager');
$node->safe_psql('postgres', q{SELECT prism.drop_namespace('sent', true)});
wait_for_workers();
wait_for_value($node, kinds('other'), 'maintainer manager');
pass('prism.enabled = on brings them back');

$node->safe_psql('postgres', "ALTER DATABASE other SET $_")
  for 'statement_timeout = 1', 'lock_timeout = 1', 'default_transaction_read_only = on', "search_path = 'nowhere'", "default_transaction_isolation = 'serializable'", 'role = pg_monitor';
for my $kind ('manager', 'maintainer')
{
	$pid = kill_worker($node, "prism $kind", signal => 'TERM', database => 'other');
	wait_for_value($node, "SELECT pid <> $pid AND state = 'running' FROM prism.workers WHERE kind = '$kind' AND database = 'other'");
}
is($node->safe_psql('postgres', q{SELECT string_agg(DISTINCT error, ' ') FROM prism.workers WHERE database = 'other'}),
	'the process ended; the server log says why', "a database's settings for sessions do not reach its workers");
$node->safe_psql('postgres', 'ALTER DATABASE other RESET ALL');

# kill -9: the server restarts, so do they.
my $lines = log_count($node, 'was terminated by signal 9');
kill_worker($node, 'prism maintainer');
wait_for_value($node, 'SELECT true');
wait_for_workers();
wait_for_value($node, kinds('other'), 'maintainer manager');
is(log_count($node, 'was terminated by signal 9'), $lines + 1, 'kill -9 of a worker: all are back after the crash restart');

$node->stop('immediate');
$node->start;
wait_for_workers();
pass('so they are after an immediate stop');

# One is in the middle of something, the others wait.
$node->safe_psql('postgres', q{
	SELECT prism.apply('{name: endless, client_api: queue}');
	CREATE ROLE endless LOGIN;
	SELECT prism.grant('endless', 'consume', 'endless');
	CREATE FUNCTION endless(messages prism.message[]) RETURNS void LANGUAGE plpgsql AS 'BEGIN LOOP PERFORM 1; END LOOP; END';
	SELECT prism.on('endless', 'g', 'endless(prism.message[])', timeout => '1h', role => 'endless');
	SELECT prism.publish('endless', 'x')});
wait_for_value($node, q{SELECT state FROM prism.handlers}, 'running');
my $before = time;
$node->stop('fast');
cmp_ok(time - $before, '<', 5, 'a fast stop takes less than 5 s');
is(log_count($node, 'FATAL:  terminating background worker'), 0, 'those that end as they were told to end in order');
is(log_count($node, 'LOG:  terminating background worker "prism handler"'), 1, 'who was in the middle of something says so');
is(log_count($node, 'PANIC|TRAP|ERROR:  (?!cannot PREPARE|canceling)'), 0, 'no error was caused on the way');

done_testing();
