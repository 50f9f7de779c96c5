# The maintainer keeps segments ahead of publishers, and repairs what a restore has lost.
use PrismTest;

my $node = prism_node('main', conf => "prism.max_topics = 8\n");

sub sql
{
	my ($query, $database) = @_;
	return $node->safe_psql($database // 'postgres', $query);
}

sub make_topic
{
	my ($topic, $database) = @_;
	return sql("SET prism.segment_messages = 1024; SELECT prism.apply('{name: $topic, client_api: queue, patterns: [outbox]}')", $database);
}

sub publish
{
	my ($topic, $count, $database) = @_;
	return "SELECT count(*) FROM (SELECT prism.publish('$topic', i::text) FROM generate_series(1, $count) AS i) AS p";
}

sub segments
{
	my ($topic) = @_;
	return "SELECT string_agg(segment_number::text, ' ' ORDER BY segment_number) FROM prism.segment JOIN prism.topic USING (topic_id) WHERE name = '$topic'";
}

sub wait_for_maintainer
{
	my ($database) = @_;
	return wait_for_value($node, q{SELECT count(*) FROM prism.workers WHERE kind = 'maintainer' AND state = 'running' AND database = current_database()}, 1, $database);
}

# Segments ahead
wait_for_maintainer();
make_topic($_) for qw(small unused);
is(sql(segments('small')), '0', 'a new topic has its current segment');
sql(publish('small', 1));
wait_for_value($node, segments('small'), '0 1');
pass('who uses it first has the next one made');
sql(publish('small', 1022));
is(sql(segments('small')), '0 1', 'nothing is made before it is needed');
sql(publish('small', 1));
wait_for_value($node, segments('small'), '0 1 2');
pass('who fills a segment has the one after the next made, without waiting for a timer');
sql(publish('small', 20 * 1024));
wait_for_value($node, segments('small'), join ' ', 0 .. 22);
pass('a transaction that spans many segments gets all of them');
is(sql(segments('unused')), '0', 'a topic that nobody uses gets none');
sql(q{SELECT prism.drop_namespace('unused')});
is(sql(q{SELECT sum(messages), count(DISTINCT offset_) = count(*), min(offset_), max(offset_ + messages - 1) FROM
	(SELECT "offset" AS offset_, messages FROM prism_log.topic_} . sql(q{SELECT topic_id FROM prism.topic WHERE name = 'small'}) . '_5) AS s'),
	'1024|t|5120|6143', 'each holds its own range of offsets');

# A segment that has lost its index is in need of what only a restore makes: that is no reason to look again and again.
sub naps
{
	my ($pid) = @_;
	return slurp_file("/proc/$pid/status") =~ /^voluntary_ctxt_switches:\s+(\d+)/m ? $1 : die "no such process: $pid\n";
}

sub naps_of_seconds
{
	my ($pid, $seconds) = @_;
	my $before = naps($pid);
	my $end = sql("SELECT clock_timestamp() + interval '$seconds s'");
	wait_for_value($node, "SELECT clock_timestamp() > '$end'");
	return naps($pid) - $before;
}

make_topic('torn');
sql(publish('torn', 1));
wait_for_value($node, segments('torn'), '0 1');
my $index = sql(q{SELECT 'prism_log.topic_' || topic_id || '_1_offset' FROM prism.topic WHERE name = 'torn'});
sql("DROP INDEX $index; SELECT prism.wake_workers()");
naps_of_seconds(worker_pid($node, 'prism maintainer'), 2);
cmp_ok(naps_of_seconds(worker_pid($node, 'prism maintainer'), 5), '<', 4, 'a segment without its index does not keep the maintainer at it');
sql(q{SELECT prism.drop_namespace('torn', true)});

# A publisher that finds no segment waits for the maintainer.
my $maintainer = worker_pid($node, 'prism maintainer');
kill STOP => $maintainer or die $!;
sql(publish('small', 1024));
my $publisher = $node->background_psql('postgres');
$publisher->query_until(qr/begun/, "\\echo begun\n" . publish('small', 2048) . ";\n");
wait_for_value($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND wait_event_type = 'Extension'}, 1);
pass('without a maintainer a publisher that is ahead of the segments waits');
kill CONT => $maintainer;
wait_for_value($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND wait_event_type = 'Extension'}, 0);
is($publisher->query_safe('SELECT (prism.last_position()).topic'), "2048\nsmall", 'and goes on when there is one');
$publisher->quit;

# Workers that carry no messages keep the log all the same.
$node->append_conf('postgresql.conf', 'prism.enabled = off');
$node->restart;
sql(publish('small', 700)) for 1 .. 6;
pass('with prism.enabled = off publishing goes on');
$node->append_conf('postgresql.conf', 'prism.enabled = on');
$node->reload;

# Extension dropped and made again, more often than there is room for topics.
for my $round (1 .. 4)
{
	make_topic($_) for 'a', 'b', 'c';
	sql(publish($_, 10)) for 'a', 'b', 'c';
	sql('DROP EXTENSION prism');
	is(sql(q{SELECT count(*) FROM pg_class WHERE relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname LIKE 'prism%')}), 0,
		'DROP EXTENSION takes segments along') if $round == 1;
	sql('CREATE EXTENSION prism');
}
wait_for_maintainer();
make_topic('a');
sql(publish('a', 1));
pass('DROP EXTENSION frees the topics in shared memory');
sql('BEGIN; SAVEPOINT s; DROP EXTENSION prism; ROLLBACK TO s; COMMIT');
sql(publish('a', 1));
is(sql(q{SELECT sum(messages) || ' ' || max("offset" + messages - 1) FROM prism_log.topic_} . sql(q{SELECT topic_id FROM prism.topic WHERE name = 'a'}) . '_0'),
	'2 1', 'one that is rolled back does not');

# A restore makes tables that do not know of the extension.
sql('CREATE DATABASE restored');
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'pg_dump');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('restored') ], 'restored into another database');
wait_for_maintainer('restored');
wait_for_value($node, q{SELECT count(*) FROM pg_class c WHERE relnamespace = 'prism_log'::regnamespace AND relkind IN ('r', 'S', 'v')
	AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND refclassid = 'pg_extension'::regclass AND deptype = 'a')},
	0, 'restored');
pass('the maintainer ties them to the extension');
is(sql(publish('a', 1), 'restored'), 1, 'the restored topic takes messages');
sql('DROP EXTENSION prism', 'restored');
is(sql(q{SELECT count(*) FROM pg_class WHERE relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname LIKE 'prism%')}, 'restored'), 0,
	'so DROP EXTENSION takes them along');

# However many there are: no transaction locks them all.
my $small = prism_node('small', conf => "max_locks_per_transaction = 10\nmax_connections = 10\nmax_worker_processes = 8\nmax_wal_senders = 0\nwal_level = replica\nprism.max_topics = 8\nprism.max_workers = 1\n");
$small->safe_psql('postgres', q{DO $$ BEGIN FOR i IN 1 .. 3000 LOOP EXECUTE format('CREATE TABLE prism_log.stray_%s (a int)', i); IF i % 20 = 0 THEN COMMIT; END IF; END LOOP; END $$});
$small->append_conf('postgresql.conf', 'prism.max_workers = 4');
$small->restart;
wait_for_value($small, q{SELECT count(*) FROM pg_class c WHERE relnamespace = 'prism_log'::regnamespace AND relkind = 'r'
	AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND refclassid = 'pg_extension'::regclass AND deptype = 'a')}, 0);
is(log_count($small, 'out of shared memory'), 0, 'many of them are adopted without the locks of all');

# One that cannot be adopted keeps no other from it.
$small->safe_psql('postgres', $_) for (
	q{CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN IF current_setting('application_name') = 'prism maintainer' THEN RAISE 'no grant'; END IF; END$$},
	q{CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('GRANT') EXECUTE FUNCTION refuse()}, 'ALTER EVENT TRIGGER refuse ENABLE ALWAYS',
	q{BEGIN; CREATE TABLE prism_log.stray_a (a int); GRANT SELECT ON prism_log.stray_a TO PUBLIC; CREATE TABLE prism_log.stray_b (a int); COMMIT; SELECT prism.wake_workers()});
my $adopted = q{SELECT string_agg(objid::regclass::text, ' ' ORDER BY objid) FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid IN ('prism_log.stray_a'::regclass, 'prism_log.stray_b'::regclass)
	AND refclassid = 'pg_extension'::regclass AND deptype = 'a'};
wait_for_value($small, $adopted, 'prism_log.stray_b');
ok(1, 'one that cannot be adopted keeps no other from it');
$small->safe_psql('postgres', 'DROP EVENT TRIGGER refuse; SELECT prism.wake_workers()');
wait_for_value($small, $adopted, 'prism_log.stray_a prism_log.stray_b');

# Of all databases: none waits for the launcher's next look, of a minute, until it is told to a manager.
my $many = prism_node('many', conf => "prism.max_workers = 16\nmax_worker_processes = 24\n");
for my $database ('a' .. 'e')
{
	$many->safe_psql('postgres', "CREATE DATABASE $database");
	$many->safe_psql($database, 'CREATE EXTENSION prism');
}
$many->restart;
my $began = time;
wait_for_value($many, q{SELECT count(DISTINCT datname) FROM pg_stat_activity WHERE backend_type = 'prism maintainer'}, 6);
cmp_ok(time - $began, '<', 8, 'after a start each of six databases has its maintainer soon');

is(log_count($node, 'PANIC|TRAP|terminated by signal|prism maintainer ERROR'), 0, 'without an accident');
done_testing();
