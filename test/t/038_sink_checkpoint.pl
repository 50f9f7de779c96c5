# Of a sink's checkpoints the last one counts, once its own records have gone with their segment of the progress log:
# a position that came between a checkpoint's reading and its writing is in the next one only.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PrismTest;

my $node = prism_node('main');
$node->safe_psql('postgres', q{SELECT prism.apply('{name: sent, client_api: queue, backend: memory}')});
$node->safe_psql('postgres', q{SELECT count(prism.publish('sent', i::text)) FROM generate_series(1, 10) i});
wait_for_value($node, q{SELECT position FROM prism.sinks WHERE topic = 'sent'}, '10');
$node->safe_psql('postgres', q{SELECT prism.pause('sent')});
wait_for_value($node, q{SELECT state FROM prism.sinks WHERE topic = 'sent'}, 'paused');
$node->safe_psql('postgres', "SELECT prism.skip('sent', to_position => $_)") for 3, 10;

# As if the log began with two checkpoints: the first bytes of a record are version and kind, 16 bits each, on every machine in the same order.
my $log = $node->safe_psql('postgres',
	q{SELECT 'prism_log.topic_' || topic_id || '_0' FROM prism.topic WHERE name = '__prism_progress'});
my $key = $node->safe_psql('postgres', q{SELECT 's' || sink_id FROM prism.sink});
is( $node->safe_psql('postgres', qq{
	DELETE FROM $log WHERE key = '$key' AND "offset" NOT IN
		(SELECT "offset" FROM $log WHERE key = '$key' ORDER BY "offset" DESC LIMIT 2);
	UPDATE $log SET payload = overlay(payload PLACING decode('0004', 'hex') FROM 3) WHERE key = '$key';
	SELECT count(*) FROM $log WHERE key = '$key'}), '2', 'there are two checkpoints and nothing else');

$node->append_conf('postgresql.conf', 'prism.enabled = off');
$node->restart;
is($node->safe_psql('postgres', q{SELECT position FROM prism.sinks WHERE topic = 'sent'}), '10', 'the last one counts');

done_testing();
