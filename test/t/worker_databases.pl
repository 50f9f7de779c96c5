# Commands that need a database for themselves work while prism's workers are in it.
use PrismTest;
use Time::HiRes qw(time);

my $node = prism_node('main');
my $tablespace = $node->basedir . '/elsewhere';
mkdir $tablespace or die "could not make $tablespace: $!\n";

sub workers_of
{
	my ($database) = @_;
	return "SELECT count(*) FROM pg_stat_activity WHERE backend_type IN ('prism manager', 'prism maintainer') AND datname = '$database'";
}

sub wait_for_workers
{
	my ($database) = @_;
	return wait_for_value($node, workers_of($database), 2);
}

sub database_with_workers
{
	my ($database) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, 'CREATE EXTENSION prism');
	return wait_for_workers($database);
}

# The command must not wait for PostgreSQL's own patience of 5 s either.
sub works
{
	my ($command, $what) = @_;
	my $before = time;
	my ($status, $out, $err) = $node->psql('postgres', $command);
	my $took = time - $before;

	is($err, '', $what);
	return cmp_ok($took, '<', 3, "$what: at once");
}

sub is_refused
{
	my ($command, $error, $what) = @_;
	my ($status, $out, $err) = $node->psql('postgres', $command);
	return like($err, $error, $what);
}

wait_for_workers('postgres');
database_with_workers('a');

works('CREATE DATABASE b TEMPLATE a', 'CREATE DATABASE ... TEMPLATE');
wait_for_workers('a');
wait_for_workers('b');
pass('afterwards the copied and the new database have workers');

works('CREATE DATABASE c TEMPLATE a STRATEGY file_copy', 'CREATE DATABASE ... TEMPLATE ... STRATEGY file_copy');
wait_for_workers('c');

works('ALTER DATABASE c RENAME TO d', 'ALTER DATABASE ... RENAME');
wait_for_workers('d');
pass('the renamed database has workers');

$node->safe_psql('postgres', "CREATE TABLESPACE elsewhere LOCATION '$tablespace'");
works('ALTER DATABASE d SET TABLESPACE elsewhere', 'ALTER DATABASE ... SET TABLESPACE');
wait_for_workers('d');
pass('the moved database has workers');

works('DROP DATABASE d', 'DROP DATABASE');
works('DROP DATABASE b WITH (FORCE)', 'DROP DATABASE ... WITH (FORCE)');
wait_for_value($node, q{SELECT count(*) FROM prism.workers WHERE kind <> 'launcher' AND database IS DISTINCT FROM 'postgres' AND database <> 'a'}, 0);
pass('nobody waits for workers of databases that are gone');

# In a row: nobody comes back in between.
for my $i (1 .. 5)
{
	$node->safe_psql('postgres', 'CREATE DATABASE b TEMPLATE a');
	$node->safe_psql('postgres', 'DROP DATABASE b');
}
wait_for_workers('a');
pass('copied and dropped in a row');
$node->safe_psql('postgres', 'CREATE DATABASE b TEMPLATE a');
wait_for_workers('b');

# What fails leaves the workers where they were.
my $other = $node->background_psql('b');
$other->query_safe('SELECT 1');
is_refused('DROP DATABASE b', qr/is being accessed by other users/, 'DROP DATABASE fails when somebody else is connected');
wait_for_workers('b');
pass('and the workers are back');
$other->quit;

my $manager = worker_pid($node, 'prism manager', database => 'b');
is_refused('BEGIN; DROP DATABASE b', qr/cannot run inside a transaction block/, 'DROP DATABASE in a transaction block is refused as ever');
wait_for_workers('b');
is_refused('CREATE DATABASE a TEMPLATE b', qr/already exists/, 'CREATE DATABASE of one that is there is refused as ever');
wait_for_workers('b');
is_refused('DROP DATABASE nowhere', qr/does not exist/, 'DROP DATABASE of none is refused as ever');

# Who may not do it cannot stop workers by trying.
$node->safe_psql('postgres', 'CREATE ROLE nobody LOGIN CREATEDB');
$manager = worker_pid($node, 'prism manager', database => 'b');
for my $command ('DROP DATABASE b', 'ALTER DATABASE b RENAME TO c', 'CREATE DATABASE c TEMPLATE b')
{
	my ($status, $out, $err) = $node->psql('postgres', $command, extra_params => [ '-U', 'nobody' ]);
	like($err, qr/must be owner|permission denied/, "another role's $command is refused");
}
is(worker_pid($node, 'prism manager', database => 'b'), $manager, 'and the workers have not been disturbed');

# Templates and databases without connections are left alone.
$node->safe_psql('postgres', 'ALTER DATABASE b IS_TEMPLATE true');
wait_for_value($node, workers_of('b'), 0);
pass('a database that becomes a template loses its workers');
$node->safe_psql('postgres', 'ALTER DATABASE b IS_TEMPLATE false');
wait_for_workers('b');
pass('and has them again when it is none any more');
$node->safe_psql('postgres', 'ALTER DATABASE b ALLOW_CONNECTIONS false');
wait_for_value($node, workers_of('b'), 0);
pass('a database that takes no connections has no workers');

# What an interrupted DROP DATABASE leaves behind takes no connections, and is dropped.
database_with_workers('e');
$node->safe_psql('postgres', q{UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'e'; CREATE DATABASE f});
wait_for_value($node, workers_of('e'), 0);
pass('a database that is marked invalid loses its workers');
works('DROP DATABASE e', 'DROP DATABASE of an invalid one');
$node->safe_psql('postgres', 'DROP DATABASE f');

# Oids of dropped databases are forgotten, by a launcher that was away as well.
kill_worker($node, 'prism launcher', signal => 'TERM');
$node->safe_psql('postgres', 'DROP DATABASE b');
$node->safe_psql('postgres', 'DROP DATABASE a');
wait_for_value($node, q{SELECT count(*) FROM prism.workers}, 3);
pass('what was dropped while the launcher was away is gone too');

is(log_count($node, 'PANIC|TRAP|terminated by signal'), 0, 'the server stayed up');
is(log_count($node, 'FATAL:'), 0, 'no worker ended badly, nor did the launcher that we ended');
done_testing();
