# prism.doctor() prints lines that work: each is taken as it is, and the server is in order afterwards.
use PrismTest;
use IPC::Run ();

my $node = prism_node('main', extension => 0, conf => "shared_preload_libraries = 'auto_explain'\nmax_prepared_transactions = 2\n");

sub doctor
{
	my ($item) = @_;
	return $node->safe_psql('postgres', "SELECT state FROM prism.doctor() WHERE item = '$item'");
}

# The line that a hint ends with.
sub line_to_set
{
	my ($item) = @_;
	return $node->safe_psql('postgres', "SELECT substring(hint FROM ': ([a-z_.]+ = .*)\$') FROM prism.doctor() WHERE item = '$item' AND state <> 'ok'");
}

sub take_line
{
	my ($item, $expected) = @_;
	my $line = line_to_set($item);

	is($line, $expected, "the doctor's line for $item");
	$node->append_conf('postgresql.conf', $line);
	$node->restart;
	return;
}

# ---------- without preload ----------
$node->safe_psql('postgres', 'CREATE EXTENSION prism');
is(doctor('preload'), 'error', 'the doctor works without preload and says so');
is($node->safe_psql('postgres', 'SELECT count(*) FROM prism.topics'), 0, 'so does prism.topics');
is($node->safe_psql('postgres', 'SELECT count(*) FROM prism.status'), 0, 'prism.status');
is($node->safe_psql('postgres', 'SELECT prism.metrics_text()'), '', 'and prism.metrics_text()');

take_line('preload', "shared_preload_libraries = 'auto_explain, prism'");
is(doctor('preload'), 'ok', 'with that line the library is loaded');
is($node->safe_psql('postgres', q{SELECT state || substring(hint FROM ': ([a-z_.]+ = .*)$') FROM prism.doctor() WHERE item = 'preload order'}),
	q{noteshared_preload_libraries = 'prism, auto_explain'}, 'what is loaded before it ends its part of a commit later');

is(doctor('output_plugin_libraries'), 'ok', 'output plugins are allowed, or not restricted');

# Configured, but the server was started before that.
$node->safe_psql('postgres', q{SELECT prism.apply('{name: watched, patterns: [outbox]}')});
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'auto_explain'");
$node->restart;
is($node->safe_psql('postgres', 'SELECT state FROM prism.status'), 'error', 'a namespace without preload is an error in prism.status');
like($node->safe_psql('postgres', 'SELECT hint FROM prism.status'), qr/prism\.doctor\(\)/, 'which leads to the doctor');
is($node->safe_psql('postgres', 'SELECT topic, next_position IS NULL, segments FROM prism.topics'), 'watched|t|1', 'prism.topics shows what is on disk');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'auto_explain, prism'");
$node->restart;

# ---------- room ----------
$node->append_conf('postgresql.conf', "max_worker_processes = 3\nprism.enabled = off");
$node->restart;
is(line_to_set('workers'), 'prism.enabled = on', 'the line for workers that are switched off');
is($node->safe_psql('postgres', q{SELECT state, hint FROM prism.status}),
	"warn|Prism's workers are switched off: nothing is forwarded, delivered when it is due or given to handlers. Set in postgresql.conf and reload: prism.enabled = on", 'prism.status says so too');
$node->append_conf('postgresql.conf', line_to_set('workers'));
$node->reload;
# the logical replication launcher, prism's launcher and its manager fill the three places
wait_for_value($node, q{SELECT state = 'error' FROM prism.doctor() WHERE item = 'max_worker_processes'});
# whether the others have been asked for or not
my $processes = line_to_set('max_worker_processes');
is($processes, 'max_worker_processes = 5', "the doctor's line for max_worker_processes");
$node->append_conf('postgresql.conf', $processes);
$node->restart;
wait_for_value($node, q{SELECT count(*) FROM prism.workers WHERE state = 'running' AND kind IN ('launcher', 'manager', 'maintainer')}, 3);
is(doctor('max_worker_processes'), 'ok', 'with that line all workers run');

$node->append_conf('postgresql.conf', "prism.max_topics = 8\nmax_worker_processes = 16");
$node->restart;
$node->safe_psql('postgres', q{SELECT prism.apply(E'namespaces:\n' || string_agg('- name: more' || i, E'\n')) FROM generate_series(1, 5) i});
is(doctor('prism.max_topics'), 'error', 'all topics are in use');
take_line('prism.max_topics', 'prism.max_topics = 16');
is(doctor('prism.max_topics'), 'ok', 'with that line there is room');
$node->safe_psql('postgres', qq{SELECT prism.drop_namespace('more$_')}) for 1 .. 5;

# ---------- the disk ----------
my $scarce = q{SELECT string_agg(item || ': ' || state, ', ' ORDER BY item) FROM prism.doctor() WHERE item LIKE 'disk: %'};
fill_disk();
$node->restart;
is($node->safe_psql('postgres', "CREATE ROLE watcher LOGIN; SELECT prism.grant('watched', 'read', 'watcher'); $scarce"), "\n" . 'disk: tablespace pg_default: ok, disk: write-ahead log: ok', 'the doctor looks at the disks');
is($node->safe_psql('postgres', 'GRANT USAGE ON SCHEMA prism_internal TO watcher; SET ROLE watcher; SELECT count(*) FROM prism_internal.disks()'), 0, 'whose room is told to those who watch the server');
fill_disk(7_340_032);
is($node->safe_psql('postgres', $scarce), 'disk: tablespace pg_default: warning, disk: write-ahead log: warning', 'when little is left of them he says so');
is($node->safe_psql('postgres', q{SET ROLE watcher; SELECT state, hint FROM prism.status WHERE namespace = 'watched'}),
	'warn|Little is left on the disk of tablespace pg_default (7168 kB), write-ahead log (7168 kB): when it is full, publishers fail. Make room, or let retention keep less.', 'and so does prism.status');
fill_disk();
is($node->safe_psql('postgres', q{SELECT state FROM prism.status WHERE namespace = 'watched'}), 'ok', 'until there is room');

# ---------- a commit that does not end ----------
$node->safe_psql('postgres', q{SELECT prism.publish('watched', 'before'::text)});
$node->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'");
$node->reload;
wait_for_value($node, q{SELECT current_setting('synchronous_standby_names') = 'nobody'});
my ($out, $err) = ('', '');
my $waiting = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'SELECT pg_backend_pid()', '-c', q{DO $$BEGIN PERFORM prism.publish('watched', 'during'::text); END$$} ],
	'<', \undef, '>', \$out, '2>', \$err);
wait_for_value($node, q{SELECT committing_pid IS NOT NULL FROM prism.status WHERE namespace = 'watched'});
is($node->safe_psql('postgres', q{SELECT a.wait_event FROM prism.status s JOIN pg_stat_activity a ON a.pid = s.committing_pid}), 'SyncRep',
	'prism.status shows the process whose commit waits for a synchronous standby');
is(doctor('commits'), 'ok', 'a short one is nothing to worry about');
wait_for_value($node, q{SELECT state = 'warn' AND hint LIKE '%process ' || committing_pid || ',%' AND committing_age >= '10 s' FROM prism.status WHERE namespace = 'watched'});
like($node->safe_psql('postgres', q{SELECT state || ' ' || hint FROM prism.doctor() WHERE item = 'topic watched'}),
	qr/^warning .*SELECT \* FROM pg_stat_activity WHERE pid = \d+$/, 'a long one is, and the doctor prints the query');
$node->append_conf('postgresql.conf', "synchronous_standby_names = ''");
$node->reload;
$waiting->finish;
is($err, '', 'it ends');
is($node->safe_psql('postgres', q{SELECT state, committing_pid IS NULL FROM prism.status WHERE namespace = 'watched'}), 'ok|t', 'and all is well');
is($node->safe_psql('postgres', q{SELECT value FROM prism.metrics WHERE name = 'prism_pattern_outbox_inserted_total' AND labels ->> 'namespace' = 'watched'}), 2,
	'both messages are counted');

# ---------- a consumer group that is stuck ----------
$node->append_conf('postgresql.conf', 'prism.group_window = 64');
$node->restart;
$node->safe_psql('postgres', q{SELECT prism.create_group('watched', 'slow', 'latest');
	SELECT prism.publish_batch('watched', array_fill('{}'::jsonb, ARRAY[100]))});
$node->safe_psql('postgres', q{SELECT count(*) FROM prism.consume('watched', 'slow', max_messages => 100, lease => '1 hour')});
is($node->safe_psql('postgres', q{SELECT state, group_lag, hint LIKE 'Consumer group slow gets nothing new%' FROM prism.status WHERE namespace = 'watched'}),
	'warn|100|t', 'a group whose window is full is named');
is($node->safe_psql('postgres', q{SELECT name, value FROM prism.metrics WHERE labels = '{"namespace": "watched", "topic": "watched", "consumer_group": "slow"}' AND name IN ('prism_group_in_flight', 'prism_group_lag_messages') ORDER BY 1}),
	"prism_group_in_flight|64\nprism_group_lag_messages|100", 'its metrics');

$node->append_conf('postgresql.conf', 'prism.max_groups = 1');
$node->restart;
is(doctor('prism.max_groups'), 'warning', 'all consumer groups are in use');
take_line('prism.max_groups', 'prism.max_groups = 2');
is(doctor('prism.max_groups'), 'ok', 'with that line there is room');

# ---------- who holds a lock ----------
$node->safe_psql('postgres', q{BEGIN; SELECT * FROM prism.plan('name: watched'); PREPARE TRANSACTION 'forgotten'});
(undef, undef, $err) = $node->psql('postgres', q{SET lock_timeout = '100ms'; SELECT prism.drop_namespace('watched', true)});
like($err, qr/It is that of prepared transaction 'forgotten'/, 'a prepared transaction that holds a namespace is named');
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'forgotten'});

# ---------- labels ----------
$node->safe_psql('postgres', qq{CREATE DATABASE "odd ""\\\nname"});
$node->safe_psql(qq{odd "\\\nname}, 'CREATE EXTENSION prism');
wait_for_value($node, q{SELECT count(*) FROM prism.workers WHERE state = 'running' AND kind = 'manager' AND database LIKE 'odd%'}, 1);
like($node->safe_psql('postgres', 'SELECT prism.metrics_text()'), qr/^prism_worker_up\{database="odd \\"\\\\\\nname",kind="manager"\} 1$/m,
	'quotes, backslashes and line feeds in labels are escaped');

# ---------- a standby ----------
my $primary = prism_node('primary', streaming => 1);
$primary->safe_psql('postgres', q{SELECT prism.apply('{name: watched, patterns: [outbox]}'); SELECT prism.create_group('watched', 'readers')});
$primary->safe_psql('postgres', q{SELECT prism.publish('watched', 'x'::text)});
$primary->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'copy', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is($standby->safe_psql('postgres', q{SELECT state FROM prism.doctor() WHERE item = 'standby'}), 'note', 'the doctor works on a standby and says that it is one');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM prism.doctor() WHERE state = 'error'}), 0, 'which is no error');
is($standby->safe_psql('postgres', q{SELECT topic, next_position IS NULL, segments FROM prism.topics}), 'watched|t|2', 'prism.topics shows what is on disk');
is($standby->safe_psql('postgres', q{SELECT namespace, state FROM prism.status}), 'watched|ok', 'prism.status works');
like($standby->safe_psql('postgres', 'SELECT prism.metrics_text()'), qr/^prism_topic_segments\{namespace="watched",topic="watched"\} 2$/m, 'prism.metrics_text() too');

# Who asks for them once in a while must not have them compiled.
is($primary->safe_psql('postgres', "EXPLAIN SELECT * FROM prism.$_") =~ /cost=[0-9.]+\.\.(\d+)/ && $1 < 20000, 1, "prism.$_ is no dear query to the planner")
  for qw(topics groups sinks status metrics workers handlers namespaces outbox);

# A database in which plain strings mean something else is one as any.
my $metrics = q{SELECT DISTINCT regexp_replace(line, '[0-9.e+-]+$', '') FROM regexp_split_to_table(prism.metrics_text(), '\n') AS line WHERE line LIKE '%watched%' OR line LIKE '# HELP%'};
$primary->safe_psql('postgres', 'CREATE DATABASE "backslash"; ALTER DATABASE "backslash" SET standard_conforming_strings = off');
$primary->safe_psql('backslash', q{CREATE EXTENSION prism; SELECT prism.apply('{name: watched, patterns: [{type: outbox, table: watched_outbox}], consumers: [{group: readers}]}')});
$primary->safe_psql('backslash', q{INSERT INTO prism.watched_outbox (key, payload) VALUES (E'a\\\\b', E'a\\\\b')});
is($primary->safe_psql('backslash', q{SELECT key, convert_from(payload, 'UTF8') FROM prism.consume('watched', 'readers')}), 'a\\b|a\\b', 'standard_conforming_strings off: publish and consume');
is($primary->safe_psql('backslash', $metrics), $primary->safe_psql('postgres', $metrics), 'standard_conforming_strings off: the same metrics');
my $comments = q{SELECT objoid::regprocedure::text || description FROM pg_description WHERE classoid = 'pg_proc'::regclass AND objoid::regprocedure::text LIKE 'prism.%' ORDER BY 1};
is($primary->safe_psql('backslash', $comments), $primary->safe_psql('postgres', $comments), 'standard_conforming_strings off: the same comments');

done_testing();
