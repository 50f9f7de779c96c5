# What is known of a message that was handed out before survives the server: attempts, delays, the first failure.
use PrismTest;

my $node = prism_node('main', conf => "prism.segment_messages = 1024\n");

sub sql { return $node->safe_psql('postgres', $_[0]); }

# "position:attempt" of what a group gets now
sub take
{
	my ($topic, $max) = @_;
	return sql(qq{SELECT coalesce(string_agg("position" || ':' || attempt, ' '), 'nothing') FROM prism.consume('$topic', 'g', $max)});
}

sub apply_and_publish
{
	my ($topic, $count, $options) = @_;
	sql("SELECT prism.apply('name: $topic'); SELECT prism.create_group('$topic', 'g', $options)");
	sql("SELECT count(prism.publish('$topic', n::text, 'k' || n % 2)) FROM generate_series(0, $count - 1) AS n");
	return;
}

sub letters { return sql("SELECT coalesce(string_agg((headers ->> 'dead_letter_position') || ':' || (headers ->> 'dead_letter_attempts'), ' '), 'none') FROM prism.read('$_[0].dlq')"); }

# The end of a backend, and with it of the server's memory.
sub crash
{
	my $session = $node->background_psql('postgres');
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	kill_process($pid);
	wait_for_value($node, 'SELECT true');
	$session->{run}->finish;
	return;
}

# Given up, delayed, handed out again.
apply_and_publish('known', 6, "lease => '1 microsecond'");
is(take('known', 2), '0:1 1:1', 'first attempts');
sql("SELECT prism.nack('known', 'g', ARRAY[m.position], ARRAY[m.lease_id], '1 h') FROM prism.consume('known', 'g', 1) AS m");
is(take('known', 1), '1:2', 'a second one');
for my $end ('fast', 'immediate', 'crash')
{
	if ($end eq 'crash') { crash(); }
	else                 { $node->stop($end); $node->start; }
	is(sql(q{SELECT delayed FROM prism.groups WHERE topic = 'known'}), 1, "$end: a delay goes on");
}
is(take('known', 1), '1:3', 'the attempt after the second is the third');
is(sql(q{SELECT string_agg("position"::text, ' ') FROM prism.consume('known', 'g')}), '1 3 5', 'a key waits for its delayed message');

# Old segments of the progress log go; checkpoints carry on what they said, of groups in use and of others.
apply_and_publish('busy', 1500, "ordering => 'none'");
apply_and_publish('sleeper', 2, "ordering => 'none'");
for my $topic ('busy', 'sleeper')
{
	sql("SELECT prism.nack(m, '1 h') FROM prism.consume('$topic', 'g', 1) AS m");
	sql("SELECT prism.nack(m) FROM prism.consume('$topic', 'g', 1) AS m") for 1 .. 2;
}
$node->restart;
is(take('busy', 1), '1:3', 'handed out for the third time');
my $progress = q{SELECT %s FROM prism.segment JOIN prism.topic USING (topic_id) WHERE name = '__prism_progress'};
# one segment is always made ahead
my $current = sql(sprintf $progress, 'max(segment_number) - 1');
sql(q{DO $$ BEGIN
	FOR i IN 1 .. 1400 LOOP
		PERFORM prism.ack(m) FROM prism.consume('busy', 'g', 1) AS m;
		COMMIT;
	END LOOP; END $$});
wait_for_value($node, sprintf($progress, "min(segment_number) > $current"), 't');
$node->stop('immediate');
$node->start;
for my $topic ('busy', 'sleeper')
{
	is(sql("SELECT delayed FROM prism.groups WHERE topic = '$topic'"), 1, "$topic: the delay is known");
	is(take($topic, 1), $topic eq 'busy' ? '1:4' : '1:3', "$topic: and so are the attempts");
}

# A message that ends the server each time is not handed out for ever: soon after a group's first use the first
# attempt counts as well.
apply_and_publish('deadly', 1, 'max_attempts => 3');
my $crashes = 0;
while (take('deadly', 1) ne 'nothing' && $crashes < 10)
{
	crash();
	$crashes++;
}
is($crashes, 3, 'after its last attempt it is handed out no more');
is(letters('deadly'), '0:3', 'it is a dead letter');

# In its last attempt when the server ended: when it failed first is known.
apply_and_publish('last', 1, 'max_attempts => 2');
sql("SELECT prism.nack(m) FROM prism.consume('last', 'g', 1) AS m");
my $failed = sql('SELECT clock_timestamp()');
$node->stop('immediate');
$node->start;
is(take('last', 1), '0:2', 'the last attempt');
$node->stop('immediate');
$node->start;
is(take('last', 1), 'nothing', 'is not repeated');
is(letters('last'), '0:2', 'but makes a dead letter');
is(sql("SELECT (headers ->> 'dead_letter_first_failure')::timestamptz <= '$failed' AND (headers ->> 'dead_letter_first_failure')::timestamptz > '$failed'::timestamptz - interval '1 min' FROM prism.read('last.dlq')"), 't',
	'that tells of its first failure');
done_testing();
