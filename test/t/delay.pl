# Messages for later come once, not before their time and in the order of time, whatever happens to the scheduler and
# to the server meanwhile.
# timeout: 600
use PrismTest;

my $node = prism_node('main', conf => "prism.segment_messages = 4000\n");

sub sql { return $node->safe_psql('postgres', $_[0]); }

sql(q{
	SELECT prism.apply('{name: due, client_api: queue}');
	SELECT prism.apply('{name: beside, client_api: queue}');
	CREATE TABLE sent (topic text, n int, id uuid, due timestamptz, PRIMARY KEY (topic, n))});
is(sql(q{SELECT count(*) FROM prism.workers WHERE kind = 'scheduler'}), 0, 'nobody waits for the time while nothing has one');

# publish(topic, count, from, span): times at random within the span (seconds) from so many seconds on.
sub publish
{
	my ($topic, $count, $from, $span) = @_;
	sql(qq{
		INSERT INTO sent
		SELECT '$topic', n, prism.publish('$topic', n::text, key => 'k' || n % 7, deliver_at => due), due
		FROM (SELECT n, now() + interval '1 s' * ($from + trunc((random() * $span)::numeric, 2)) AS due
			FROM generate_series(1, $count) n ORDER BY n) s});
}

# what is in the log, and what was sent, side by side: lost, repeated, too early, before one that was due earlier or, at
# the same time, published earlier
sub faults
{
	my ($topic) = @_;
	return sql(qq{
		WITH log AS (
			SELECT m."position", m.id, m.created_at, convert_from(m.payload, 'UTF8')::int AS n, m.key FROM prism.read('$topic', 0, 1000000) m
		), both_ AS (
			SELECT s.n, s.due, s.id, l.id AS log_id, l.created_at, l."position", lag(s.due) OVER w AS due_before, lag(s.n) OVER w AS n_before
			FROM sent s LEFT JOIN log l USING (n) WHERE s.topic = '$topic' WINDOW w AS (ORDER BY l."position"))
		SELECT count(*) FILTER (WHERE log_id IS NULL) || ' lost, ' || (SELECT count(*) - count(DISTINCT n) FROM log) || ' repeated, '
			|| count(*) FILTER (WHERE id <> log_id) || ' others, ' || count(*) FILTER (WHERE created_at < due) || ' too early, '
			|| count(*) FILTER (WHERE (due_before, n_before) > (due, n)) || ' out of order'
		FROM both_});
}

sub delivered
{
	my ($topic, $at_least) = @_;
	return wait_for_value($node, "SELECT count(*) >= $at_least FROM prism.read('$topic', 0, 1000000)");
}

sub start_anew
{
	sql(q{SELECT prism.drop_namespace('due', force => true); SELECT prism.apply('{name: due, client_api: queue}'); DELETE FROM sent});
}

use constant GOOD => '0 lost, 0 repeated, 0 others, 0 too early, 0 out of order';

# 10,000 times within two seconds, among which many are equal.
publish('due', 10000, 1, 2);
wait_for_value($node, q{SELECT delayed > 0 FROM prism.topics WHERE topic = 'due'});
is(sql(q{SELECT next_due >= (SELECT min(due) FROM sent) FROM prism.topics WHERE topic = 'due'}), 't', 'prism.topics shows what waits');
delivered('due', 10000);
is(faults('due'), GOOD, '10,000 messages within two seconds');
wait_for_value($node, q{SELECT delayed = 0 AND next_due IS NULL FROM prism.topics WHERE topic = 'due'});
is(sql(q{SELECT max(created_at - due) < interval '10 s' FROM sent JOIN prism.read('due', 0, 100000) USING (id)}), 't', 'and none comes much later');

# Killed in the middle, three times: the scheduler, then the server, then an orderly stop.
start_anew();
publish('due', 10000, 1, 2);
delivered('due', 2000);
kill_worker($node, 'prism scheduler');
wait_for_value($node, 'SELECT true');
delivered('due', 10000);
is(faults('due'), GOOD, 'with the scheduler killed in the middle');

for my $mode ('immediate', 'fast')
{
	start_anew();
	publish('due', 5000, 1, 2);
	delivered('due', 1000);
	$node->stop($mode);
	$node->start;
	wait_for_value($node, q{SELECT delayed IS NOT NULL FROM prism.topics WHERE topic = 'due'});
	delivered('due', 5000);
	is(faults('due'), GOOD, "with the server stopped in the middle: $mode");
}

# Killed between the journal and the buckets: what lies in the journal alone is found there.
start_anew();
$node->append_conf('postgresql.conf', 'prism.enabled = off');
$node->reload;
wait_for_value($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'prism scheduler'}, 0);
publish('due', 3500, 3, 1);
publish('beside', 10, 3600, 3600);
wait_for_value($node, q{SELECT clock_timestamp() > max(due) FROM sent WHERE topic = 'due'});
$node->stop('immediate');
$node->append_conf('postgresql.conf', 'prism.enabled = on');
$node->start;
delivered('due', 3500);
is(faults('due'), GOOD, 'with nobody there to sort them: more than are sorted at a time, and all of them late');
wait_for_value($node, q{SELECT delayed FROM prism.topics WHERE topic = 'beside'}, 10);
is(sql(q{SELECT next_due = (SELECT min(due) FROM sent WHERE topic = 'beside') FROM prism.topics WHERE topic = 'beside'}), 't', 'others wait on, and the first time is known');
is(sql(q{SELECT count(*) FROM prism.read('beside')}), 0, 'none of them has come');

# Publishers all the time, some of which take longer than their message may, while the scheduler is killed.
start_anew();
sql(q{CREATE SEQUENCE numbers});
my $script = PostgreSQL::Test::Utils::tempdir() . '/publish.sql';
append_to_file($script, q{\set ahead random(-100, 500)
\set late random(1, 20)
BEGIN;
INSERT INTO sent SELECT 'due', n, prism.publish('due', n::text, key => 'k' || n % 7, deliver_at => due), due
	FROM (SELECT nextval('numbers') AS n, clock_timestamp() + :ahead * interval '1 ms' AS due) s;
\if :late = 1
SELECT count(*) FROM generate_series(1, 1000000);
\endif
COMMIT;
});
for my $round (1 .. 2)
{
	my $before = sql(q{SELECT count(*) FROM sent});
	my $load = IPC::Run::start([ 'pgbench', '-n', '-T', 60, '-c', 8, '-f', $script, $node->connstr('postgres') ], '>', \my $out, '2>', \my $err);
	wait_for_value($node, qq{SELECT count(*) > $before + 1000 FROM sent});
	kill_worker($node, 'prism scheduler');
	$load->finish;    # the crash ends its connections
	wait_for_value($node, 'SELECT true');
	delivered('due', sql(q{SELECT count(*) FROM sent}));
	like(faults('due'), qr/^0 lost, 0 repeated, 0 others, 0 too early/, "under load, round $round");
}

is(log_count($node, 'ERROR:.*delayed'), 0, 'no turn failed');
done_testing();
