# A million waiting messages, in one transaction, cost the scheduler no memory, and others come on time meanwhile.
# timeout: 600
use PrismTest;

use constant MESSAGES => 1_000_000;
use constant MEMORY_KB_MAX => 32 * 1024;

my $node = prism_node('main', conf => "max_wal_size = 4GB\n");

sub sql { return $node->safe_psql('postgres', $_[0]); }

# resident memory without what is shared
sub memory_kb
{
	my ($pid) = @_;
	my ($resident, $shared) = slurp_file("/proc/$pid/statm") =~ /^\d+ (\d+) (\d+)/;
	return ($resident - $shared) * 4;
}

sql(q{
	SELECT prism.apply('{name: many, client_api: queue}');
	SELECT prism.apply('{name: few, client_api: queue}');
	CREATE TABLE sent (id uuid, due timestamptz);
	CREATE TABLE switch (due timestamptz)});
sql(q{SELECT prism.publish('few', 'first', deliver_at => now() + interval '1 hour')});
my $scheduler = worker_pid($node, 'prism scheduler');

# Those of another topic become due while the million is published, sorted and waits.
sql(q{INSERT INTO sent SELECT prism.publish('few', 'x', deliver_at => due), due FROM (SELECT clock_timestamp() + n * interval '50 ms' AS due FROM generate_series(1, 1000) n) s});

# Half of the million are due at the same time.
sql(q{INSERT INTO switch VALUES (date_trunc('second', now()) + interval '60 s')});
sql('SELECT count(prism.publish(\'many\', i::text, key => \'k\', deliver_at =>
	(SELECT due FROM switch) + greatest(0, i::bigint * 7919 % ' . MESSAGES . ' - ' . MESSAGES / 2 . ") * interval '20 us'))
	FROM generate_series(1, " . MESSAGES . ') i');

my $memory_kb = 0;
sub watch_while
{
	my ($query) = @_;
	while (sql($query) eq 't')
	{
		my $now_kb = memory_kb($scheduler);
		$memory_kb = $now_kb if $now_kb > $memory_kb;
	}
}
watch_while('SELECT delayed < ' . MESSAGES . q{ FROM prism.topics WHERE topic = 'many'});
is(sql(q{SELECT count(*) FROM prism.read('many')}), 0, 'a million messages wait');
is(sql(q{SELECT next_due = due FROM prism.topics, switch WHERE topic = 'many'}), 't', 'and it is known for what');
wait_for_value($node, q{SELECT count(*) FROM prism.read('few', 0, 10000)}, 1000);
my $late = sql(q{SELECT round(extract(epoch FROM max(m.created_at - s.due)) * 1000) FROM sent s JOIN prism.read('few', 0, 10000) m USING (id)});
note("others were $late ms late at most");
cmp_ok($late, '<', 3000, 'others have come on time meanwhile');

# They come when they are due, each once, in order.
wait_for_value($node, 'SELECT delayed < ' . MESSAGES . q{ FROM prism.topics WHERE topic = 'many'});
watch_while(q{SELECT delayed > 0 FROM prism.topics WHERE topic = 'many'});
note("the scheduler had $memory_kb kB at most");
is(worker_pid($node, 'prism scheduler'), $scheduler, 'all by the same process');
cmp_ok($memory_kb, '<', MEMORY_KB_MAX, 'its memory is bounded');
is( sql(q{
	WITH log AS (SELECT m."position", m.created_at, n, (SELECT due FROM switch) + greatest(0, n::bigint * 7919 % 1000000 - 500000) * interval '20 us' AS due
			FROM (SELECT *, convert_from(payload, 'UTF8')::int AS n FROM prism.read('many', 0, 2000000)) m),
		steps AS (SELECT *, lag(due) OVER w AS due_before, lag(n) OVER w AS n_before FROM log WINDOW w AS (ORDER BY "position"))
	SELECT count(*) || ' of ' || count(DISTINCT n) || ', ' || count(*) FILTER (WHERE created_at < due) || ' too early, '
		|| count(*) FILTER (WHERE (due_before, n_before) > (due, n)) || ' out of order' FROM steps}),
	MESSAGES . ' of ' . MESSAGES . ', 0 too early, 0 out of order', 'each comes once, in order');
is(sql(q{SELECT delayed FROM prism.topics WHERE topic = 'few'}), 1, 'what is due later waits on');
is(log_count($node, 'ERROR:'), 0, 'no turn failed');
done_testing();
