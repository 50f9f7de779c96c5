# The progress log does not grow for ever, and what was dropped of it is not missed.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PrismTest;

my $node = prism_node('main', conf => "prism.segment_messages = 1024\n");
my $segments = q{SELECT string_agg(segment_number::text, ' ' ORDER BY segment_number)
	FROM prism.segment s JOIN prism.topic t USING (topic_id) WHERE t.name = '__prism_progress'};

$node->safe_psql('postgres', q{SELECT prism.apply('{name: work, client_api: queue}')});
$node->safe_psql('postgres', q{SELECT prism.apply('{name: sent, client_api: queue, backend: memory}')});
$node->safe_psql('postgres', q{SELECT count(prism.publish('sent', i::text)) FROM generate_series(1, 10) i});
wait_for_value($node, q{SELECT position FROM prism.sinks WHERE topic = 'sent'}, '10');
$node->safe_psql('postgres', q{SELECT prism.pause('sent', 'memory')});
$node->safe_psql('postgres', q{SELECT count(prism.publish('work', i::text)) FROM generate_series(1, 2100) i});

# A message in the middle is taken and never acknowledged; a group that does nothing has its place too.
$node->safe_psql('postgres', q{SELECT prism.create_group('work', 'idle')});
my $holder = $node->background_psql('postgres');
$holder->query_safe(q{SELECT m.position FROM prism.consume('work', 'busy', 5, lease => '1 hour') m});
$node->safe_psql('postgres', q{
	CREATE PROCEDURE work(rounds integer) LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN 1 .. rounds LOOP
			PERFORM prism.ack(m) FROM prism.consume('work', 'busy', 1) m;
			COMMIT;
		END LOOP;
	END $$});
$node->safe_psql('postgres', 'CALL work(1100)');

# The second segment of the progress log is reached: the first one can go.
wait_for_value($node, $segments, '1 2');
is($node->safe_psql('postgres', $segments), '1 2', 'the full segment is dropped');
my $before = $node->safe_psql('postgres', q{SELECT consumer_group, position, in_flight FROM prism.groups ORDER BY 1});
is($before, "busy|0|5\nidle|0|0", 'five messages are out, so the base has not moved');
$holder->quit;

for my $mode (qw(fast immediate))
{
	$node->stop($mode);
	$node->start;
	# NULL as long as the view would have to wait for who reads the log after the start
	wait_for_value($node, q{SELECT position FROM prism.sinks WHERE topic = 'sent' AND position IS NOT NULL}, '10');
	pass("after a stop ($mode) the sink is where it was");
	is( $node->safe_psql('postgres', q{BEGIN; SELECT string_agg(convert_from(payload, 'UTF8'), ' ' ORDER BY m.position)
		FROM prism.consume('work', 'busy', 7) m; ROLLBACK}),
		'1 2 3 4 5 1106 1107', "and the group has what it did not acknowledge, and nothing else");
}
is($node->safe_psql('postgres', q{SELECT count(*) FROM prism.consume('work', 'idle', 3000)}), '2100',
	'the idle group has all');
$node->safe_psql('postgres', q{SELECT prism.resume('sent', 'memory')});
$node->safe_psql('postgres', q{SELECT prism.publish('sent', 'more')});
wait_for_value($node, q{SELECT lag_messages FROM prism.sinks WHERE topic = 'sent'}, '0');

done_testing();
