# The broker is away, from the start and again in the middle of a backlog: the forwarder's memory stays bounded.
use PrismTest;

my $node = prism_node('main');
my $kafka = PrismTest::Kafka->new;
my $each = 400_000;		# of 200 bytes, in two topics: several times the bound
my $bound_mb = 96;
my @topics = qw(atleast once);

# What the process has of its own, beside shared buffers, in MB.
sub memory_mb
{
	my ($kb) = slurp_file('/proc/' . worker_pid($node, 'prism forwarder') . '/status') =~ /^RssAnon:\s+(\d+) kB/m or die;
	return $kb / 1024;
}

sub publish
{
	my ($topic) = @_;
	$node->safe_psql('postgres',
		"SELECT count(prism.publish('$topic', repeat('x', 200), key => 'k' || i % 100)) FROM generate_series(1, $each) i");
	return;
}

use_kafka($node, $kafka->address);
for my $topic (@topics)
{
	my $guarantee = $topic eq 'once' ? 'exactly_once' : 'at_least_once';
	$node->safe_psql('postgres', "SELECT prism.apply('{name: $topic, client_api: queue, backend: kafka, needs: {delivery_guarantee: $guarantee}}')");
	publish($topic);
}
wait_for_value($node, q{SELECT bool_and(state IN ('waiting', 'backoff') AND error IS NOT NULL) FROM prism.sinks});
is($node->safe_psql('postgres', 'SELECT sum(lag_messages) FROM prism.sinks'), 2 * $each, 'away from the start: publishing goes on');
cmp_ok(memory_mb(), '<', $bound_mb, 'and the forwarder does not take the backlog into memory');

# It comes, takes a part, and freezes: what is under way has nowhere to go.
$kafka->start;
wait_for_value($node, 'SELECT min(messages_total) > 0 FROM prism.sinks');
$kafka->freeze;
publish($_) for @topics;
wait_for_value($node, q{SELECT bool_or(state IN ('waiting', 'backoff')) FROM prism.sinks});
cmp_ok(memory_mb(), '<', $bound_mb, 'away in the middle: likewise');
$kafka->thaw;

wait_for_value($node, q{SELECT bool_and(lag_messages = 0 AND state = 'running') FROM prism.sinks});
cmp_ok(memory_mb(), '<', $bound_mb, 'and when all is out');
is(scalar($kafka->lines('once')), 2 * $each, 'exactly_once: all arrived, once');
cmp_ok(scalar($kafka->lines('atleast')), '>=', 2 * $each, 'the default: all arrived');

done_testing();
