# More segments than a transaction has room for the locks of: their topic is dropped all the same, and the extension
# behind it; what belongs to nobody any more goes in pieces, also after a crash and a rollback.
use PrismTest;

my $node = prism_node('main', conf => "prism.segment_messages = 1024\nmax_locks_per_transaction = 10\nmax_connections = 20\n");

# Tables of segments in schema prism_log, those of prism's own topics apart.
my $tables = q{SELECT count(*) FROM pg_class WHERE relnamespace = 'prism_log'::regnamespace AND relkind = 'r' AND relname ~ '^topic_[0-9]+_[0-9]+$'
	AND split_part(relname, '_', 2)::int NOT IN (SELECT topic_id FROM prism.topic WHERE namespace_id IS NULL OR namespace_id = 0)};

sub fill
{
	my ($namespace, $times) = @_;
	$node->safe_psql('postgres', "SELECT prism.apply('name: $namespace')");
	$node->safe_psql('postgres', "SELECT count(prism.publish('$namespace', 'x'::text)) FROM generate_series(1, 51200)") for 1 .. $times // 6;
	cmp_ok($node->safe_psql('postgres', $tables), '>', 300, "$namespace has more than 300 segments");
}

fill('many');
$node->psql('postgres', q{SELECT count(pg_advisory_xact_lock(i)) FROM generate_series(1, 4 * (SELECT count(*) FROM prism.segment)) AS i}, stderr => \my $error);
like($error, qr/out of shared memory/, 'the server has no room for the locks of them all');

$node->safe_psql('postgres', q{BEGIN; SELECT prism.drop_namespace('many', force => true); ROLLBACK;});
is($node->safe_psql('postgres', q{SELECT count(*) FROM prism.read('many', 300000, 100000)}), 7200, 'a drop that is rolled back leaves all of it');
is($node->safe_psql('postgres', q{SELECT count(*) FROM prism.segment WHERE dropped}), 0, 'and no mark');

my $viewed = 'prism_log.topic_' . $node->safe_psql('postgres', q{SELECT topic_id FROM prism.topic WHERE name = 'many'}) . '_150';
$node->safe_psql('postgres', "CREATE VIEW viewer AS SELECT * FROM $viewed");
$node->safe_psql('postgres', q{SELECT prism.drop_namespace('many', force => true)});
is($node->safe_psql('postgres', q{SELECT count(*) FROM prism.topic WHERE name = 'many'}), 0, 'the namespace is gone at once');
$node->stop('immediate');
$node->start;
wait_for_value($node, $tables, 1);
ok(1, 'its tables go after it, also when the server has crashed meanwhile');
is($node->safe_psql('postgres', "SELECT sum(messages) FROM viewer"), 1024, 'but one on which a view hangs, which keeps none of the others');
wait_for_value($node, qq{SELECT error FROM prism.workers WHERE kind = 'maintainer'}, "cannot drop table $viewed because other objects depend on it");
$node->safe_psql('postgres', 'DROP VIEW viewer');
wait_for_value($node, "SELECT ($tables) + (prism.wake_workers() IS NULL)::int", 0);
is($node->safe_psql('postgres', q{SELECT count(*) FROM prism.segment WHERE dropped}), 0, 'with their rows');

$node->safe_psql('postgres', q{INSERT INTO prism.segment (topic_id, segment_number, created_at, dropped) VALUES (12345, 0, now(), true); SELECT prism.wake_workers()});
wait_for_value($node, q{SELECT count(*) FROM prism.segment WHERE dropped}, 0);
ok(1, 'also one whose table somebody has dropped before');

# Who adds up the size of them, or drops what is too large, does not hold them all.
fill('large', 10);
is($node->safe_psql('postgres', q{SELECT segments > 300, disk_bytes > 8192 * 600 FROM prism.topics WHERE topic = 'large'}), 't|t', 'prism.topics tells their size');
$node->safe_psql('postgres', q{SELECT prism.apply('{name: large, needs: {retention: 1TB}}')});
kill_worker($node, 'prism maintainer', signal => 'TERM');
my $maintainer = worker_pid($node, 'prism maintainer');
wait_for_value($node, "SELECT state = 'idle' AND state_change < clock_timestamp() - interval '1 s' FROM pg_stat_activity WHERE pid = $maintainer");
my $told = qr/\[$maintainer\].*Grand total: (\d+) bytes/;
$node->safe_psql('postgres', "SELECT pg_log_backend_memory_contexts($maintainer)");
$node->wait_for_log($told);
my ($memory) = slurp_file($node->logfile) =~ $told;
note "$memory bytes";
cmp_ok($memory, '<', 7 * 1024 * 1024, 'who adds it up does not keep all that it has opened for that');
$node->safe_psql('postgres', q{SELECT prism.apply('{name: busy}')});
$node->safe_psql('postgres', $_) for (
	q{CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS $$DECLARE begun timestamptz = clock_timestamp();
		BEGIN WHILE clock_timestamp() < begun + interval '0.1 s' LOOP END LOOP; END$$},
	'CREATE EVENT TRIGGER slow ON sql_drop EXECUTE FUNCTION slow()', 'ALTER EVENT TRIGGER slow ENABLE ALWAYS');
$node->safe_psql('postgres', q{SELECT prism.apply('{name: large, needs: {retention: 1MB}}')});
$node->safe_psql('postgres', q{SELECT count(prism.publish('large', 'x'::text)) FROM generate_series(1, 2048)});

# While they do, one by one, publishers of other topics get their segments.
my $left = q{SELECT count(*) FROM prism.segment JOIN prism.topic USING (topic_id) WHERE name = 'large'};
my $before = $node->safe_psql('postgres', $left);
wait_for_value($node, "SELECT ($left) < $before - 2");
$node->safe_psql('postgres', q{SELECT count(prism.publish('busy', 'x'::text)) FROM generate_series(1, 700)}) for 1 .. 8;
cmp_ok($node->safe_psql('postgres', $left), '>', 100, 'while many segments of one topic go, others get theirs');
$node->safe_psql('postgres', 'DROP EVENT TRIGGER slow; DROP FUNCTION slow()');
wait_for_value($node, q{SELECT count(*) < 60 FROM prism.segment JOIN prism.topic USING (topic_id) WHERE name = 'large'});
ok(1, 'those beyond a retention by size go');
is(log_count($node, 'prism maintainer.*out of shared memory'), 0, 'nobody was short of locks');
$node->safe_psql('postgres', q{SELECT prism.drop_namespace('large', force => true)});

fill('again');
$node->safe_psql('postgres', q{SELECT prism.drop_namespace('again', force => true)});
$node->safe_psql('postgres', q{DROP EXTENSION prism});
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'prism%'}), 0, 'DROP EXTENSION right behind it works');
done_testing();
