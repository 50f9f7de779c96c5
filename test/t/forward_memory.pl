# A back end that refuses, forgets and doubts on request: what the forwarder makes of it, in every combination.
# It stops a sink that sends a message again in a transaction, or not in order.
use PrismTest;

my $node = prism_node('main');

sub apply { return apply_memory($node, @_); }

my %case = (
	busy     => '{"again": 3, "queue_messages": 100}',
	away     => '{"away": 3}',
	refusing => '{"retry_every": 1777}',
	doubting => '{"doubt_every": 3, "lose_every": 5, "fence_every": 7}',
	picky    => '{"reject_bytes": 1000}',
	all      => '{"again": 1, "queue_messages": 200, "away": 1, "retry_every": 3001, "doubt_every": 5, "lose_every": 7,
	              "fence_every": 11, "reject_bytes": 1000}');
my $messages = 5000;
my $bad = 4;

# One at a time: all sinks of the back end share its process, and its options.
for my $name (sort keys %case)
{
	for my $guarantee (qw(at_least_once exactly_once))
	{
		my $topic = "${name}_$guarantee";
		apply($topic, $guarantee, $case{$name});
		$node->safe_psql('postgres', <<"SQL");
SELECT count(prism.publish('$topic', repeat('x', CASE WHEN i % 1250 = 7 THEN 2000 ELSE 10 END), key => 'k' || i % 10))
FROM generate_series(1, $messages) i
SQL
		wait_for_value($node, "SELECT lag_messages = 0 AND state = 'running' FROM prism.sinks WHERE topic = '$topic'");
		my ($sent, $dead, $faults, $error) = split /\|/, $node->safe_psql('postgres',
			"SELECT messages_total, dead_letters_total, retries_total + doubts_total, error FROM prism.sinks WHERE topic = '$topic'");
		is($sent, $messages, "$topic: everything is out");
		is($dead, $case{$name} =~ /reject/ ? $bad : 0, "$topic: and no more dead letters than bad messages");
		cmp_ok($faults, '>', 0, "$topic: though it failed") if $name =~ /all|refusing/ || $topic eq 'doubting_exactly_once';
		unlike($error // '', qr/came after/, "$topic: nothing twice, nothing out of order");
		$node->safe_psql('postgres', "SELECT prism.drop_namespace('$topic', true)");
		wait_for_value($node, "SELECT count(*) = 0 FROM prism.workers WHERE kind = 'forwarder'");
	}
}

# What prism.skip() says counts until the other side has it: after a doubt that comes soon after, nothing is sent again.
apply('skipped', 'exactly_once', '{"doubt_every": 7}');
$node->safe_psql('postgres', q{SELECT prism.publish('skipped', '0')});
wait_for_value($node, q{SELECT lag_messages = 0 AND state = 'running' FROM prism.sinks WHERE topic = 'skipped'});
$node->safe_psql('postgres', q{SELECT prism.pause('skipped')});
wait_for_value($node, q{SELECT state FROM prism.sinks WHERE topic = 'skipped'}, 'paused');
$node->safe_psql('postgres', q{SELECT prism.skip('skipped', to_position => 1), prism.resume('skipped')});
$node->safe_psql('postgres', "SELECT prism.publish('skipped', '$_')") for 1 .. 16;
wait_for_value($node, q{SELECT lag_messages = 0 AND state = 'running' OR state = 'stopped' FROM prism.sinks WHERE topic = 'skipped'});
is($node->safe_psql('postgres', q{SELECT state, messages_total FROM prism.sinks WHERE topic = 'skipped'}), 'running|17',
	'a position that prism.skip() gave is the other side\'s as soon as that has it');
# A procedure waits for its message, in one statement of the client.
my ($result, undef, $error) = $node->psql('postgres', <<'SQL');
DO $$
DECLARE
	message uuid := prism.publish('skipped', 'awaited');
	begin_at timestamptz := clock_timestamp();
	out_at timestamptz;
BEGIN
	LOOP
		COMMIT;
		SELECT published_at INTO out_at FROM prism.outbox WHERE topic = 'skipped' AND id = message;
		EXIT WHEN out_at IS NOT NULL;
		IF clock_timestamp() > begin_at + '20 s' THEN RAISE 'not seen for 20 s'; END IF;
	END LOOP;
END $$
SQL
is($error, '', 'a procedure that commits sees when its message is out');
$node->safe_psql('postgres', q{SELECT prism.drop_namespace('skipped', true)});
wait_for_value($node, "SELECT count(*) = 0 FROM prism.workers WHERE kind = 'forwarder'");

# Resumed before its position could be recorded, it goes on with what it held.
my $progress = $node->safe_psql('postgres', q{SELECT 'prism_log.topic_' || topic_id || '_0' FROM prism.topic WHERE name = '__prism_progress'});
for my $guarantee (qw(at_least_once exactly_once))
{
	my $topic = "held_$guarantee";
	apply($topic, $guarantee, '{"reject_bytes": 100}');
	$node->safe_psql('postgres', "SELECT prism.publish('$topic', 'recorded')");
	wait_for_value($node, "SELECT lag_messages = 0 AND state = 'running' FROM prism.sinks WHERE topic = '$topic'");
	wait_for_value($node, "SELECT count(*) > 0 FROM $progress WHERE key = 's' || (SELECT sink_id FROM prism.sink JOIN prism.topic t USING (topic_id) WHERE t.name = '$topic')");
	my $locker = $node->background_psql('postgres');
	$locker->query_safe("BEGIN; LOCK TABLE $progress IN SHARE MODE");
	$node->safe_psql('postgres', "SELECT prism.publish('$topic', 'moves')");
	wait_for_value($node, "SELECT lag_messages = 0 FROM prism.sinks WHERE topic = '$topic'");
	$node->safe_psql('postgres', "SELECT count(prism.publish('$topic', CASE i WHEN 3 THEN repeat('x', 1000) ELSE 'a' END)) FROM generate_series(1, 8) i");
	wait_for_value($node, "SELECT rejected_total > 0 AND state IN ('waiting', 'backoff') FROM prism.sinks WHERE topic = '$topic'");
	for my $change (qw(pause resume))
	{
		my $changed = $node->safe_psql('postgres', "SELECT clock_timestamp() FROM prism.$change('$topic', 'memory')");
		# the forwarder tries again all the time, and looks at the catalogue in between
		wait_for_value($node, "SELECT every(state_change > timestamptz '$changed' + '1 s') FROM pg_stat_activity WHERE backend_type = 'prism forwarder'");
	}
	$locker->query_safe('ROLLBACK');
	$locker->quit;
	$node->safe_psql('postgres', "SELECT prism.publish('$topic', 'last')");
	wait_for_value($node, "SELECT lag_messages = 0 AND state = 'running' FROM prism.sinks WHERE topic = '$topic'");
	is($node->safe_psql('postgres', "SELECT messages_total, dead_letters_total FROM prism.sinks WHERE topic = '$topic'"), '11|1',
		"$topic: a pause before its position is recorded loses nothing");
	$node->safe_psql('postgres', "SELECT prism.drop_namespace('$topic', true)");
	wait_for_value($node, "SELECT count(*) = 0 FROM prism.workers WHERE kind = 'forwarder'");
}

# Two messages refused at about the same time, each for a reason of its own: before it is sent, and by a receipt.
for my $guarantee (qw(at_least_once exactly_once))
{
	my $topic = "reasons_$guarantee";
	apply($topic, $guarantee, '{"reject_bytes": 1000}');
	$node->safe_psql('postgres', "SELECT prism.pause('$topic')");
	wait_for_value($node, "SELECT state FROM prism.sinks WHERE topic = '$topic'", 'paused');
	$node->safe_psql('postgres', <<"SQL");
SELECT prism.publish('$topic', 'first');
SELECT prism.publish('$topic', 'headers', headers => '{"a": "b"}');
SELECT prism.publish('$topic', repeat('x', 2000));
SELECT prism.publish('$topic', 'last');
SQL
	my $segment = 'prism_log.topic_' . $node->safe_psql('postgres', "SELECT topic_id FROM prism.topic WHERE name = '$topic'") . '_0';
	$node->safe_psql('postgres', "UPDATE $segment SET headers = '[1]' WHERE payload = 'headers'");
	$node->safe_psql('postgres', "SELECT prism.resume('$topic')");
	wait_for_value($node, "SELECT lag_messages = 0 AND state = 'running' FROM prism.sinks WHERE topic = '$topic'");
	is($node->safe_psql('postgres', "SELECT string_agg(left(convert_from(payload, 'UTF8'), 7) || ': ' || (headers ->> 'dead_letter_reason'), E'\n' ORDER BY payload) FROM prism.read('$topic.dlq')"),
		"headers: its headers are no JSON object\nxxxxxxx: a message of this batch is too large", "$topic: each dead letter has the reason of its own message");
	$node->safe_psql('postgres', "SELECT prism.drop_namespace('$topic', true)");
	wait_for_value($node, "SELECT count(*) = 0 FROM prism.workers WHERE kind = 'forwarder'");
}

# A process that still serves a sink is not overtaken by the next one: here it is the one of the first sink of an endpoint,
# which the second one's takes the place of when the first is dropped.
apply($_, 'at_least_once', '{"again": 0}') for qw(one two);
my $two = $node->safe_psql('postgres', q{SELECT sink_id FROM prism.sink JOIN prism.topic t USING (topic_id) WHERE t.name = 'two'});
wait_for_value($node, "SELECT bool_and(state = 'running') FROM prism.sinks WHERE topic IN ('one', 'two')");
my $first = worker_pid($node, 'prism forwarder');
# where it sleeps, and holds nothing that others need
for (1 .. 1000)
{
	kill 'STOP', $first;
	last if $node->safe_psql('postgres', "SELECT state = 'idle' AND wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = $first") eq 't';
	kill 'CONT', $first;
}
$node->safe_psql('postgres', q{SELECT prism.drop_namespace('one', true)});
$node->safe_psql('postgres', q{SELECT count(prism.publish('two', i::text)) FROM generate_series(1, 10) i});
wait_for_value($node, qq{SELECT EXISTS (SELECT FROM prism.workers WHERE kind = 'forwarder' AND sink_id = $two AND pid <> $first)
	AND (EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'prism forwarder' AND pid <> $first AND query IN ('takes over a sink', 'looks at the catalogue')) OR EXISTS (SELECT FROM prism.sinks WHERE topic = 'two' AND lag_messages = 0))});
is($node->safe_psql('postgres', q{SELECT lag_messages FROM prism.sinks WHERE topic = 'two'}), 10, 'as long as the former process serves a sink the next one waits');
kill 'CONT', $first;
wait_for_value($node, q{SELECT lag_messages = 0 AND state = 'running' FROM prism.sinks WHERE topic = 'two'});
is(worker_pid($node, 'prism forwarder') != $first, 1, 'then it takes over');
$node->safe_psql('postgres', q{SELECT prism.drop_namespace('two', true)});
wait_for_value($node, "SELECT count(*) = 0 FROM prism.workers WHERE kind = 'forwarder'");

# Between prism.skip() and the end of its transaction nobody begins where it still was: neither a process that loads
# everything anew nor one that tries again.
my $topic = 'crossed';
apply($topic, 'at_least_once', '{"again": 0}');
wait_for_value($node, "SELECT state FROM prism.sinks WHERE topic = '$topic'", 'running');
$node->safe_psql('postgres', "SELECT prism.pause('$topic')");
wait_for_value($node, "SELECT state FROM prism.sinks WHERE topic = '$topic'", 'paused');
$node->safe_psql('postgres', "SELECT prism.publish('$topic', 'x')") for 1 .. 5;
my $segment = 'prism_log.topic_' . $node->safe_psql('postgres', "SELECT topic_id FROM prism.topic WHERE name = '$topic'") . '_0';
my $first_row = qq{"offset" = (SELECT min("offset") FROM $segment)};
$node->safe_psql('postgres', "UPDATE $segment SET messages = 0 WHERE $first_row; SELECT prism.resume('$topic')");
wait_for_value($node, "SELECT state FROM prism.sinks WHERE topic = '$topic'", 'stopped');
my $skipper = $node->background_psql('postgres');
$skipper->query_safe("BEGIN; SELECT prism.skip('$topic', to_position => 4)");
$node->safe_psql('postgres', "UPDATE $segment SET messages = 1 WHERE $first_row");
apply('beside', 'at_least_once', '{"again": 0}');
wait_for_value($node, "SELECT state = 'backoff' OR lag_messages = 0 FROM prism.sinks WHERE topic = '$topic'");
is($node->safe_psql('postgres', "SELECT state, error FROM prism.sinks WHERE topic = '$topic'"), 'backoff|prism.skip() of another session has not ended yet', 'a sink is not loaded under a skip');
$skipper->query_safe('COMMIT');
$skipper->quit;
wait_for_value($node, "SELECT state = 'running' AND lag_messages = 0 FROM prism.sinks WHERE topic = '$topic'");
is($node->safe_psql('postgres', "SELECT messages_total FROM prism.sinks WHERE topic = '$topic'"), 1, 'it goes on where the skip says');

# A new identity is for sinks that stand still: what goes out meanwhile would go out again under it.
my (undef, undef, $refusal) = $node->psql('postgres', 'SELECT prism.rebase()');
like($refusal, qr/ERROR:  sink "memory" is running\nHINT:  Run prism.pause/, 'prism.rebase() is refused while a sink runs');
$node->safe_psql('postgres', 'SELECT prism.pause(topic) FROM prism.sinks');
wait_for_value($node, q{SELECT bool_and(state = 'paused') FROM prism.sinks});
$node->safe_psql('postgres', 'SELECT prism.rebase()');

# What was skipped stays so, though a paused sink does not come to it before it is resumed: for the next skip, for a new
# identity, for what is told of the sink; but not what was rolled back.
$node->safe_psql('postgres', "SELECT prism.publish('$topic', 'x')") for 1 .. 8;
my $stand = "SELECT position, lag_messages FROM prism.sinks WHERE topic = '$topic'";
my ($from) = split /\|/, $node->safe_psql('postgres', $stand);
my $sent = $node->safe_psql('postgres', "SELECT messages_total FROM prism.sinks WHERE topic = '$topic'");
is($node->safe_psql('postgres', "BEGIN; SELECT prism.skip('$topic') - $from; SAVEPOINT s; SELECT prism.skip('$topic') - $from; ROLLBACK TO s; SELECT prism.skip('$topic') - $from; $stand; COMMIT"),
	join("\n", 1, 2, 2, $from + 2 . '|6'), 'two skips of a transaction pass two messages');
is($node->safe_psql('postgres', "BEGIN; SELECT prism.skip('$topic') - $from; ROLLBACK; $stand"), join("\n", 3, $from + 2 . '|6'), 'one that is rolled back none');
is($node->safe_psql('postgres', "SELECT prism.skip('$topic') - $from"), 3, 'nor is one lost that is paused');
is($node->safe_psql('postgres', $stand), $from + 3 . '|5', 'and prism.sinks tells of it');
$node->safe_psql('postgres', "BEGIN; SELECT prism.skip('$topic', to_position => $from + 5); SELECT prism.rebase(); COMMIT");
is($node->safe_psql('postgres', $stand), $from + 5 . '|3', 'a new identity in the same transaction keeps to it');
$node->append_conf('postgresql.conf', 'prism.enabled = off');
$node->reload;
wait_for_value($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'prism forwarder'}, 0);
$node->safe_psql('postgres', "SELECT prism.skip('$topic', to_position => $from + 6)");
is($node->safe_psql('postgres', $stand), $from + 6 . '|2', 'a skip is told of while nobody serves the sink');
$node->safe_psql('postgres', 'SELECT prism.rebase()');
$node->append_conf('postgresql.conf', 'prism.enabled = on');
$node->reload;
$node->safe_psql('postgres', "SELECT prism.resume('$topic')");
wait_for_value($node, "SELECT state = 'running' AND lag_messages = 0 FROM prism.sinks WHERE topic = '$topic'");
is($node->safe_psql('postgres', "SELECT messages_total - $sent FROM prism.sinks WHERE topic = '$topic'"), 2, 'and what was skipped is not sent');
$node->safe_psql('postgres', "SELECT prism.drop_namespace('$_', true)") for 'beside', $topic;
wait_for_value($node, "SELECT count(*) = 0 FROM prism.workers WHERE kind = 'forwarder'");

# Positions that cannot be written are no reason to send again what is out: it would go out again and again, as long as that lasts.
apply('unrecorded', 'at_least_once', '{"again": 0}');
wait_for_value($node, "SELECT state FROM prism.sinks WHERE topic = 'unrecorded'", 'running');
my $progress = $node->safe_psql('postgres', q{SELECT 'prism_log.topic_' || topic_id || '_0' FROM prism.topic WHERE name = '__prism_progress'});
my $server = worker_pid($node, 'prism forwarder');
$node->safe_psql('postgres', "ALTER TABLE $progress ALTER headers TYPE json");
for my $round (1, 2)
{
	$node->safe_psql('postgres', q{SELECT count(prism.publish('unrecorded', i::text)) FROM generate_series(1, 1000) i});
	wait_for_value($node, q{SELECT messages_total FROM prism.sinks WHERE topic = 'unrecorded'}, 1000 * $round);
	wait_for_value($node, q{SELECT state = 'backoff' AND retry_at IS NOT NULL AND error ~ '^positions cannot be recorded: table' FROM prism.sinks WHERE topic = 'unrecorded'});
	pass('a sink whose positions cannot be recorded says so and goes on');
}
is($node->safe_psql('postgres', q{SELECT messages_total FROM prism.sinks WHERE topic = 'unrecorded'}), 2000, 'and sends nothing twice');
$node->safe_psql('postgres', "ALTER TABLE $progress ALTER headers TYPE jsonb");
wait_for_value($node, q{SELECT state = 'running' AND error IS NULL FROM prism.sinks WHERE topic = 'unrecorded'});
is(worker_pid($node, 'prism forwarder'), $server, 'the process has served it all the time');
$node->restart;
wait_for_value($node, q{SELECT state = 'running' AND lag_messages = 0 FROM prism.sinks WHERE topic = 'unrecorded'});
is($node->safe_psql('postgres', q{SELECT messages_total FROM prism.sinks WHERE topic = 'unrecorded'}), 0, 'in the end its position is recorded: the next process sends nothing again');
$node->safe_psql('postgres', "SELECT prism.drop_namespace('unrecorded', true)");
wait_for_value($node, "SELECT count(*) = 0 FROM prism.workers WHERE kind = 'forwarder'");

# Wrong settings at the other side: the sink says so and waits, also after a resume.
apply('stopped', 'at_least_once', '{"stop": 1}');
wait_for_value($node, "SELECT state = 'stopped' AND retry_at IS NOT NULL FROM prism.sinks WHERE topic = 'stopped'");
is($node->safe_psql('postgres', "SELECT prism.skip('stopped') IS NOT NULL"), 't', 'a stopped sink can be skipped');
$node->safe_psql('postgres', "SELECT prism.resume('stopped')");
wait_for_value($node, "SELECT state = 'stopped' FROM prism.sinks WHERE topic = 'stopped'");
cmp_ok(log_count($node, 'sink "memory" of topic "stopped" is stopped'), '<', 10, 'the log is not flooded by it');

done_testing();
