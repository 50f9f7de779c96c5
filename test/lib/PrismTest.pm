
=head1 NAME

PrismTest - what prism's TAP tests (test/t/*.pl) stand on

=head1 SYNOPSIS

  use PrismTest;                                # strict, warnings, Test::More, PostgreSQL::Test::*

  my $node = prism_node('main', conf => "prism.max_workers = 4");    # started, extension created in "postgres"
  my $kafka = prism_kafka();                    # a real broker of this test's own, started
  use_kafka($node, $kafka->address);            # CREATE SERVER kafka ... for everybody

  $node->safe_psql('postgres', q{SELECT prism.apply('...')});
  wait_for_value($node, 'SELECT ...', 'running');            # polls a state; dies with what it saw last
  is_deeply([ $kafka->wait_for_records('orders', 2) ], [ 'k1 v1', 'k2 v2' ], 'both arrive in order');

  freeze_at_random(\@pids, 30, 5);              # SIGSTOP, for up to 5 s at a time, for 30 s
  my $pid = kill_worker($node, 'prism forwarder');           # kill -9, returns when the process is gone
  wait_for_value($node, 'SELECT true');                      # the server has restarted after the crash

  use_kafka($node, $kafka->proxied_address);    # the same broker behind a proxy
  $kafka->proxy->hold('EndTxn', count => 1, reset => 1);     # see test/lib/tcp_proxy.py for all faults
  $kafka->proxy->wait_until(held => 1);
  $kafka->proxy->release;

  done_testing();

=head1 DESCRIPTION

C<prism_node(name, ...)> is a L<PostgreSQL::Test::Cluster> with prism preloaded.  Parameters: C<conf> (more
settings), C<streaming> (for backups and standbys), C<install> (the path of a PostgreSQL of the test's own:
PrismTest::Install), C<start> and C<extension> (both 1).  Further databases get
prism by C<CREATE EXTENSION> as everywhere.  Crash restart is on and fsync off: a killed process loses nothing.

C<commit_fault_library()> builds test/module/commit_fault and returns the path for C<preload>, which is
"prism" unless C<prism_node> is told more: C<< prism_node('main', preload => commit_fault_library() . ', prism') >>.

C<payload_probe(node)> makes functions that write and read payloads beside the log: test/module/payload_probe.

C<shift_clock(seconds)> sets the clock of all servers that were started after its first call so far ahead of the
machine's (behind it, if negative): test/module/clock_shift.  C<pass_time(seconds)> does so with the clock that only
goes forward: so much time passes at once.

C<kafka_mock(topic, ...)> starts brokers with these topics, of one partition each, whose C<leader(topic, broker)> can be
taken away; their C<address> is for use_kafka.  They answer no question for a topic's settings: a start takes seconds.

C<apply_memory(node, namespace, guarantee, failures)> makes a namespace of the memory back end, which fails as
C<failures>, in JSON, tells it to: src/backend/memory.c.

C<prism_kafka(...)> takes C<name> and C<properties> (a hash of server properties); see PrismTest::Kafka for
C<stop>, C<start>, C<kill9>, C<freeze>, C<thaw>, C<set>, C<tool>, C<lines>, C<records>, C<wait_for_records>.

Whatever a test starts ends with it, also when it dies or its time is up.  A test never sleeps: it waits for a
state, at most PG_TEST_TIMEOUT_DEFAULT seconds (180).

=cut

package PrismTest;

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Copy qw(copy);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PrismTest::Kafka;
use PrismTest::KafkaMock;
use Test::More;
use Time::HiRes qw(sleep time);

use parent qw(Exporter);

our @EXPORT = (
	qw(prism_node commit_fault_library payload_probe shift_clock pass_time fill_disk prism_kafka kafka_mock use_kafka apply_memory wait_for_value maintain_until worker_pid kill_worker kill_process freeze_at_random log_count),
	@Test::More::EXPORT, @PostgreSQL::Test::Utils::EXPORT);

# die unwinds to the END blocks, which stop what was started.
$SIG{TERM} = $SIG{INT} = sub { die "ended by a signal: out of time?\n" };

sub import
{
	my ($class) = @_;
	strict->import;
	warnings->import;
	$class->export_to_level(1, $class);
	return;
}

sub prism_node
{
	my ($name, %param) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name, install_path => $param{install});

	$node->init(allows_streaming => $param{streaming} ? 'logical' : 0, extra => [ '--encoding=UTF8', '--locale=C' ]);
	$node->append_conf('postgresql.conf', common_settings() . "shared_preload_libraries = '" . ($param{preload} // 'prism') . "'\n" . ($param{conf} // ''));
	if ($param{start} // 1)
	{
		$node->start;
		$node->safe_psql('postgres', 'CREATE EXTENSION prism') if $param{extension} // 1;
	}
	return $node;
}

sub common_settings
{
	my $plugins = `postgres --describe-config` =~ /^output_plugin_libraries\t/m
	  ? "output_plugin_libraries = 'pgoutput, test_decoding, prism'\n"
	  : '';

	return <<"SETTINGS" . $plugins;
wal_level = logical
max_wal_senders = 10
max_worker_processes = 16
max_connections = 50
shared_buffers = 64MB
restart_after_crash = on
log_statement = ddl
SETTINGS
}

sub commit_fault_library
{
	return module_library('commit_fault');
}

# Functions in schema "probe" of the database that write and read payloads beside the log.
sub payload_probe
{
	my ($node, $database) = @_;
	my $script = slurp_file(dirname(__FILE__) . '/../module/payload_probe/probe.sql');
	my $library = module_library('payload_probe');

	$node->safe_psql($database // 'postgres', $script =~ s/:'probe'/'$library'/gr);
	return;
}

# In a folder of this test's own: the sources may be read only, and several tests may run.
sub module_library
{
	my ($module) = @_;
	return build_module($module, "$module.so") . "/$module";
}

sub build_module
{
	my ($module, $target) = @_;
	my $folder = PostgreSQL::Test::Utils::tempdir($module);
	my $source = dirname(__FILE__) . "/../module/$module";

	copy("$source/$_", $folder) || die "$source/$_: $!\n" for 'Makefile', "$module.c";
	system_or_bail('make', '-s', '-C', $folder, $target, "PG_CONFIG=" . ($ENV{PG_CONFIG} // 'pg_config'), 'SRC=' . abs_path(dirname(__FILE__) . '/../../src'));
	return $folder;
}

# What servers that are started after the first call are told to be left of their disks; no argument: what is.
sub fill_disk
{
	my ($left) = @_;

	if (!defined $ENV{FULL_DISK_FILE})
	{
		$ENV{LD_PRELOAD} = join ' ', grep { defined } $ENV{LD_PRELOAD}, module_library('full_disk') . '.so';
		$ENV{FULL_DISK_FILE} = PostgreSQL::Test::Utils::tempdir('disk') . '/left';
	}
	unlink $ENV{FULL_DISK_FILE};
	return if !defined $left;
	open my $file, '>', $ENV{FULL_DISK_FILE} or die "$ENV{FULL_DISK_FILE}: $!\n";
	print $file $left;
	close $file or die "$ENV{FULL_DISK_FILE}: $!\n";
	return;
}

# The file is written in place: the servers have it mapped.
sub shift_clock { my ($seconds) = @_; return set_clock(0, $seconds); }
sub pass_time   { my ($seconds) = @_; return set_clock(1, $seconds); }

sub set_clock
{
	my ($number, $seconds) = @_;

	if (!defined $ENV{CLOCK_SHIFT_FILE})
	{
		$ENV{LD_PRELOAD} = module_library('clock_shift') . '.so';
		$ENV{CLOCK_SHIFT_FILE} = PostgreSQL::Test::Utils::tempdir('clock') . '/shift';
	}
	open my $file, -e $ENV{CLOCK_SHIFT_FILE} ? '+<' : '>', $ENV{CLOCK_SHIFT_FILE} or die "$ENV{CLOCK_SHIFT_FILE}: $!\n";
	binmode $file;
	seek $file, 8 * $number, 0;
	print $file pack('q', $seconds);
	close $file or die "$ENV{CLOCK_SHIFT_FILE}: $!\n";
	return;
}

sub prism_kafka
{
	my (%param) = @_;
	return PrismTest::Kafka->new(%param)->start;
}

sub kafka_mock
{
	my (@topics) = @_;
	return PrismTest::KafkaMock->new(build_module('kafka_mock', 'kafka_mock') . '/kafka_mock', @topics);
}

# A server that crashed and recovered answers as if nothing had been: only its log knows. Tests kill by signal 9.
END
{
	my @crashes = map {
		my $log = $_;
		map { "$log: $_" } grep { /PANIC:|TRAP:|was terminated by signal (?!9\b)/ } split /\n/, slurp_file($log)
	} glob "${PostgreSQL::Test::Utils::log_path}/*.log";

	if (@crashes)
	{
		diag($_) for 'a process of a server crashed', @crashes;
		$? = 1 if $? == 0;
	}
}

# The foreign server "kafka", made or pointed elsewhere.
sub use_kafka
{
	my ($node, $address, %param) = @_;
	my $database = $param{database} // 'postgres';
	my $known = $node->safe_psql($database, q{SELECT count(*) FROM pg_foreign_server WHERE srvname = 'kafka'});

	$node->safe_psql($database, $known
		? "ALTER SERVER kafka OPTIONS (SET bootstrap_servers '$address')"
		: "CREATE SERVER kafka FOREIGN DATA WRAPPER prism_kafka OPTIONS (bootstrap_servers '$address')");
	return;
}

# apply_memory(node, namespace, guarantee, failures): a namespace of the memory back end, which fails as it is told (JSON).
sub apply_memory
{
	my ($node, $name, $guarantee, $failures) = @_;
	$node->safe_psql('postgres', <<"SQL");
BEGIN;
SELECT namespace, action, detail FROM prism.apply(\$\$
name: $name
client_api: queue
patterns: [outbox]
needs: { delivery_guarantee: $guarantee }
backend: memory
\$\$);
UPDATE prism.sink SET config = config || '{"batch_size": 500, "failures": $failures}'
WHERE topic_id = (SELECT topic_id FROM prism.topic WHERE name = '$name');
COMMIT;
SQL
	return;
}

# wait_for_value(node, query [, expected [, database]]): dies with the value and the log's end when it never comes.
# The query is an argument, not input: psql may be gone before it has read any, if the server just went down.
sub wait_for_value
{
	my ($node, $query, $expected, $database) = @_;
	my @command = ('psql', '-XAtq', '-d', $node->connstr($database // 'postgres'), '-c', $query);
	my $end = time + $PostgreSQL::Test::Utils::timeout_default;
	my ($value, $error);

	do
	{
		my $answered = IPC::Run::run \@command, '<', \undef, '>', \$value, '2>', \$error;
		chomp($value, $error);
		return if $answered && $value eq ($expected // 't');
		sleep 0.1;
	} while (time < $end);
	my @log = split /\n/, slurp_file($node->logfile);
	splice @log, 0, -40 if @log > 40;
	die join "\n", "waited in vain for: $query", "the last answer was: $value $error", 'the log ends:', @log, '';
}

# maintain_until(node, query, value): has the maintainer go round until the query says so.  It looks at retention, and
# what goes with it, at once when its setting has changed; what somebody has locked just then it leaves to the next time.
my $retention_days = 100;
sub maintain_until
{
	my ($node, $query, $value) = @_;
	for (1 .. 20)
	{
		my $woken = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
		$node->safe_psql('postgres', 'ALTER SYSTEM SET prism.retention = \'' . ++$retention_days . 'd\'');
		$node->reload;
		wait_for_value($node, "SELECT state = 'idle' AND wait_event_type = 'Extension' AND state_change > '$woken' FROM pg_stat_activity WHERE backend_type LIKE 'prism maintainer%'", 't');
		return if $node->safe_psql('postgres', $query) eq $value;
	}
	return wait_for_value($node, $query, $value);
}

# Stop processes (SIGSTOP) at random, each for up to 'longest' seconds at a time, until 'seconds' are over; returns how
# often. No SQL meanwhile: who is stopped may hold a lock that the server needs.
sub freeze_at_random
{
	my ($pids, $seconds, $longest) = @_;
	my $end = time + $seconds;
	my (%until, $stops);
	while (time < $end)
	{
		for my $pid (@$pids)
		{
			if (!defined $until{$pid})
			{
				next unless rand() < 0.03 && kill 'STOP', $pid;
				$until{$pid} = time + rand $longest;
				$stops++;
			}
			elsif (time >= $until{$pid})
			{
				kill 'CONT', $pid;
				delete $until{$pid};
			}
		}
		sleep 0.02;
	}
	kill 'CONT', keys %until;
	return $stops;
}

# The pid of the first process with that backend_type (a prefix), waited for.
sub worker_pid
{
	my ($node, $backend_type, %param) = @_;
	my $database = $param{database} ? " AND datname = '$param{database}'" : '';
	my $query = "FROM pg_stat_activity WHERE backend_type LIKE '$backend_type%'$database";

	wait_for_value($node, "SELECT count(*) > 0 $query");
	return $node->safe_psql('postgres', "SELECT min(pid) $query");
}

# kill_process(pid [, signal]): returns when the process is gone.
sub kill_process
{
	my ($pid, $signal) = @_;
	kill $signal // 'KILL', $pid or die "there is no process $pid\n";
	for (1 .. 20 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return $pid unless kill 0, $pid;
		sleep 0.05;
	}
	die "process $pid is still there\n";
}

sub kill_worker
{
	my ($node, $backend_type, %param) = @_;
	return kill_process(worker_pid($node, $backend_type, %param), $param{signal});
}

# How many lines of the server's log match.
sub log_count
{
	my ($node, $pattern) = @_;
	return scalar grep { /$pattern/ } split /\n/, slurp_file($node->logfile);
}

1;
