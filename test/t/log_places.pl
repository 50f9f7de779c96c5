# Where a log can be: in a server without preload, in a copied database, in a dump restored elsewhere, in an extension
# that is dropped and made again.
use PrismTest;

my $node = prism_node('main', conf => "prism.segment_messages = 1500\nprism.max_topics = 12\n");

sub sql { return $node->safe_psql($_[1] // 'postgres', $_[0]); }

sub error_of
{
	my ($server, $query) = @_;
	my ($status, $out, $err) = $server->psql('postgres', "\\set VERBOSITY verbose\n$query");
	return $err;
}

sub payloads
{
	my ($topic) = @_;
	return "SELECT string_agg(convert_from(payload, 'UTF8'), ' ' ORDER BY \"position\") FROM prism.read('$topic', 0, 10000)";
}

sql(q{SELECT prism.apply(E'namespaces:\n - name: places\n   client_api: queue\n   needs:\n    max_message_size: 5kB\n - name: second\n   client_api: queue')});
sql(q{CREATE ROLE places_writer; SELECT prism.grant('places', 'publish', 'places_writer')});
sql(q{SELECT prism.publish('places', i::text, key => 'k', headers => '{"h": "1"}') FROM generate_series(1, 5) i});
sql(q{SELECT count(prism.publish('second', i::text)) FROM generate_series(1, 4000) i});
is(sql(q{SELECT count(prism.ack(m)) FROM prism.consume('places', 'readers', 2) m}), 2, 'a group has read two messages');

# A dump restored into a new server.
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
my $count = sql(q{SELECT count(*) FROM prism.read('second', 0, 10000)});
my $end = sql(q{SELECT next_position FROM prism.topics WHERE topic = 'places'});
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'pg_dump');
my $restored = prism_node('restored', extension => 0);
$restored->safe_psql('postgres', 'CREATE ROLE places_writer');
$restored->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $restored->connstr('postgres') ], 'restored into a new server');
is($restored->safe_psql('postgres', payloads('places')), '1 2 3 4 5', 'the messages are there');
is($restored->safe_psql('postgres', q{SELECT count(*) FROM prism.read('second', 0, 10000)}), $count, 'of several segments as well');
is($restored->safe_psql('postgres', q{SELECT string_agg(DISTINCT concat_ws(' ', key, headers), '') FROM prism.read('places')}), 'k {"h": "1"}', 'with their keys and headers');
is($restored->safe_psql('postgres', 'SELECT namespace, max_message_size, config FROM prism.namespaces ORDER BY 1'),
	sql('SELECT namespace, max_message_size, config FROM prism.namespaces ORDER BY 1'), 'and the configuration');
is($restored->safe_psql('postgres', q{SET ROLE places_writer; SELECT prism.publish('places', '6') IS NOT NULL}), 't', 'who may publish may still');
like(error_of($restored, q{SET ROLE places_writer; SELECT * FROM prism.read('places')}), qr/42501: /, 'who may not read may not');
like(error_of($restored, q{SELECT prism.publish('places', repeat('x', 6000))}), qr/54000: /, 'limits hold');
cmp_ok($restored->safe_psql('postgres', q{SELECT max("position") FROM prism.read('places')}), '>=', $end, 'new positions lie above all former ones');
is($restored->safe_psql('postgres', q{SELECT string_agg(convert_from(payload, 'UTF8'), ' ') FROM prism.consume('places', 'readers', 10)}), '3 4 5 6', 'the group goes on where it was');
is($restored->safe_psql('postgres', q{SELECT string_agg(action, ' ') FROM prism.apply(E'namespaces:\n - name: places\n   client_api: queue\n   needs:\n    max_message_size: 5kB\n - name: second\n   client_api: queue')}),
	'unchanged unchanged', 'apply() finds nothing to do');
wait_for_value($restored, q{SELECT count(*) = 0 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'prism_log'
	WHERE c.relkind IN ('r', 'S', 'v') AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('a', 'e') AND d.refclassid = 'pg_extension'::regclass)});
# Where no worker adopts what was restored, it is applied, used, changed and dropped all the same.
{
	my $alone = prism_node('alone', extension => 0, conf => "prism.max_workers = 1\n");
	my $apply = sub { return "SELECT string_agg(DISTINCT action, ' ') FROM prism.apply('namespaces: [{name: places, client_api: queue, needs: {max_message_size: $_[0]}}, {name: second, client_api: queue}]')" };
	$alone->safe_psql('postgres', 'CREATE ROLE places_writer');
	$alone->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $alone->connstr('postgres') ], 'restored where no worker comes');
	is($alone->safe_psql('postgres', q{SELECT count(*) FROM prism.workers WHERE kind = 'maintainer' AND pid IS NOT NULL}), 0, 'there is no maintainer');
	is($alone->safe_psql('postgres', $apply->('5kB')), 'unchanged', 'apply() finds nothing to do');
	is($alone->safe_psql('postgres', $apply->('6kB')), 'changed unchanged', 'and changes what it is told');
	is($alone->safe_psql('postgres', payloads('places')), '1 2 3 4 5', 'with its messages');
	is($alone->safe_psql('postgres', q{SELECT string_agg(action, ' ') FROM prism.apply('{name: third, client_api: queue}')}), 'created', 'a new one is made');
	is($alone->safe_psql('postgres', q{SELECT prism.publish('third', 'x') IS NOT NULL}), 't', 'and published to');
	is(error_of($alone, q{SELECT prism.drop_namespace(name, true) FROM prism.namespace}), '', 'and all of them are dropped');
	$alone->stop;
}
$restored->safe_psql('postgres', 'DROP EXTENSION prism');
pass('the restored extension can be dropped');
$restored->stop;

# A copied database has a log of its own.
sql('CREATE DATABASE copy TEMPLATE postgres');
sql(q{SELECT prism.publish('places', 'original')});
sql(q{SELECT prism.publish('places', 'copy')}, 'copy');
is(sql(payloads('places')), '1 2 3 4 5 original', 'a copied database: the original goes on');
is(sql(payloads('places'), 'copy'), '1 2 3 4 5 copy', 'so does the copy, apart from it');
sql('DROP DATABASE copy');

# A session keeps plans of prism's statements, which are of what is there now.
{
	my $use = q{SELECT prism.apply('{name: kept, client_api: queue}'); SELECT prism.grant('kept', 'publish', 'places_writer'), prism.publish('kept', 'x');};
	my $begin = 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1;';
	is(sql(join "\n", 'SET client_min_messages = warning; \pset tuples_only on', '\o /dev/null', ($use, "$begin $use COMMIT;") x 8,
			'DROP EXTENSION prism; CREATE EXTENSION prism;', ($use, "$begin $use COMMIT;") x 8, '\o',
			q{SELECT count(*) FROM prism.read('kept')}), 16, 'in an extension made anew too');
}

# The extension goes with all of its topics, and comes again; what it held in shared memory does not pile up.
for (1 .. 5)
{
	sql('DROP EXTENSION prism');
	sql('CREATE EXTENSION prism');
	sql(q{SELECT prism.apply('namespaces: [{name: places, client_api: queue}, {name: other, client_api: queue}]')});
	sql(q{SELECT prism.publish('places', 'again'), prism.publish('other', 'again')});
}
is(sql(payloads('places')), 'again', 'DROP EXTENSION takes the messages; made anew, the topic begins anew');
for (1 .. 5)
{
	sql(q{SELECT prism.drop_namespace('other')});
	sql(q{SELECT prism.apply('namespaces: [{name: other, client_api: queue}]')});
	sql(q{SELECT prism.publish('other', 'anew')});
	eval { sql(q{BEGIN; SELECT prism.apply('namespaces: [{name: failed, client_api: queue}]'); SELECT prism.publish('failed', 'x'); SELECT 1 / 0}) };
	sql(q{BEGIN; SAVEPOINT s; SELECT prism.apply('namespaces: [{name: failed, client_api: queue}]'); SELECT prism.publish('failed', 'x'); ROLLBACK TO s; COMMIT});
	sql('BEGIN; DROP EXTENSION prism; CREATE EXTENSION prism; ROLLBACK');
}
is(sql(payloads('other')), 'anew', 'topics dropped, made again and rolled back over and over fit into prism.max_topics');
my $twelve = q{'namespaces: [' || string_agg(format('{name: full-%s, client_api: queue}', i), ', ') || ']'};
is(sql(qq{SELECT string_agg(p.namespace, ' ') FROM (SELECT $twelve AS config FROM generate_series(1, 12) i) c, prism.plan(c.config) p WHERE p.action = 'warning'}),
	'full-9 full-10 full-11 full-12', 'prism.plan says for which topics there is no place');
like(error_of($node, "SET client_min_messages = warning; SELECT count(*) FROM (SELECT $twelve AS config FROM generate_series(1, 12) i) c, prism.apply(c.config)"),
	qr/WARNING:  53400: prism.max_topics is too small for the topics of this database\nDETAIL:  The server keeps 12 topics in shared memory, over all databases; 4 more are needed to use all of them, and for the dead letters of consumer groups.\nHINT:  Raise prism.max_topics to at least 16 and restart/, 'so does prism.apply');
like(error_of($node, q{SELECT prism.publish('full-' || i, 'x') FROM generate_series(1, 12) i}),
	qr/53400: too many topics in use\nDETAIL:  .*12.*\nHINT:  Raise prism.max_topics and restart the server/, 'too many topics for shared memory');
like(sql(q{SELECT state || ': ' || hint FROM prism.doctor() WHERE item = 'prism.max_topics'}), qr/^error: 12 of 12 topics are in use.*prism.max_topics = 24/, 'the doctor answers, and knows');
is(sql(q{SELECT count(*), count(DISTINCT hint), min(hint) FROM prism.status WHERE state = 'error'}),
	'4|1|Its topic can be neither published to nor read: it has no place in shared memory, as all of prism.max_topics are in use. SELECT * FROM prism.doctor() prints the line to set.', 'prism.status says which namespaces cannot be used');
is(sql(q{SELECT count(*) FROM prism.status WHERE state <> 'error'}), 10, 'and which can');
is(sql(q{SELECT string_agg(topic, ' ' ORDER BY length(topic), topic) FROM prism.topics WHERE next_position IS NULL}), sql(q{SELECT string_agg(namespace, ' ' ORDER BY length(namespace), namespace) FROM prism.status WHERE state = 'error'}),
	'of which prism.topics shows what is on disk');
{
	my $dropper = $node->background_psql('postgres');
	my ($with, $without) = map { sql("SELECT min(namespace) FROM prism.status WHERE state $_ 'error'") } '<>', '=';
	$dropper->query_safe("BEGIN; SELECT prism.drop_namespace('$with', true)");
	is(sql("SELECT hint FROM prism.status WHERE namespace = '$with'"), 'The topic cannot be looked at: another session drops it or has its sequence locked, see pg_locks.', 'what is only busy has its place');
	is(sql("SELECT state FROM prism.status WHERE namespace = '$without'"), 'error', 'and what has none is told all the same');
	$dropper->query_safe('ROLLBACK');
	$dropper->quit;
	my $grouped = q{'namespaces: [{name: grouped, client_api: queue, consumers: [{group: g}]}, {name: plain, client_api: queue}]'};
	my $fails = '53400: too many topics in use';
	is(sql("SELECT detail FROM prism.plan($grouped) WHERE action IN ('warning', 'refused')"),
		"$fails\nprism.max_topics is too small for its topic: raise it and restart the server before anybody uses the topic", 'prism.plan says what prism.apply raises');
	like(error_of($node, "SELECT prism.apply($grouped)"), qr/ERROR:  53400: too many topics in use/, 'which it does');
	for my $change ([ $with, 0 ], [ $without, 1 ])
	{
		my $config = "'namespaces: [{name: $change->[0], client_api: queue, consumers: [{group: g}]}]'";
		is(sql("SELECT string_agg(detail, '') FROM prism.plan($config) WHERE action = 'refused'"), $change->[1] ? $fails : '', "consumers of $change->[0]: prism.plan");
		is(error_of($node, "SET client_min_messages = error; BEGIN; SELECT prism.apply($config); ROLLBACK") =~ /53400/ ? 1 : 0, $change->[1], 'and prism.apply');
	}
	is(sql(q{SELECT count(*) FROM prism.namespace WHERE name IN ('grouped', 'plain')}), 0, 'and makes nothing of it');
	is(sql(qq{SELECT detail FROM prism.plan('{name: $with, client_api: queue, consumers: [{group: g}]}') WHERE action = 'warning'}),
		'prism.max_topics is too small for the dead letters of its consumer groups: raise it and restart the server before one gives up a message', 'prism.plan says for which dead letters there is none');
	my @without = split /\n/, sql(q{SELECT namespace FROM prism.status WHERE state = 'error' ORDER BY 1});
	is(sql("SELECT detail FROM prism.apply('namespaces: [{name: $without[2], client_api: queue, needs: {max_message_size: 5kB}}]')") =~ /5kB|5000/, 1, 'what has no place can be changed');
	is(error_of($node, "SELECT prism.drop_namespace('$without[0]'); SELECT prism.drop_namespace('$without[1]', true)"), '', 'and dropped, also by force');
	is(sql(q{SELECT count(*) FILTER (WHERE state = 'error'), count(*) FROM prism.status}), '2|12', 'and is gone');
	sql("SELECT prism.apply(c.config) FROM (SELECT $twelve AS config FROM generate_series(1, 12) i) c");
}
is(sql(qq{SELECT count(*) > 0 FROM prism.$_}), 't', "so does prism.$_") for 'topics', 'status', 'metrics', 'workers';
is(sql(q{SELECT count(*) > 0 FROM prism.outbox}), 't', 'and prism.outbox, of those that have a place');
# The topic of dead letters needs a place as well.
my $worn = q{SELECT string_agg(convert_from(m.payload, 'UTF8'), ' ') FILTER (WHERE prism.ack(m) IS NOT NULL) FROM prism.consume('places', 'worn', 1) m};
my $letters = q{SELECT state, dead_letters, hint FROM prism.status WHERE namespace = 'places'};
is(sql($letters), 'ok|0|', 'without consumer groups it is not missed');
sql(q{SELECT prism.create_group('places', 'worn', start => 'latest', ordering => 'none', max_attempts => 1); SELECT prism.publish('places', 'poison'); SELECT prism.publish('places', 'good')});
is(sql($letters), q{warn|0|What consumer group worn gives up cannot become a dead letter, and stays unfinished: all of prism.max_topics are in use, and the dead letters' topic has no place among them. SELECT * FROM prism.doctor() prints the line to set.}, 'prism.status says that it has none');
is(sql("BEGIN; $worn; ROLLBACK"), 'poison', 'the last attempt of a message is rolled back');
my ($status, $got, $warned) = $node->psql('postgres', "\\set VERBOSITY verbose\n$worn");
is("$status $got", '0 good', 'it keeps nobody from the next one');
like($warned, qr/WARNING:  53400: messages that consumer group "worn" of topic "places" has given up cannot become dead letters\n.*\nHINT:  Raise prism.max_topics and restart/, 'which says so');
is(sql($worn), '', 'and is not handed out again');
my $unburied = qr/ERROR:  53400: a message of topic "places" cannot become a dead letter\nDETAIL:  All of prism.max_topics are in use.*\nHINT:  Raise prism.max_topics and restart the server: until then the message stays unfinished/;
for my $verb (q{reject(m, 'bad')}, 'nack(m)')
{
	sql(q{SELECT prism.publish('places', 'refused')});
	like(error_of($node, "SELECT prism.$verb FROM prism.consume('places', 'worn', 1) m"), $unburied, "$verb says why it cannot");
}
sql(q{CREATE ROLE places_handler LOGIN; SELECT prism.grant('places', 'consume', 'places_handler');
	CREATE TABLE handled (payload text); GRANT INSERT ON handled TO places_handler;
	CREATE FUNCTION handle(m prism.message) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
		IF m.payload = 'poison' THEN RAISE 'cannot'; END IF;
		INSERT INTO handled VALUES (convert_from(m.payload, 'UTF8')); END $$;
	SELECT prism.create_group('places', 'handler', start => 'latest', ordering => 'none', max_attempts => 1);
	SELECT prism.on('places', 'handler', 'handle(prism.message)', role => 'places_handler');
	SELECT prism.publish('places', 'poison'); SELECT prism.publish('places', 'handled')});
wait_for_value($node, 'SELECT payload FROM handled', 'handled');
pass('a handler goes on with the others');
sql(q{SELECT prism.off('places', 'handler')});
sql($worn) for 1 .. 2;
my $began = time;
sql(q{CALL prism.wait('places', 'worn', '2 s')});
cmp_ok(time - $began, '>=', 1, 'nor does it wake who waits for messages');
sql(q{SELECT prism.publish('places', 'more')});
sql(q{CALL prism.wait('places', 'worn', '1 h')});
is(sql($worn), 'more', 'which wakes him, and which he gets');
$node->append_conf('postgresql.conf', 'prism.max_topics = 40');
$node->restart;
is(sql("BEGIN; $worn; ROLLBACK"), 'poison', 'with a place: what was rolled back is not known any more after a restart');
sql($worn);
is(sql($letters), 'ok|1|', 'but then it becomes a dead letter');
is(sql(q{SELECT count(prism.publish('full-' || i, 'x')) FROM generate_series(1, 12) i}), 12, 'what the hint says helps');
is(sql(q{SELECT count(*) FROM prism.status WHERE state = 'error'}), 0, 'so says prism.status');

# One place left is enough for all that one call gives up; with none, a handler's failures come back after the group's back-off while attempts are left.
{
	my $count = 39 - sql('SELECT count(*) FROM prism.topic');
	my $last = q{SELECT count(*) FROM prism.read('last-1.dlq')};
	sql(qq{SET client_min_messages = error; SELECT prism.apply('namespaces: [' || string_agg(format('{name: last-%s, client_api: queue}', i), ', ') || ']') FROM generate_series(1, $count) i});
	sql(qq{SELECT prism.publish('last-' || i, 'x') FROM generate_series(1, $count) i});
	sql(q{SELECT prism.create_group('last-1', 'g', ordering => 'none', max_attempts => 1); SELECT prism.publish('last-1', 'y') FROM generate_series(1, 3)});
	sql(q{BEGIN; SELECT count(*) FROM prism.consume('last-1', 'g', 2); ROLLBACK});
	is(error_of($node, q{SELECT count(*) FROM prism.consume('last-1', 'g', 1)}) . sql($last), '2', 'two whose attempts are used up, by one consume()');
	sql(q{SELECT prism.create_group('last-2', 'h', ordering => 'none', max_attempts => 5, lease => '1 h', backoff => '{1 ms}');
		SELECT prism.grant('last-2', 'consume', 'places_handler');
		CREATE FUNCTION fail_once(m prism.message) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
			IF m.attempt = 1 THEN RAISE 'cannot'; END IF;
			INSERT INTO handled VALUES ('attempt ' || m.attempt); END $$;
		SELECT prism.on('last-2', 'h', 'fail_once(prism.message)', role => 'places_handler')});
	wait_for_value($node, q{SELECT payload FROM handled WHERE payload <> 'handled'}, 'attempt 2');
	pass('a failure that is not the last');
}

# Without preload
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
my $hint = qr/55000: prism must be loaded at server start\nHINT:  Add prism to shared_preload_libraries in postgresql.conf and restart the server/;
like(error_of($node, $_), $hint, "without preload: $_")
  for q{SELECT prism.publish('places', 'x')}, q{SELECT prism.publish('nowhere', 'x')}, q{SELECT prism.publish_batch(NULL, '{1}'::jsonb[])}, q{SELECT * FROM prism.read('nowhere')}, q{SELECT prism.publish_batch('places', '{1}'::jsonb[])}, q{SELECT * FROM prism.read('places')},
  q{SELECT * FROM prism.apply('name: none')}, q{SELECT * FROM prism.apply('name: places')}, q{SELECT * FROM prism.plan('name: none')}, q{SELECT prism.drop_namespace('places', true)},
  q{SELECT * FROM prism.outbox}, q{INSERT INTO prism.outbox (topic, payload) VALUES ('places', 'x')}, q{SELECT * FROM prism.consume('places', 'g')};
is(sql(q{SELECT count(*) FILTER (WHERE name = 'none'), count(*) FILTER (WHERE name = 'places') FROM prism.namespace}), '0|1', 'nothing was made or dropped');
is(sql('SELECT count(*) > 0 FROM prism.topics'), 't', 'the views answer');
is(sql('SELECT prism.version()'), sql(q{SELECT extversion FROM pg_extension WHERE extname = 'prism'}), 'so does prism.version()');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'prism'");
$node->restart;
is(sql(payloads('places')), 'again poison good refused refused poison handled more', 'preloaded again, all is there');
is(log_count($node, 'PANIC|TRAP|terminated by signal'), 0, 'without an accident');

done_testing();
