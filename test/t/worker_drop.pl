# Somebody drops a namespace and leaves the transaction open: what serves or shows all topics does not wait for him.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PrismTest;

my $node = prism_node('main', conf => "prism.segment_messages = 1024\n");
$node->safe_psql('postgres', "SELECT prism.apply('{name: $_, client_api: queue, backend: memory}')")
  for qw(dropped served);
$node->safe_psql('postgres', "SELECT prism.publish('$_', 'first')") for qw(dropped served);
wait_for_value($node, "SELECT string_agg(position::text, ' ') FROM prism.sinks", '1 1');
$node->safe_psql('postgres', q{SELECT prism.create_group('served', 'g')});

my $dropper = $node->background_psql('postgres');
$dropper->query_safe(q{BEGIN; SELECT prism.drop_namespace('dropped', force => true)});

$node->safe_psql('postgres', q{SELECT prism.publish('served', 'x') FROM generate_series(1, 1000)}) for 1 .. 4;
is($node->safe_psql('postgres', q{SELECT count(*) FROM prism.read('served', 0, 10000)}), '4001',
	'the other topic gets its segments');
wait_for_value($node, q{SELECT position FROM prism.sinks WHERE topic = 'served'}, '4001');
pass('its messages are forwarded');

# A name that the view shows of the other namespace, within seconds.
for my $view (qw(topics groups sinks outbox))
{
	is($node->safe_psql('postgres', "SET statement_timeout = '20s'; SELECT DISTINCT topic FROM prism.$view"),
		'served', "prism.$view shows the rest");
}
is( $node->safe_psql('postgres', q{SET statement_timeout = '20s'; SELECT state FROM prism.status WHERE namespace = 'served'}),
	'ok', 'prism.status too');
is($node->safe_psql('postgres', q{SET statement_timeout = '20s'; SELECT count(*) > 0 FROM prism.metrics}), 't', 'and prism.metrics');

$dropper->query_safe('ROLLBACK');
is($node->safe_psql('postgres', q{SELECT count(*) FROM prism.read('dropped')}), '1', 'after a rollback nothing is lost');
$node->safe_psql('postgres', q{SELECT prism.publish('dropped', 'second')});
wait_for_value($node, q{SELECT position FROM prism.sinks WHERE topic = 'dropped'}, '2');

# Who looks at everything in a long transaction holds up nobody.
my $watcher = $node->background_psql('postgres');
$watcher->query_safe('BEGIN');
$watcher->query_safe("SELECT count(*) FROM prism.$_") for qw(topics groups sinks status metrics);
is( $node->safe_psql('postgres',
		q{SET lock_timeout = '20s'; SELECT prism.drop_namespace('dropped', force => true); SELECT count(*) FROM prism.topics}),
	"\n1", 'a namespace is dropped while somebody who has looked at it is still in his transaction');

$watcher->query_safe('COMMIT');

# DROP EXTENSION waits for those who publish, who must not meet a deadlock with it.
$watcher->query_safe(q{BEGIN; SELECT prism.publish('served', 'held')});
$dropper->query_until(qr/dropping/, "\\echo dropping\nDROP EXTENSION prism;\n");
wait_for_value($node, "SELECT wait_event_type FROM pg_stat_activity WHERE query = 'DROP EXTENSION prism;'", 'Lock');
is($watcher->query_safe(q{SELECT count(prism.ack(m)) FROM prism.consume('served', 'new', 5) m}), '5',
	'who has published goes on: the catalogue is not locked');
$watcher->query_safe('COMMIT');
$dropper->query('SELECT 1');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_extension WHERE extname = 'prism'}), '0',
	'then the extension is dropped');

# Its numbers begin anew with a new one: pending messages are never another topic's.
$node->safe_psql('postgres', q{CREATE EXTENSION prism; SELECT prism.apply('{name: old, client_api: queue}')});
my ($code, $output, $error) = $node->psql('postgres', q{
	BEGIN;
	SELECT prism.publish('old', 'x');
	DROP EXTENSION prism;
	CREATE EXTENSION prism;
	SELECT prism.apply('{name: new, client_api: queue}');
	COMMIT;});
like($error, qr/cannot commit messages published before extension "prism" was made anew/, 'a commit refuses what was published before');

# What a transaction has published, acknowledged and moved goes with the extension that it drops; a savepoint brings both back.
my $work = q{BEGIN; SELECT prism.publish('gone', 'x'); SELECT prism.publish('gone', 'later', deliver_at => now() + '1 day');
	SELECT count(prism.ack(m)) FROM prism.consume('gone', 'g', 1) m; SELECT prism.consume('gone', 'h', 1); SELECT prism.seek('gone', 'i', 'latest');};
$node->safe_psql('postgres', q{CREATE EXTENSION IF NOT EXISTS prism; SELECT prism.apply('{name: gone, client_api: queue}');
	SELECT prism.publish('gone', 'kept'); SELECT prism.create_group('gone', 'i')});
$node->safe_psql('postgres', "$work SAVEPOINT s; DROP EXTENSION prism; ROLLBACK TO s; COMMIT");
is($node->safe_psql('postgres', q{SELECT count(*) FROM prism.read('gone')}), '2', 'a drop that was rolled back takes nothing along');
$node->safe_psql('postgres', "$work DROP EXTENSION prism; COMMIT");
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_extension WHERE extname = 'prism'}), '0', 'a transaction that has published and drops the extension commits');

# One transaction that drops the extension and makes it anew: a group of the same number knows nothing of the former one.
my $anew = q{DROP EXTENSION prism CASCADE; CREATE EXTENSION prism;};
my $setup = q{SELECT prism.apply('{name: again, client_api: queue}'); SELECT prism.create_group('again', 'i');};
my $publish = q{SELECT count(prism.publish('again', i::text)) FROM generate_series(1, 100) i};
my $take = q{SELECT count(prism.ack(m)) FROM prism.consume('again', 'i', 1000) m};
$node->safe_psql('postgres', "CREATE EXTENSION prism; $setup");
$node->safe_psql('postgres', $publish);
is($node->safe_psql('postgres', $take), '100', 'a group acknowledges its messages');
($code, $output, $error) = $node->psql('postgres', "BEGIN; $publish; $take; $anew COMMIT");
like($error, qr/has used consumer groups of the former one/, 'what was acknowledged before cannot go into the new one');
$node->safe_psql('postgres', "BEGIN; SAVEPOINT s; $anew ROLLBACK TO s; COMMIT");
is($node->safe_psql('postgres', $take), '0', 'a savepoint brings the former one back');
$node->safe_psql('postgres', "BEGIN; $anew $setup $take; ROLLBACK");
is($node->safe_psql('postgres', $take), '0', 'and so does a rollback');
$node->safe_psql('postgres', "BEGIN; $anew COMMIT");
$node->safe_psql('postgres', $setup);
$node->safe_psql('postgres', $publish);
is($node->safe_psql('postgres', $take), '100', 'a group of the new one gets all that is published to it');
$node->safe_psql('postgres', "BEGIN; $anew $setup COMMIT");
$node->safe_psql('postgres', $publish);
is($node->safe_psql('postgres', $take), '100', 'also one that was made in that transaction');
$node->safe_psql('postgres', "BEGIN; SAVEPOINT s; $anew ROLLBACK TO s; SELECT count(*) FROM prism.groups; $anew $setup COMMIT");
$node->safe_psql('postgres', $publish);
is($node->safe_psql('postgres', $take), '100', 'and at the second try');

# Workers stay away while somebody drops the extension, at most for ten seconds, and come back when he has not.
my $managers = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'prism manager'};
wait_for_value($node, $managers, 1);
$node->safe_psql('postgres', 'BEGIN; SAVEPOINT s; DROP EXTENSION prism; ROLLBACK TO s; DROP EXTENSION prism; ROLLBACK');
my $began = time;
wait_for_value($node, $managers, 1);
cmp_ok(time - $began, '<', 8, 'when he has begun twice they come back as soon');

$_->quit for $dropper, $watcher;
done_testing();
