# What has left the server is never lost by it: a message of an asynchronous commit goes out only once its WAL is on disk.
use PrismTest;

my $kafka = prism_kafka();
my $node = prism_node('main', conf => "synchronous_commit = off\nwal_writer_delay = 10s\nautovacuum = off\n");

use_kafka($node, $kafka->proxied_address);
$node->safe_psql('postgres', q{SELECT prism.apply('{name: flushed, client_api: pubsub, patterns: [outbox], backend: {type: kafka, topic: flushed}}')});
$node->safe_psql('postgres', q{SELECT prism.publish('flushed', 'first'::text)});
wait_for_value($node, q{SELECT lag_messages FROM prism.sinks WHERE topic = 'flushed'}, 0);

# Nothing but the forwarder may write WAL out from here on: not the WAL writer, and no receipt that moves a position.
kill STOP => worker_pid($node, 'walwriter') or die "could not stop the WAL writer\n";
$kafka->proxy->lose('Produce');

$node->safe_psql('postgres', q{SELECT prism.publish('flushed', 'second'::text)});
my @sent = $kafka->wait_for_records('flushed', 2, format => '%s');
is_deeply([ @sent[ 0, 1 ] ], [ 'first', 'second' ], 'the broker has the message');

$node->stop('immediate');
$kafka->proxy->pass;
$node->start;
is($node->safe_psql('postgres', q{SELECT string_agg(convert_from(payload, 'UTF8'), ' ' ORDER BY position) FROM prism.read('flushed')}),
	'first second', 'so has the server, which crashed right after');

done_testing();
