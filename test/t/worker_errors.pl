# An error ends a worker's step, not the worker; it is shown, written once, and over when its cause is.
use PrismTest;

my $node = prism_node('main');

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub maintainer
{
	my ($what) = @_;
	return "SELECT $what FROM prism.workers WHERE kind = 'maintainer'";
}

sub make_topic
{
	my ($topic) = @_;
	sql("SET prism.segment_messages = 1024; SELECT prism.apply('{name: $topic, client_api: queue, patterns: [outbox]}')");
	return sql("SELECT topic_id FROM prism.topic WHERE name = '$topic'");
}

sub publish
{
	my ($topic, $count) = @_;
	return sql("SELECT count(*) FROM (SELECT prism.publish('$topic', i::text) FROM generate_series(1, $count) AS i) AS p");
}

sub last_segment
{
	my ($topic_id) = @_;
	return "SELECT max(segment_number) FROM prism.segment WHERE topic_id = $topic_id";
}

my $first = make_topic('first');
my $second = make_topic('second');
wait_for_value($node, maintainer('state'), 'running');
my $pid = sql(maintainer('pid'));

# Somebody has taken the name of the first topic's next segment.
sql("CREATE TABLE prism_log.topic_${first}_2 ()");
publish('first', 1024);
wait_for_value($node, maintainer("error = 'relation \"topic_${first}_2\" already exists'"));
pass('prism.workers shows the error');
is(sql(maintainer('pid')), $pid, 'the worker has survived it');

publish('second', 1024);
wait_for_value($node, last_segment($second), 2);
pass('the other topic is served meanwhile');
for my $number (3 .. 5)
{
	publish('second', 1024);
	wait_for_value($node, last_segment($second), $number);
}
is(sql(last_segment($first)), 1, 'the first one is not, but for the segment before it, which publishers need now');
is(log_count($node, "ERROR:  relation \"topic_${first}_2\" already exists"), 1, 'tried again with every turn, it was written once');
is(sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'prism maintainer' AND (xact_start IS NOT NULL OR backend_xmin IS NOT NULL)}), 0,
	'between tries it holds no transaction');

sql("DROP TABLE prism_log.topic_${first}_2");
sql('SELECT prism.wake_workers()');
wait_for_value($node, last_segment($first), 2);
wait_for_value($node, maintainer('state'), 'running');
is(sql(maintainer('pid')), $pid, 'without its cause the worker goes on');

# Many such topics do not add up to a back-off in which nobody is served.
my @taken = map { make_topic("taken$_") } 1 .. 9;
my $last = make_topic('last');
sql("CREATE TABLE prism_log.topic_${_}_2 ()") for @taken;
publish("taken$_", 1024) for 1 .. 9;
publish('last', 1024) for 1 .. 10;
pass('publishers of another topic have their segments');
cmp_ok(sql(last_segment($last)), '>=', 10, 'ten of them');
sql(join ';', map { "DROP TABLE prism_log.topic_${_}_2" } @taken);
sql('SELECT prism.wake_workers()');
wait_for_value($node, last_segment($_), 2) for @taken;
wait_for_value($node, maintainer(q{coalesce(error, '')}), '');
is(sql(maintainer('state')), 'running', 'and the error is gone with its cause');

# A worker in back-off is not deaf.
sql("CREATE TABLE prism_log.topic_${first}_3 ()");
publish('first', 1024);
wait_for_value($node, maintainer("state = 'backoff' OR error LIKE '%topic_${first}_3%'"));
kill_worker($node, 'prism maintainer', signal => 'TERM');
wait_for_value($node, maintainer("pid <> $pid"));
pass('it ends when it is told to');
sql("DROP TABLE prism_log.topic_${first}_3");
wait_for_value($node, last_segment($first), 3);

# Housekeeping that fails holds up neither publishers nor the housekeeping of others.
wait_for_value($node, maintainer('state'), 'running');
sql("CREATE VIEW public.witness AS SELECT * FROM prism_log.topic_${first}_0");
sql('ALTER SYSTEM SET prism.retention = 0');
$node->reload;
for my $number (6 .. 8)
{
	publish('second', 1024);
	wait_for_value($node, last_segment($second), $number);
}
wait_for_value($node, "SELECT min(segment_number) FROM prism.segment WHERE topic_id = $second", 7);
pass('others are served and trimmed');
is(sql("SELECT min(segment_number) FROM prism.segment WHERE topic_id = $first"), 0, 'what somebody depends on stays');
is(log_count($node, "ERROR:  cannot drop table prism_log.topic_${first}_0 because other objects depend on it"), 1, 'the log says so once');
sql('DROP VIEW public.witness');
publish('second', 1024);
wait_for_value($node, "SELECT min(segment_number) FROM prism.segment WHERE topic_id = $first", 2);
pass('and goes when nobody does');

# Memory
$node->append_conf('postgresql.conf', 'prism.worker_memory = 1MB');
$node->reload;
wait_for_value($node, maintainer(q{restarts > 1 AND error = 'the process used more memory than prism.worker_memory'}));
pass('a worker that uses more than prism.worker_memory is replaced');
cmp_ok(log_count($node, 'prism maintainer is replaced by a new process: it uses \d+ kB of memory'), '>', 0, 'the log says so');
wait_for_value($node, maintainer('restarts > 4'));
publish('second', 1024) for 1 .. 4;
pass('which is soon there, however often it is: publishers get their segments');
$node->append_conf('postgresql.conf', 'prism.worker_memory = 192MB');
$node->reload;
wait_for_value($node, q{SELECT count(*) = 3 AND bool_and(state = 'running') FROM prism.workers});
pass('and goes on when it may');

is(log_count($node, 'PANIC|TRAP|terminated by signal'), 0, 'the server stayed up');
done_testing();
