# alone: it measures how late messages are
# What delayed messages leave behind: no bucket for each hour that nobody was there, no journal full of large messages.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PrismTest;

shift_clock(0);
my $node = prism_node('main', conf => "prism.enabled = off\nprism.max_topics_per_transaction = 3\n");
sub sql { return $node->safe_psql('postgres', shift) }

# A month without workers: messages of every hour of it are late, more of them than one turn delivers.
sql(q{SELECT prism.apply('{name: late, client_api: queue}')});
sql(q{SELECT count(prism.publish('late', n::text, deliver_at => now() + n % 700 * interval '1 hour' + interval '1 minute')) FROM generate_series(1, 3500) n});
shift_clock(30 * 86400);
my $numbers = sql(q{SELECT last_value FROM prism.object_id});
$node->append_conf('postgresql.conf', 'prism.enabled = on');
$node->reload;
wait_for_value($node, q{SELECT count(*) FROM prism.read('late', 0, 10000)}, 3500);
is(sql(q{SELECT count(DISTINCT payload) FROM prism.read('late', 0, 10000)}), 3500, 'after a month without workers each message comes once');
cmp_ok(sql('SELECT last_value FROM prism.object_id') - $numbers, '<=', 3, 'and not every hour of it got a bucket');

# Large messages that have been delivered do not lie in the journal until it has a million of them.
my $journal = sql(q{SELECT topic_id FROM prism.topic WHERE name = '__prism_delayed'});
my $size = qq{SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relname ~ '^topic_${journal}_[0-9]+\$'};
sql(q{
	CREATE TABLE large AS SELECT string_agg(decode(md5(n::text), 'hex'), '') AS payload FROM generate_series(1, 65536) n;
	SELECT count(prism.publish('late', (SELECT payload FROM large), deliver_at => clock_timestamp() + interval '100 ms')) FROM generate_series(1, 70)});
cmp_ok(sql($size), '>', 70 * 1024 * 1024, '70 MB lie in the journal');
wait_for_value($node, q{SELECT count(*) FROM prism.read('late', 3500, 10000)}, 70);
sql('SELECT prism.wake_workers()');
wait_for_value($node, q{SELECT next_position > 1048575 FROM prism_internal.topic_states() JOIN prism.topic USING (topic_id) WHERE name = '__prism_delayed'}, 't');
sql(q{SELECT prism.publish('late', 'x', deliver_at => clock_timestamp() + interval '100 ms')});
wait_for_value($node, q{SELECT count(*) FROM prism.read('late', 3500, 10000)}, 71);
$node->poll_query_until('postgres', "SELECT prism.wake_workers() IS NOT NULL AND ($size) < 1024 * 1024");
cmp_ok(sql($size), '<', 1024 * 1024, 'which go when they are delivered');
$node->restart;
sql(q{SELECT prism.publish('late', 'x', deliver_at => clock_timestamp() + interval '100 ms')});
wait_for_value($node, q{SELECT count(*) FROM prism.read('late', 3500, 100000)}, 72);
is(sql(q{SELECT count(*) - count(DISTINCT id) FROM prism.read('late', 0, 100000)}), 0, 'and are not needed');

# A topic of which many messages are due does not keep those of another one, due later, until it has none left.
sql(q{SELECT prism.apply('{name: other, client_api: queue}')});
$node->append_conf('postgresql.conf', 'prism.enabled = off');
$node->reload;
wait_for_value($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'prism scheduler'}, 0);
my $last = sql(q{SELECT next_position FROM prism.topics WHERE topic = 'late'});
sql(q{SELECT count(prism.publish('late', n::text, deliver_at => now() + interval '1 minute')) FROM generate_series(1, 8000) n});
sql(q{SELECT prism.publish('other', 'x', deliver_at => now() + interval '2 minutes')});
shift_clock(31 * 86400);
$node->append_conf('postgresql.conf', 'prism.enabled = on');
$node->reload;
wait_for_value($node, "SELECT count(*) FROM prism.read('late', $last, 10000)", 8000);
is(sql(qq{SELECT (SELECT created_at FROM prism.read('other')) < (SELECT max(created_at) FROM prism.read('late', $last, 10000))}), 't',
	'a message is not kept back by many of another topic');
is(sql(qq{SELECT count(*) FROM (SELECT convert_from(payload, 'UTF8')::int - row_number() OVER (ORDER BY "position") AS d FROM prism.read('late', $last, 10000)) s WHERE d <> 0}), 0,
	'which come in their order');

# Nor does it when both lie in the journal, the many before.
sub publish_unseen
{
	my ($day, $statements) = @_;
	$node->append_conf('postgresql.conf', 'prism.enabled = off');
	$node->reload;
	wait_for_value($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'prism scheduler'}, 0);
	sql($statements);
	shift_clock($day * 86400);
	$node->append_conf('postgresql.conf', 'prism.enabled = on');
	$node->reload;
}

sub next_position { return sql("SELECT next_position FROM prism.topics WHERE topic = '$_[0]'") }
sub in_order { return sql(qq{SELECT count(*), count(*) FILTER (WHERE convert_from(payload, 'UTF8')::int <> row_number) FROM (SELECT payload, row_number() OVER (ORDER BY "position") FROM prism.read('$_[0]', $_[1], 100000)) s}) }

$last = next_position('late');
my $last_other = next_position('other');
publish_unseen(32, q{
	SELECT count(prism.publish('late', n::text, deliver_at => now() + interval '1 minute')) FROM generate_series(1, 40000) n;
	SELECT prism.publish('other', 'x', deliver_at => now() + interval '1 minute')});
wait_for_value($node, "SELECT count(*) FROM prism.read('other', $last_other)", 1);
$node->stop('immediate');
$node->start;
wait_for_value($node, "SELECT count(*) >= 40000 FROM prism.read('late', $last, 100000)");
cmp_ok(sql(qq{SELECT count(*) FROM prism.read('late', $last, 100000) WHERE created_at < (SELECT created_at FROM prism.read('other', $last_other))}), '<=', 1000,
	'a message that lies in the journal behind 40,000 of another namespace overtakes them');
is(in_order('late', $last), '40000|0', 'which come once and in their order, with the server killed meanwhile');

# More topics are due than a transaction can publish to (two): they take turns.
sql(q{SELECT prism.apply('{name: many, client_api: queue}')});
($last, $last_other) = (next_position('late'), next_position('other'));
publish_unseen(33, q{
	SELECT count(prism.publish('late', n::text, deliver_at => now() + interval '1 minute')),
		count(prism.publish('many', n::text, deliver_at => now() + interval '1 minute')) FROM generate_series(1, 5000) n;
	SELECT prism.publish('other', 'x', deliver_at => now() + interval '2 minutes')});
wait_for_value($node, "SELECT (SELECT count(*) FROM prism.read('late', $last, 100000)) + (SELECT count(*) FROM prism.read('many', 0, 100000))", 10000);
is(sql(qq{SELECT (SELECT created_at FROM prism.read('other', $last_other)) < (SELECT min(c) FROM (
	SELECT max(created_at) AS c FROM prism.read('late', $last, 100000) UNION ALL SELECT max(created_at) FROM prism.read('many', 0, 100000)) s)}), 't',
	'with more topics due than a transaction can publish to, each has its turn');
is(in_order('late', $last), '5000|0', 'in order');

done_testing();
