# A back end that refuses, forgets and doubts on request: what the forwarder makes of it, in every combination.
# It stops a sink that sends a message again in a transaction, or not in order.
use PrismTest;

my $node = prism_node('main');

sub apply
{
	my ($name, $guarantee, $failures) = @_;
	$node->safe_psql('postgres', <<"SQL");
BEGIN;
SELECT * FROM prism.apply(\$\$
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

# Wrong settings at the other side: the sink says so and waits, also after a resume.
apply('stopped', 'at_least_once', '{"stop": 1}');
wait_for_value($node, "SELECT state = 'stopped' AND retry_at IS NOT NULL FROM prism.sinks WHERE topic = 'stopped'");
is($node->safe_psql('postgres', "SELECT prism.skip('stopped') IS NOT NULL"), 't', 'a stopped sink can be skipped');
$node->safe_psql('postgres', "SELECT prism.resume('stopped')");
wait_for_value($node, "SELECT state = 'stopped' FROM prism.sinks WHERE topic = 'stopped'");
cmp_ok(log_count($node, 'sink "memory" of topic "stopped" is stopped'), '<', 10, 'the log is not flooded by it');

done_testing();
