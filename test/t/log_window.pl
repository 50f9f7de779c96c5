# A commit that has inserted its rows and then waits, fails, or dies: nothing is read beyond it until it is settled.
use IO::Socket::UNIX;
use PrismTest;

my $node = prism_node('main', preload => commit_fault_library() . ', prism', conf => "prism.segment_messages = 1500\n");
$node->safe_psql('postgres', q{SELECT prism.apply('namespaces: [{name: window, client_api: queue}, {name: beside, client_api: queue}]')});

my $next = 0;		# where the reader goes on
my $key = 100;		# of the advisory lock

sub publish
{
	my ($topic, $payload) = @_;
	return $node->safe_psql('postgres', "SELECT prism.publish('$topic', '$payload') IS NOT NULL");
}

# What is new, as a reader with a position of its own sees it.
sub new_messages
{
	my ($level) = @_;
	$level //= 'READ COMMITTED';
	my $rows = $node->safe_psql('postgres', qq{BEGIN ISOLATION LEVEL $level;
		SELECT "position" || ' ' || convert_from(payload, 'UTF8') FROM prism.read('window', $next, 10000);});
	my @rows = map { [ split / /, $_, 2 ] } split /\n/, $rows;
	$next = $rows[-1][0] + 1 if @rows;
	return join ', ', map { $_->[1] } @rows;
}

# A session whose commit of one message stops "inside"; returns when it is there.
sub commit_that_waits
{
	my ($payload) = @_;
	my %waiter = (key => ++$key, name => "waiter $key");

	$waiter{holder} = $node->background_psql('postgres');
	$waiter{holder}->query_safe("SELECT pg_advisory_lock($key)");
	$waiter{session} = $node->background_psql('postgres', on_error_stop => 0);
	$waiter{session}->query_until(qr/started/, "\\echo started\nSET application_name = '$waiter{name}';\n"
		  . "BEGIN; SET LOCAL commit_fault.wait_key = $key; SELECT prism.publish('window', '$payload'); COMMIT;\n");
	$waiter{pid_query} = "SELECT pid FROM pg_stat_activity WHERE application_name = '$waiter{name}'";
	wait_for_value($node, "SELECT wait_event = 'advisory' FROM pg_stat_activity WHERE application_name = '$waiter{name}'");
	return \%waiter;
}

# A client that sends a query and reads no answer.
sub deaf_client
{
	my ($name, $query) = @_;
	my $socket = IO::Socket::UNIX->new($node->host . '/.s.PGSQL.' . $node->port) or die "connect: $!\n";
	my $startup = pack('N Z* Z* Z* Z* Z* Z* x', 196608, 'user', scalar getpwuid($<), 'database', 'postgres', 'application_name', $name);
	my $seen = '';

	print $socket pack('N', 4 + length $startup) . $startup;
	while ($seen !~ /Z\x00\x00\x00\x05I\z/) { sysread($socket, $seen, 8192, length $seen) or die "the server has closed the connection\n"; }
	print $socket 'Q' . pack('N Z*', 5 + length $query, $query);
	$socket->flush;
	return $socket;
}

sub let_go
{
	my ($waiter) = @_;
	$waiter->{holder}->query_safe("SELECT pg_advisory_unlock($waiter->{key})");
	wait_for_value($node, "SELECT state LIKE 'idle%' FROM pg_stat_activity WHERE application_name = '$waiter->{name}'");
	end_sessions($waiter);
	return;
}

sub end_sessions
{
	my ($waiter) = @_;
	for my $session (@$waiter{qw(session holder)})
	{
		eval { $session->quit };		# the server may have ended it
	}
	return;
}

publish('window', 'first');
is(new_messages(), 'first', 'the reader stands behind the first message');

# It commits in the end.
my $waiter = commit_that_waits('waiting');
publish('window', 'later');
is(new_messages($_), '', "a commit in flight hides what committed after it: $_") for 'READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE';
is($node->safe_psql('postgres', q{SELECT count(*) FROM prism_internal.outbox_messages('window')}), 1, 'from prism.outbox as well');
is($node->safe_psql('postgres', q{SELECT count(*) FROM prism.consume('window', 'window', 10)}), 1, 'and from groups');
publish('beside', 'another topic');
is($node->safe_psql('postgres', q{SELECT count(*) FROM prism.read('beside')}), 1, 'but not what is in other topics');
let_go($waiter);
is(new_messages(), 'waiting, later', 'settled, both are read in the order of their positions');
is($node->safe_psql('postgres', q{SELECT string_agg(convert_from(payload, 'UTF8'), ', ') FROM prism.consume('window', 'window', 10)}), 'waiting, later', 'by groups as well');

# It is cancelled, or its session is ended.
for my $end ('pg_cancel_backend', 'pg_terminate_backend')
{
	$waiter = commit_that_waits('never');
	publish('window', "behind $end");
	is(new_messages(), '', 'nothing is read beyond a commit in flight');
	$node->safe_psql('postgres', "SELECT $end(($waiter->{pid_query}))");
	$node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM prism.read('window', } . $next . ')') or die;
	is(new_messages(), "behind $end", "after $end it is gone, and what waited behind it is read");
	end_sessions($waiter);
}

# The client of one that fails does not read: what the server has to tell is more than goes to it. Readers do not wait for it.
my $unread = 'x' x 2_000_000;
my @logged = map { log_count($node, $_) } 'ERROR:  canceling statement', 'FATAL:  terminating connection';
for my $case ([ 'pg_cancel_backend', 'warning' ], [ 'pg_terminate_backend', 'log' ], [ 'pg_cancel_backend', 'log' ], [ 'pg_terminate_backend', 'panic' ])
{
	my ($end, $level) = @$case;
	my $holder = $node->background_psql('postgres');
	$holder->query_safe('SELECT pg_advisory_lock(' . ++$key . ')');
	my $client = deaf_client("deaf $key", qq{BEGIN; SET LOCAL log_min_messages = $level; SELECT prism.publish('window', 'never');
		SET LOCAL commit_fault.statement = \$\$SELECT pg_advisory_xact_lock($key) /* $unread */\$\$; COMMIT});
	wait_for_value($node, "SELECT wait_event FROM pg_stat_activity WHERE application_name = 'deaf $key'", 'advisory');
	publish('window', "behind $key");
	is(new_messages(), '', 'a commit in flight');
	$node->safe_psql('postgres', "SELECT $end(pid) FROM pg_stat_activity WHERE application_name = 'deaf $key'");
	wait_for_value($node, "SELECT wait_event FROM pg_stat_activity WHERE application_name = 'deaf $key'", 'ClientWrite');
	is(new_messages(), "behind $key", "after $end the session waits for a client that does not read, and nobody for the session (log_min_messages = $level)");
	close $client;
	$holder->quit;
}
is_deeply([ map { log_count($node, $_) } 'ERROR:  canceling statement', 'FATAL:  terminating connection' ], [ map { $_ + 1 } @logged ],
	'the log has what it is to have of them');

# Nor does a group for who has failed while it read ahead for all.
$node->safe_psql('postgres', q{SELECT prism.create_group('beside', 'group', 'latest')});
publish('beside', 'for a group');
my $segment = $node->safe_psql('postgres', q{SELECT format('prism_log.topic_%s_0', topic_id) FROM prism.topic WHERE name = 'beside'});
my $locker = $node->background_psql('postgres');
$locker->query_safe("BEGIN; LOCK TABLE $segment");
my $client = deaf_client('deaf consumer', "DO \$\$BEGIN PERFORM prism.consume('beside', 'group' /* $unread */); END\$\$");
wait_for_value($node, q{SELECT wait_event FROM pg_stat_activity WHERE application_name = 'deaf consumer'}, 'relation');
$node->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'deaf consumer'});
wait_for_value($node, q{SELECT wait_event FROM pg_stat_activity WHERE application_name = 'deaf consumer'}, 'ClientWrite');
$locker->quit;
is($node->safe_psql('postgres', q{SET statement_timeout = '20s'; SELECT count(*) FROM prism.consume('beside', 'group')}), '1', 'others of the group read');
close $client;

# Several in flight: the oldest counts, whichever ends first.
my $oldest = commit_that_waits('oldest');
my $middle = commit_that_waits('middle');
my $newest = commit_that_waits('newest');
let_go($middle);
is(new_messages(), '', 'three in flight, the middle one commits: still hidden');
$node->safe_psql('postgres', "SELECT pg_cancel_backend(($oldest->{pid_query}))");
$node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM prism.read('window', } . $next . ')') or die;
is(new_messages(), 'middle', 'the oldest is cancelled: the next one in flight is the limit');
let_go($newest);
is(new_messages(), 'newest', 'then the newest');
end_sessions($oldest);

# Behind the commit record: it waits for a synchronous standby, then gives up waiting.
$node->safe_psql('postgres', q{ALTER SYSTEM SET synchronous_standby_names = 'nobody'});
$node->reload;
wait_for_value($node, q{SELECT current_setting('synchronous_standby_names')}, 'nobody');
my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->query_until(qr/started/, "\\echo started\nSET application_name = 'synchronous';\nSELECT prism.publish('window', 'synchronous');\n");
wait_for_value($node, q{SELECT wait_event FROM pg_stat_activity WHERE application_name = 'synchronous'}, 'SyncRep');
$node->safe_psql('postgres', q{SET synchronous_commit = local; SELECT prism.publish('window', 'local')});
is(new_messages(), '', 'a commit that waits for its standby hides what is behind it');
is($node->safe_psql('postgres', q{SELECT committing_pid = (SELECT pid FROM pg_stat_activity WHERE application_name = 'synchronous') FROM prism.status WHERE namespace = 'window'}),
	't', 'prism.status tells whom the readers wait for');
$node->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'synchronous'});
wait_for_value($node, q{SELECT state FROM pg_stat_activity WHERE application_name = 'synchronous'}, 'idle');
is(new_messages(), 'synchronous, local', 'it is committed: both are read in order');
$session->query('SELECT 1');
like($session->{stderr}, qr/WARNING:  canceling wait for synchronous replication.*\nDETAIL:  The transaction has already committed locally/, 'its client has been told');
$session->quit;
$node->safe_psql('postgres', q{SET synchronous_commit = local;
	CREATE PROCEDURE publish_and_commit() LANGUAGE plpgsql AS $$BEGIN
		PERFORM prism.publish('window', 'told later'); PERFORM prism.apply('{name: told, client_api: queue, backend: memory}'); COMMIT; END$$;
	SELECT prism.wake_workers()});
$client = deaf_client('deaf', "DO \$\$BEGIN CALL publish_and_commit(/* $unread */); END\$\$");
wait_for_value($node, q{SELECT wait_event FROM pg_stat_activity WHERE application_name = 'deaf'}, 'SyncRep');
$node->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'deaf'});
wait_for_value($node, q{SELECT wait_event FROM pg_stat_activity WHERE application_name = 'deaf'}, 'ClientWrite');
is(new_messages(), 'told later', 'a client that does not read the warning holds up nobody');
my $served = q{SELECT count(*) FROM prism.sinks WHERE topic = 'told' AND state = 'running'};
for (my $end = time + 15; $node->safe_psql('postgres', $served) == 0 && time < $end;) { }
is($node->safe_psql('postgres', $served), 1, 'nor do workers, who look by themselves once a minute only, hear of the commit later');
close $client;
$node->safe_psql('postgres', q{SET synchronous_commit = local; SELECT prism.drop_namespace('told', true)});

# Notifiers commit one after the other: who waits for his turn holds up nobody else.
my $first = $node->background_psql('postgres', on_error_stop => 0);
$first->query_until(qr/started/, "\\echo started\nSET application_name = 'first notifier';\nBEGIN; SELECT prism.publish('beside', 'notifies'); NOTIFY turns; COMMIT;\n");
wait_for_value($node, q{SELECT wait_event FROM pg_stat_activity WHERE application_name = 'first notifier'}, 'SyncRep');
my $second = $node->background_psql('postgres', on_error_stop => 0);
$second->query_until(qr/started/, "\\echo started\nSET application_name = 'second notifier'; SET synchronous_commit = local;\nBEGIN; SELECT prism.publish('window', 'notifies'); SELECT pg_notify('turns', ''); COMMIT;\n");
wait_for_value($node, q{SELECT wait_event_type FROM pg_stat_activity WHERE application_name = 'second notifier'}, 'Lock');
$node->safe_psql('postgres', q{SET synchronous_commit = local; SELECT prism.publish('window', 'does not notify')});
is(new_messages(), 'does not notify', 'a commit that waits for the turn to notify is not in flight');
$node->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'first notifier'});
wait_for_value($node, q{SELECT string_agg(state, ',') FROM pg_stat_activity WHERE application_name LIKE '% notifier'}, 'idle,idle');
is(new_messages(), 'notifies', 'it has its turn, and is read');
$_->quit for $first, $second;

$node->safe_psql('postgres', 'SET synchronous_commit = local; ALTER SYSTEM RESET synchronous_standby_names');
$node->reload;

# Publishing when prism has already written.
my ($status, $out, $err) = $node->psql('postgres', q{\set VERBOSITY verbose
	BEGIN;
	SET LOCAL commit_fault.statement = $$SELECT prism.publish('window', 'too late')$$;
	SELECT prism.publish('window', 'in time');
	COMMIT;});
like($err, qr/55000: cannot publish while the transaction is committing/, 'who publishes in a later commit callback is refused');
like($err, qr/HINT:  Load prism before the library/, 'with a hint');
($status, $out, $err) = $node->psql('postgres', q{\set VERBOSITY verbose
	BEGIN;
	SET LOCAL commit_fault.statement = $$SELECT prism.publish('window', 'too late')$$;
	SELECT txid_current();
	COMMIT;});
like($err, qr/55000: cannot publish while the transaction is committing/, 'also in a transaction that had published nothing');
is(new_messages(), '', 'and the transaction with it');

# Refused behind the registration: positions are used up, nothing else.
($status, $out, $err) = $node->psql('postgres', q{
	BEGIN; SET LOCAL commit_fault.error_percent = 100; SELECT prism.publish('window', 'refused'); COMMIT;
	BEGIN; SET LOCAL commit_fault.error_percent = 100; SELECT count(prism.publish('window', repeat('x', 100))) FROM generate_series(1, 2000); COMMIT;},
	on_error_stop => 0);
is(() = $err =~ /commit_fault refuses/g, 2, 'two commits are refused after their rows were inserted');
publish('window', 'after the refused');
my $before = $next;
is(new_messages(), 'after the refused', 'nothing of them is read');
cmp_ok($next, '>', $before + 2001, 'their positions are not used again');

# Their positions hold nothing, so nobody is behind by them: few or many, in any order, when they were written down, and
# behind a restart.
sub lags_are_exact
{
	my ($when) = @_;
	is($node->safe_psql('postgres', q{
		SELECT string_agg(format('%s at %s: %s, not %s', g.consumer_group, g."position", g.lag_messages, x.left_over), '; ')
		FROM prism.groups g, LATERAL (SELECT count(*) AS left_over FROM prism.read('voids', g."position", 1000000)) x
		WHERE g.topic = 'voids' AND g.lag_messages <> x.left_over}), '', "lag is exact $when");
	return;
}
$node->safe_psql('postgres', q{SELECT prism.apply('namespaces: [{name: voids, needs: {retention: forever}}]');
	SELECT prism.create_group('voids', 'from the first', 'earliest')});
# one that publishes, of which so many of a hundred are refused
sub refused
{
	my ($messages, $percent) = @_;
	return "BEGIN; SET LOCAL commit_fault.error_percent = $percent; SELECT count(prism.publish('voids', 'refused')) FROM generate_series(1, $messages); COMMIT;\n";
}
publish('voids', 'first');
$node->psql('postgres', refused(100, 100));
lags_are_exact('behind a refused commit');
publish('voids', 'behind it');
lags_are_exact('behind a refused commit and a message');
append_to_file($node->basedir . '/voids.sql', "SET commit_fault.pause_us = 300;\n" . refused('1 + (random() * 20)::int', 40) x 150);
my @pids = map {
	my $pid = fork // die "fork: $!";
	if ($pid == 0)
	{
		open STDERR, '>', '/dev/null';
		exec 'psql', '-X', '-q', '-o', '/dev/null', '-d', $node->connstr('postgres'), '-f', $node->basedir . '/voids.sql';
	}
	$pid;
} 1 .. 3;
waitpid $_, 0 for @pids;
lags_are_exact('behind hundreds of refused commits');
$node->safe_psql('postgres', q{SELECT prism.create_group('voids', 'group ' || i, 'earliest'), prism.seek('voids', 'group ' || i,
	(SELECT min("position") + (max("position") - min("position")) * i / 12 FROM prism.read('voids', max_messages => 1000000))) FROM generate_series(1, 11) i});
lags_are_exact('from places among them');
# a maintainer begins with a look at each topic
sub have_written
{
	kill_worker($node, 'prism maintainer', signal => 'TERM');
	wait_for_value($node, q{SELECT sum(skipped) = (SELECT next_position FROM prism.topics WHERE topic = 'voids')
		- (SELECT count(*) FROM prism.read('voids', max_messages => 1000000)) FROM prism.jump JOIN prism.topic t USING (topic_id) WHERE t.name = 'voids'});
	return;
}
have_written();
have_written();		# that one has seen it, so they may go
lags_are_exact('when they are written down');
publish('voids', 'between');
$node->psql('postgres', join('', map { refused(1, 100) . refused(2, 0) } 1 .. 40), on_error_stop => 0);
lags_are_exact('when some are only written down, others not');
have_written();
$node->restart;
lags_are_exact('behind a restart');
publish('voids', 'behind the restart');
lags_are_exact('behind a restart and a message');

# Retention passes them: they are forgotten, though the topic makes no jump.
$node->safe_psql('postgres', q{SELECT prism.apply('namespaces: [{name: passed, needs: {retain: consumers, retention: 1s}}]');
	SELECT prism.create_group('passed', 'g', 'earliest')});
my $kept = q{FROM prism.jump j JOIN prism.topic t USING (topic_id) WHERE t.name = 'passed'};
sub refused_there { return $node->psql('postgres', q{BEGIN; SET LOCAL commit_fault.error_percent = 100; SELECT prism.publish('passed', 'refused'); COMMIT}); }
for (1 .. 3)
{
	refused_there();
	$node->safe_psql('postgres', q{SELECT count(prism.publish('passed', 'x')) FROM generate_series(1, 1499)});	# fills the segment
}
publish('passed', 'in the next one');
kill_worker($node, 'prism maintainer', signal => 'TERM');
wait_for_value($node, "SELECT count(*) $kept", 3);
$node->safe_psql('postgres', q{SELECT prism.seek('passed', 'g', 'latest')});
# before the segment that is open would be left because of its age, which makes a jump
wait_for_value($node, q{SELECT count(settled_at) = 3 AND clock_timestamp() > max(settled_at) + interval '1.1 s'
	FROM prism.segment JOIN prism.topic t USING (topic_id) WHERE t.name = 'passed'});
kill_worker($node, 'prism maintainer', signal => 'TERM');
wait_for_value($node, q{SELECT min(segment_number) FROM prism.segment JOIN prism.topic t USING (topic_id) WHERE t.name = 'passed'}, 3);
refused_there();
kill_worker($node, 'prism maintainer', signal => 'TERM');
wait_for_value($node, "SELECT count(*) $kept AND j.from_offset >= 3 * t.segment_messages", 1);
is($node->safe_psql('postgres', "SELECT count(*) $kept"), 1, 'of offsets that nobody keeps no void is kept');
publish('passed', 'behind them');
is($node->safe_psql('postgres', q{SELECT lag_messages = (SELECT count(*) FROM prism.read('passed', g."position")) FROM prism.groups g WHERE topic = 'passed'}), 't', 'lag stays exact');

# A backend is killed there: the server restarts.
$waiter = commit_that_waits('killed');
publish('window', 'committed before the crash');
my $reached = $node->safe_psql('postgres', q{SELECT last FROM prism.last_position() UNION ALL SELECT } . ($next + 1) . ' ORDER BY 1 DESC LIMIT 1');
kill_process($node->safe_psql('postgres', $waiter->{pid_query}));
wait_for_value($node, 'SELECT true');
end_sessions($waiter);
is(new_messages(), 'committed before the crash', 'kill -9 of a commit in flight: it is gone, what was committed behind it is there');
publish('window', 'after the crash');
is(new_messages(), 'after the crash', 'the topic goes on');
cmp_ok($next, '>', $reached + 1, 'at positions that were never used');
is(log_count($node, 'PANIC|TRAP'), 0, 'without a PANIC');

done_testing();
