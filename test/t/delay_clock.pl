# Messages for later when the server's clock is set, and what the passing of hours leaves behind.
use PrismTest;

shift_clock(0);
my $node = prism_node('main', conf => "prism.segment_messages = 1024\nprism.retention = -1\n");

sub sql { return $node->safe_psql('postgres', $_[0]); }

sql(q{
	SELECT prism.apply('{name: clock, client_api: queue}');
	CREATE TABLE sent (n int PRIMARY KEY, id uuid, due timestamptz)});

sub publish
{
	my ($numbers, $due) = @_;
	sql(qq{INSERT INTO sent SELECT n, prism.publish('clock', n::text, deliver_at => due), due
		FROM (SELECT n, now() + $due AS due FROM generate_series($numbers) n) s});
}

sub arrives
{
	my ($count, $what) = @_;
	wait_for_value($node, qq{SELECT count(*) >= $count FROM prism.read('clock', 0, 100000) JOIN sent USING (id)});
	return is(sql(q{SELECT count(*) || ' of ' || count(DISTINCT id) || ', ' || count(*) FILTER (WHERE created_at < due) || ' too early'
		FROM prism.read('clock', 0, 100000) JOIN sent USING (id)}), "$count of $count, 0 too early", $what);
}

my $start = sql(q{SELECT now()});
publish('1, 10', q{interval '200 ms'});
arrives(10, 'the clock as it is');

# Forward: a message of the next hour is there at once, or with the next look of the scheduler.
publish('11, 20', q{interval '90 minutes'});
publish('21, 21', q{interval '20 days'});
wait_for_value($node, q{SELECT delayed = 11 FROM prism.topics WHERE topic = 'clock'});
shift_clock(2 * 3600);
is(sql(qq{SELECT now() > timestamptz '$start' + interval '2 hours'}), 't', 'the clock is two hours ahead');
arrives(20, 'what is due by the new time comes');
wait_for_value($node, q{SELECT delayed = 1 FROM prism.topics WHERE topic = 'clock'});

# The buckets of the past hours go, tables and all.
wait_for_value($node, q{SELECT count(*) = 0 FROM prism.delay_bucket WHERE due_to <= clock_timestamp()});
is(sql(q{SELECT string_agg(relname, ' ') FROM pg_class WHERE relkind = 'r' AND relname ~ '^delayed_'
	AND relname NOT IN (SELECT 'delayed_' || bucket_id FROM prism.delay_bucket)}), '', 'tables of the past are dropped');

# Backward: what was delivered is not repeated, and new messages come at their time by the new clock, into a span of
# time that is over by the old one.
publish('31, 40', q{interval '200 ms'});
arrives(30, 'two hours ahead');
shift_clock(0);
publish('41, 50', q{interval '300 ms'});
arrives(40, 'set back');
publish('51, 60', q{interval '1 s' - n * interval '10 ms'});
wait_for_value($node, q{SELECT delayed = 11 FROM prism.topics WHERE topic = 'clock'});
$node->restart;
arrives(50, 'and through a restart');

# Within the span in which messages have been delivered already, too: back by less than the bucket is long.
publish('61, 70', q{interval '200 ms'});
arrives(60, 'before');
for my $round (1 .. 3)
{
	shift_clock(-5 * $round);
	publish(sprintf('%d, %d', 61 + 10 * $round, 70 + 10 * $round), q{interval '300 ms'});
	arrives(60 + 10 * $round, "back by five seconds, time $round");
}
kill_worker($node, 'prism scheduler');
wait_for_value($node, 'SELECT true');
wait_for_value($node, q{SELECT delayed = 1 FROM prism.topics WHERE topic = 'clock'});
arrives(90, 'nothing comes twice after a crash');

# Days ahead: the last one, and nothing is left of the journal but its end.
sql(q{SELECT count(prism.publish('clock', 'x', deliver_at => now() + interval '100 ms')) FROM generate_series(1, 1000)}) for 1 .. 5;
wait_for_value($node, q{SELECT delayed = 1 FROM prism.topics WHERE topic = 'clock'});
wait_for_value($node, q{SELECT count(*) = 5090 FROM prism.read('clock', 0, 100000)});
shift_clock(21 * 86400);
wait_for_value($node, q{SELECT count(*) = 1 FROM prism.read('clock', 0, 100000) WHERE payload = '21'});
wait_for_value($node, q{SELECT count(*) = 0 FROM prism.delay_bucket});
is(sql(q{SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname ~ '^delayed_'}), 0, 'when all is delivered no bucket is left');
wait_for_value($node, q{SELECT min(segment_number) > 0 FROM prism.segment JOIN prism.topic USING (topic_id) WHERE name = '__prism_delayed'});
pass('nor are the first segments of the journal');
sql('SELECT prism.wake_workers()');
wait_for_value($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'prism scheduler'}, 0);
pass('nor is the scheduler');
is(sql(q{SELECT delayed FROM prism.topics WHERE topic = 'clock'}), 0, 'none waits');

# The state that is on disk is the one in memory.
$node->restart;
wait_for_value($node, q{SELECT delayed = 0 FROM prism.topics WHERE topic = 'clock'});
publish('101, 110', q{interval '100 ms'});
arrives(101, 'after all that a restart finds its place');

is(log_count($node, 'ERROR:'), 0, 'no turn failed');
done_testing();
