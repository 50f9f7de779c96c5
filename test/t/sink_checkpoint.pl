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

# A forwarder reads the progress log once, however many sinks it has.  What it has read is told when it ends.
my $sinks = 30;
my $served = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'prism forwarder'};
my $read = q{SELECT sum(pg_stat_get_blocks_fetched(oid)) FROM pg_class
	WHERE relnamespace = 'prism_log'::regnamespace AND relkind IN ('r', 'i') AND relname ~ ('^topic_' || (SELECT topic_id FROM prism.topic WHERE name = '__prism_progress') || '_')};
$node->safe_psql('postgres', "SELECT prism.apply('namespaces: [" . join(', ', map { "{name: many$_, client_api: queue, backend: memory}" } 1 .. $sinks) . "]')");
$node->safe_psql('postgres', q{DO $$ BEGIN FOR i IN 1 .. 8000 LOOP PERFORM prism.skip('sent', to_position => i % 10); COMMIT; END LOOP; END $$});
my $pages = $node->safe_psql('postgres', "SELECT pg_relation_size('$log') / current_setting('block_size')::int");
my $before = $node->safe_psql('postgres', $read);
$node->append_conf('postgresql.conf', "prism.enabled = on\nautovacuum = off");
$node->restart;
wait_for_value($node, "SELECT count(*) = $sinks FROM prism.sinks WHERE topic ~ 'many' AND state = 'running'");
$node->append_conf('postgresql.conf', 'prism.enabled = off');
$node->reload;
wait_for_value($node, $served, '0');
my $after = $node->safe_psql('postgres', $read);
note "$sinks sinks, $pages pages of records, ", $after - $before, ' read';
cmp_ok($after - $before, '>=', $pages, 'a forwarder reads the progress log');
cmp_ok($after - $before, '<', 15 * $pages, 'it does so once for all its sinks');

done_testing();
