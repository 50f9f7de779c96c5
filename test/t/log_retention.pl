# Space comes back a segment at a time, never from under a sink or a reader.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PrismTest;

my $node = prism_node('main', conf => "prism.retention = -1\nprism.segment_messages = 1024\n");

sub publish
{
	my ($topic, $count) = @_;
	$node->safe_psql('postgres', "SELECT count(prism.publish('$topic', 'x')) FROM generate_series(1, $count)");
}

sub segments
{
	my ($topic) = @_;
	return "SELECT string_agg(segment_number::text, ' ' ORDER BY segment_number)"
	  . " FROM prism.segment s JOIN prism.topic t USING (topic_id) WHERE t.name = '$topic'";
}

# The maintainer goes through the topics in the order in which they were made: when "last" has lost a segment, it
# has looked at the others.
$node->safe_psql('postgres', "SELECT prism.apply('{name: $_, client_api: queue}')") for qw(first last);
$node->safe_psql('postgres', q{SELECT prism.apply('{name: held, client_api: queue, backend: memory}')});
$node->safe_psql('postgres', q{SELECT prism.pause('held', 'memory')});
$node->safe_psql('postgres', q{SELECT prism.apply('{name: witness, client_api: queue}')});
for my $topic (qw(first held last witness))
{
	publish($topic, 1000) for 1 .. 4;
	wait_for_value($node, segments($topic), '0 1 2 3 4');
}
is($node->safe_psql('postgres', segments('first')), '0 1 2 3 4', 'with retention -1 every segment stays');

$node->safe_psql('postgres', q{ALTER SYSTEM SET prism.retention = '90d'});
$node->reload;
wait_for_value($node, 'SHOW prism.retention', '90d');
ok(1, 'months can be kept');

# Somebody reads the oldest segment of one topic, a sink has not sent those of another.
my $oldest = $node->safe_psql('postgres',
	q{SELECT 'prism_log.topic_' || topic_id || '_0' FROM prism.topic WHERE name = 'first'});
my $reader = $node->background_psql('postgres');
$reader->query_safe('BEGIN');
$reader->query_safe("LOCK TABLE $oldest IN ACCESS SHARE MODE");

$node->safe_psql('postgres', 'ALTER SYSTEM SET prism.retention = 0');
$node->reload;
wait_for_value($node, 'SHOW prism.retention', '0');
my $begin = time;
wait_for_value($node, segments('last'), '3 4');
cmp_ok(time - $begin, '<', 30, 'another retention holds as soon as it is loaded');
publish('witness', 1000) for 1 .. 2;
wait_for_value($node, segments('witness'), '5 6');
is($node->safe_psql('postgres', segments('last')), '3 4', 'all but the current segment and the next one are dropped');
is($node->safe_psql('postgres', segments('first')), '0 1 2 3 4', 'what is being read stays, and nobody waits for it');
is($node->safe_psql('postgres', segments('held')), '0 1 2 3 4', 'what a sink has not sent stays');
$reader->query_safe('COMMIT');
$reader->quit;

$node->safe_psql('postgres', q{SELECT prism.resume('held', 'memory')});
wait_for_value($node, q{SELECT position FROM prism.sinks WHERE topic = 'held'}, '4000');
publish('witness', 1000) for 1 .. 2;
wait_for_value($node, segments('witness'), '7 8');
is($node->safe_psql('postgres', segments('first')), '3 4', 'it goes when the reader is gone');
is($node->safe_psql('postgres', segments('held')), '3 4', 'and when the sink has passed it');
is( $node->safe_psql('postgres', q{SELECT count(*), min("position"), max("position") FROM prism_internal.outbox_messages('first')}),
	'928|3072|3999', 'what is kept is read from its first message on');

# The offsets go on after a restart, and what was dropped stays dropped.
$node->restart;
publish('first', 1);
is($node->safe_psql('postgres', q{SELECT max("position") FROM prism_internal.outbox_messages('first')}), '65536',
	'a restart goes on at the mark');

done_testing();
