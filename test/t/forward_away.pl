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
my $file;
sub write_file
{
	open my $out, '+<', $file or die "$file: $!";
	print $out $_[0];
	close $out or die "$file: $!";
	return;
}

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

# A topic that cannot be read leaves its connection without anybody to serve: when that goes with the broker, nothing else does.
$node->safe_psql('postgres', q{SELECT prism.drop_namespace('once'); SELECT prism.apply('{name: unread, client_api: queue, backend: kafka, needs: {delivery_guarantee: exactly_once}}'); SELECT prism.pause('unread')});
$node->safe_psql('postgres', q{SELECT prism.publish('unread', 'x') FROM generate_series(1, 3)});
$file = $node->data_dir . '/' . $node->safe_psql('postgres', q{SELECT pg_relation_filepath(format('prism_log.topic_%s_0', topic_id)::regclass) FROM prism.topic WHERE name = 'unread'});
$node->stop;
my $page = slurp_file($file);
write_file('x' x 8192);
$node->start;
$node->safe_psql('postgres', q{SELECT prism.resume('unread')});
$node->wait_for_log(qr/sink "kafka" of topic "unread" cannot be served/);
write_file($page);    # for the view; the sink is left alone for a while
my $pid = worker_pid($node, 'prism forwarder');
$kafka->stop;
$kafka->start;
$node->safe_psql('postgres', q{SELECT prism.publish('atleast', 'x')});
wait_for_value($node, q{SELECT lag_messages = 0 AND state = 'running' FROM prism.sinks WHERE topic = 'atleast'});
is(worker_pid($node, 'prism forwarder'), $pid, 'that its connection goes ends no process');
is(log_count($node, 'terminated by signal'), 0, 'nor the server');

done_testing();
