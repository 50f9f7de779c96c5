# Groups across the end of a backend, of the server and of the database they live in.
# timeout: 300
use PrismTest;

my $node = prism_node('main', conf => "prism.max_groups = 4\nprism.group_window = 64\n");

sub sql
{
	my ($query, $database) = @_;
	return $node->safe_psql($database // 'postgres', $query);
}

sub error_of
{
	my ($server, $query) = @_;
	my (undef, undef, $stderr) = $server->psql('postgres', "\\set VERBOSITY verbose\n$query");
	return $stderr;
}

sub apply_and_publish
{
	my ($topic, $count, $database) = @_;
	sql("SELECT prism.apply('name: $topic')", $database);
	sql("SELECT count(prism.publish('$topic', n::text)) FROM generate_series(1, $count) AS n", $database);
	return;
}

# "position:attempt" of what a group gets now
sub take
{
	my ($topic, $group, $max) = @_;
	$max //= 100;
	return sql(qq{SELECT coalesce(string_agg("position" || ':' || attempt, ' '), 'nothing') FROM prism.consume('$topic', '$group', $max)});
}

# What was handed out and is finished survives the server; leases do not.
apply_and_publish('restart', 10);
sql(q{SELECT count(*) FROM prism.consume('restart', 'g', 6); SELECT prism.ack('restart', 'g', '{0,1,3,5}')});
sql(q{BEGIN; SELECT prism.ack(m) FROM prism.consume('restart', 'g', 1) AS m; ROLLBACK});
# That somebody had messages before the first stop nobody knows; after it, every attempt is written down.
my $attempt = 0;
for my $mode ('fast', 'immediate')
{
	$node->stop($mode);
	$node->start;
	$attempt++;
	is(take('restart', 'g'), join(' ', map { "$_:$attempt" } 2, 4, 6 .. 9), "after stop -m $mode a group goes on with what it has not finished");
}
sql(q{SELECT count(*) FROM prism.consume('restart', 'other'); SELECT prism.ack('restart', 'other', ARRAY[7])});
sql(q{SELECT prism.publish('restart', 'more')});
$node->stop('immediate');
$node->start;
like(take('restart', 'g'), qr/^2:3 4:3 6:3 7:3 8:3 9:3 \d+:1$/, 'and gets what was published before a crash');
is(sql(q{SELECT string_agg(lag_messages::text, ' ' ORDER BY consumer_group) FROM prism.groups WHERE topic = 'restart'}), '7 10',
	'each group by itself');

# A message was acknowledged by nobody who did not commit.
my $consumer = $node->background_psql('postgres');
my $consumer_pid = $consumer->query_safe('SELECT pg_backend_pid()');
apply_and_publish('exit', 4);
sql(q{SELECT prism.create_group('exit', 'g')});
$consumer->query_safe(q{BEGIN; SELECT prism.ack(m) FROM prism.consume('exit', 'g', 2) AS m});
is(take('exit', 'g', 1), '2:1', 'what an open transaction has is nobody else\'s');
sql("SELECT pg_terminate_backend($consumer_pid)");
wait_for_value($node, "SELECT count(*) FROM pg_stat_activity WHERE pid = $consumer_pid", 0);
is(take('exit', 'g', 2), '0:2 1:2', 'the end of its backend gives it back');
$consumer->{run}->finish;

# After COMMIT the lease is the application's, not the connection's.
is(sql(q{SELECT in_flight FROM prism.groups WHERE topic = 'exit'}), 3, 'a lease outlives the session that took it');
is(sql(q{SELECT prism.ack('exit', 'g', ARRAY[m.position], ARRAY[m.lease_id]) FROM prism.consume('exit', 'g', 1) AS m}), 1,
	'an acknowledgement goes by its lease id');

# kill -9 of a backend that holds messages restarts the server: what it had not committed is back.
my $killed = $node->background_psql('postgres');
my $killed_pid = $killed->query_safe('SELECT pg_backend_pid()');
$killed->query_safe(q{BEGIN; SELECT prism.ack(m) FROM prism.consume('exit', 'g', 10, lease => '1 hour') AS m});
kill_process($killed_pid);
$node->poll_query_until('postgres', 'SELECT true');
is(take('exit', 'g'), '0:3 1:3 2:2', 'a killed backend acknowledged nothing, and of attempts those count that were committed');
$killed->{run}->finish;

# An acknowledgement that waits in COMMIT cannot lose its lease.
$node->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'");
$node->reload;
wait_for_value($node, 'SHOW synchronous_standby_names', 'nobody');
my $committing = $node->background_psql('postgres');
my $committing_pid = $committing->query_safe(q{SET synchronous_commit = on; SELECT pg_backend_pid()});
sql(q{SET synchronous_commit = local; SELECT prism.publish('exit', 'slow')});
$committing->query_safe(q{BEGIN; SELECT prism.ack(m) FROM prism.consume('exit', 'g', 1, lease => '1 microsecond') AS m});
$committing->query_until(qr/begun/, "\\echo begun\nCOMMIT;\n");
wait_for_value($node, "SELECT wait_event FROM pg_stat_activity WHERE pid = $committing_pid", 'SyncRep');
is(take('exit', 'g'), 'nothing', 'nobody else gets it, though the lease has ended');
is(sql(q{SELECT in_flight > 0 FROM prism.groups WHERE topic = 'exit'}), 't', 'it is still in flight');
$node->append_conf('postgresql.conf', "synchronous_standby_names = ''");
$node->reload;
$committing->query_safe('SELECT 1');
is(take('exit', 'g'), 'nothing', 'once committed it is finished');
$committing->quit;

# CALL prism.wait() holds no snapshot, can be cancelled, and wakes up by a commit.
my $waiter = $node->background_psql('postgres', on_error_stop => 0);
my $waiter_pid = $waiter->query_safe('SELECT pg_backend_pid()');
my $asleep = "SELECT count(*) FROM pg_stat_activity WHERE pid = $waiter_pid AND wait_event_type = 'Extension' AND ";
$waiter->query_until(qr/begun/, "\\echo begun\nCALL prism.wait('exit', 'g', '1 hour');\n");
wait_for_value($node, $asleep . 'backend_xmin IS NULL', 1);
pass('who waits outside of a transaction block holds no snapshot');
sql(q{SELECT prism.publish('exit', 'wake up')});
is($waiter->query_safe('SELECT 1'), 1, 'and is woken by a commit');
take('exit', 'g');
$waiter->query_until(qr/begun/, "\\echo begun\nCALL prism.wait('exit', 'g', '1 hour');\n");
wait_for_value($node, $asleep . 'backend_xmin IS NULL', 1);
sql("SELECT pg_cancel_backend($waiter_pid)");
is($waiter->query('SELECT 2'), 2, 'and can be cancelled');
$waiter->query_until(qr/begun/, "BEGIN ISOLATION LEVEL REPEATABLE READ;\n\\echo begun\nCALL prism.wait('exit', 'g', '1 hour');\n");
wait_for_value($node, $asleep . 'backend_xmin IS NOT NULL', 1);
pass('under REPEATABLE READ it holds its snapshot, as it must');
sql("SELECT pg_terminate_backend($waiter_pid)");
wait_for_value($node, "SELECT count(*) FROM pg_stat_activity WHERE pid = $waiter_pid", 0);
$waiter->{run}->finish;

# As many unfinished messages as the window holds: the others wait, with a warning; one that is stuck blocks nobody.
apply_and_publish('full', 1300);
is(sql(q{SELECT count(*) FROM prism.consume('full', 'g', 1000)}), 64, 'a group has at most prism.group_window unfinished messages');
like(error_of($node, q{SELECT count(*) FROM prism.consume('full', 'g')}), qr/WARNING:  53400: .*\n.*\nHINT:.*prism\.group_window/,
	'no room is told');
is(sql(q{SELECT window_full FROM prism.groups WHERE topic = 'full'}), 't', 'and shown');
sql(q{SELECT prism.drop_group('full', 'g')});
sql(q{SELECT "position" FROM prism.consume('full', 'g', 1);
	DO $$ BEGIN FOR i IN 1 .. 1299 LOOP PERFORM prism.ack(m) FROM prism.consume('full', 'g', 1) AS m; COMMIT; END LOOP; END $$});
is(sql(q{SELECT "position", in_flight, lag_messages FROM prism.groups WHERE topic = 'full'}), '0|1|1',
	'a message that nobody finishes holds up none of those behind it');
$node->restart;
is(take('full', 'g'), '0:2', 'also not after a restart, which knows of the first attempt from a checkpoint');
is(sql(q{SELECT count(*) FROM prism.read('full', 0, 10000)}), 1300, 'nothing is gone of what others may read');
my $progress = sql(q{SELECT format('prism_log.topic_%s_0', topic_id) FROM prism.topic WHERE name = '__prism_progress'});
cmp_ok(sql("SELECT count(*) FROM $progress WHERE key LIKE 'g%' AND get_byte(payload, 1) = ascii('C')"), '>=', 1,
	'now and then the progress log has the whole state, from which a restart starts');

# Publishers that must not run away from groups without a place: the progress log is read once for all of them, and not again
# while what was seen counts, which is longer the longer it took to see.
my $scans = "SELECT coalesce(sum(idx_scan), 0) FROM pg_stat_all_tables WHERE relid = '$progress'::regclass";
my $publish = q{SELECT prism.publish('bounded', 'x') IS NOT NULL};
sql(q{SELECT prism.apply('{name: bounded, needs: {retain: consumers, max_backlog: 5, on_full: reject}}');
	SELECT count(prism.create_group('bounded', 'g' || n)) FROM generate_series(1, 100) AS n; SELECT pg_stat_force_next_flush()});
my $scans_before = sql($scans);
sql("$publish; SELECT pg_stat_force_next_flush()");
cmp_ok(sql($scans) - $scans_before, '<', 50, 'one look at a hundred groups');
my $locker = $node->background_psql('postgres');
sub publish_slowly		# its look takes more than a second
{
	$locker->query_safe("BEGIN; LOCK TABLE $progress");
	my $run = { err => '' };
	$run->{run} = IPC::Run::start([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-v', 'ON_ERROR_STOP=1',
			'-c', "SET application_name = 'slow'", '-c', $publish ], '>', '/dev/null', '2>', \$run->{err});
	wait_for_value($node, q{SELECT wait_event = 'relation' AND clock_timestamp() - query_start > '1.1 s' FROM pg_stat_activity WHERE application_name = 'slow'});
	return $run;
}
wait_for_value($node, 'SELECT clock_timestamp() > ' . sql(q{SELECT quote_literal(clock_timestamp() + '1 s')}) . '::timestamptz');
my $slow = publish_slowly();
is(sql("SET lock_timeout = '10s'; $publish"), 't', 'while somebody looks, others go by what was seen before');
$locker->query_safe('COMMIT');
$slow->{run}->finish;
is($slow->{err}, '', 'who has looked publishes');
$locker->query_safe("BEGIN; LOCK TABLE $progress");
is(sql("SET lock_timeout = '10s'; $publish; $publish"), "t\nt", 'what it has seen counts from then on');
like(error_of($node, "SET lock_timeout = '10s'; $publish"), qr/53400: .*topic "bounded" is full\nDETAIL:  Consumer group "g\d+" has not finished 5 messages/, 'also for who is refused');
$locker->quit;
sql(q{SELECT prism.drop_namespace('bounded', force => true)});

# No place for a fifth group; the error says what to set, the views go on.
is(sql(q{SELECT count("position") FROM prism.groups}), 4, 'looking at groups loads them');
take('full', $_) for 'h', 'i', 'j';
pass('but takes no place away from those who consume');
like(error_of($node, q{SELECT count(*) FROM prism.consume('restart', 'fifth')}), qr/53400: .*\n.*\nHINT:  Raise prism\.max_groups/s,
	'more groups than prism.max_groups: a clear error');
is(sql(q{SELECT count(*), count("position") FROM prism.groups}), '7|4', 'prism.groups shows those without a place, too');
sql(q{SELECT prism.drop_group('full', 'h')});
like(take('restart', 'other'), qr/^0:1 /, 'dropping a group frees its place');

# Who holds messages of a group that was made anew meanwhile, and has no place now, gives back nothing.
sql(q{SELECT prism.drop_group('full', 'i'); SELECT prism.create_group('full', 'i')});
my $cursor = $node->background_psql('postgres', on_error_stop => 0);
$cursor->query_safe(q{BEGIN; DECLARE k CURSOR FOR SELECT prism.consume('full', 'i', 5); FETCH 1 FROM k});
sql(q{SELECT prism.drop_group('full', 'i'); SELECT prism.create_group('full', 'i', 'latest')});
take('restart', 'fifth');
is($cursor->query_safe(q{SELECT count("position") FROM prism.groups WHERE consumer_group = 'i'}), 0, 'a group finds no place');
is($cursor->query("SAVEPOINT s;\nSELECT count(*) FROM prism.consume('full', 'i');\nROLLBACK TO s;\nCLOSE k;\nSELECT 'well';\nCOMMIT;"), 'well', 'and whose cursor has messages of the former one can close it');
$cursor->quit;
sql(q{SELECT prism.drop_group('restart', 'fifth')});

# ... and so do DROP EXTENSION and DROP DATABASE.
sql('CREATE DATABASE second');
sql('DROP EXTENSION prism');
for my $round (1 .. 3)
{
	sql('CREATE EXTENSION prism', 'second');
	apply_and_publish('t', 1, 'second');
	is(sql(q{SELECT count(*) FROM generate_series(1, 4) AS n, LATERAL prism.consume('t', 'g' || n)}, 'second'), 4,
		"all places are free, round $round");
	sql($round == 1 ? 'DROP EXTENSION prism' : 'SELECT 1', 'second');
	sql('DROP DATABASE second; ') if $round == 2;
	sql('CREATE DATABASE second') if $round == 2;
}

# pg_dump and restore carry positions along.
sql(q{SELECT prism.drop_group('t', 'g' || n) FROM generate_series(2, 4) AS n;
	SELECT count(prism.publish('t', n::text)) FROM generate_series(1, 5) AS n;
	SELECT prism.create_group('t', 'moved');
	SELECT count(*) FROM prism.consume('t', 'moved'); SELECT prism.ack('t', 'moved', '{0,2,3}')}, 'second');
$node->command_ok([ 'pg_dump', '--file', "$PostgreSQL::Test::Utils::tmp_check/dump.sql", '-d', $node->connstr('second') ], 'dump');
my $target = prism_node('target', extension => 0);
$target->safe_psql('postgres', 'CREATE DATABASE second');
$target->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $target->connstr('second'),
		'-f', "$PostgreSQL::Test::Utils::tmp_check/dump.sql" ], 'restore');
is($target->safe_psql('second', q{SELECT string_agg(m.position || ':' || prism.ack(m), ' ') FROM prism.consume('t', 'moved') AS m}), '1:1 4:1 5:1',
	'a restored group goes on where it was');
$target->stop;

# On a standby nothing is consumed, without the library at server start neither.
my $primary = prism_node('primary', streaming => 1);
$primary->safe_psql('postgres', q{SELECT prism.apply('name: t'); SELECT prism.publish('t', 'x'); SELECT prism.publish('t', 'y');
	SELECT prism.create_group('t', 'g')});
$primary->safe_psql('postgres', q{SELECT prism.ack(m) FROM prism.consume('t', 'g', 1) AS m});
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);
like(error_of($standby, "SELECT * FROM $_"), qr/25006: .*\n.*\nHINT:  Connect to the primary/s, "$_ on a standby")
  for "prism.consume('t', 'g')", "prism.read('t')", "prism.ack('t', 'g', '{1}')";
is($standby->safe_psql('postgres', 'SELECT consumer_group, "position" FROM prism.groups'), 'g|', 'prism.groups shows which groups there are');
# Retention does not wait for groups, but tells; what was read ahead before is no better.
$primary->safe_psql('postgres', q{SET prism.segment_messages = 1024; SELECT prism.apply('name: slow');
	SELECT count(prism.publish('slow', n::text)) FROM generate_series(1, 100) AS n; SELECT prism.create_group('slow', 'g')});
$primary->safe_psql('postgres', q{SELECT count(prism.ack(m)) FROM prism.consume('slow', 'g', 30) AS m});
$primary->append_conf('postgresql.conf', 'prism.retention = 0');
$primary->reload;
$primary->safe_psql('postgres', q{SELECT count(prism.publish('slow', n::text)) FROM generate_series(1, 1000) AS n}) for 1 .. 4;
wait_for_value($primary, q{SELECT min(segment_number) > 0 FROM prism.segment JOIN prism.topic USING (topic_id) WHERE name = 'slow'});
like(error_of($primary, q{SELECT count(*) FROM prism.consume('slow', 'g', 1000)}),
	qr/55000: .*consumer group "g" has fallen behind the retention of topic "slow"\nDETAIL:.* The first message kept is at position \d+\.\nHINT/, 'whoever is behind retention is told');
is(error_of($primary, q{SELECT prism.seek('slow', 'g', 'earliest'); SELECT count(*) FROM prism.consume('slow', 'g')}), '', 'and goes on when he says where');
$primary->append_conf('postgresql.conf', 'prism.retention = -1');
$primary->reload;
$primary->wait_for_catchup($standby);

$primary->stop('immediate');
$standby->promote;
is($standby->safe_psql('postgres', q{SELECT string_agg("position"::text, ' ') FROM prism.consume('t', 'g')}), '1',
	'promoted, it goes on where the primary was');
$standby->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$standby->restart;
like(error_of($standby, "SELECT * FROM $_"), qr/55000: .*shared_preload_libraries/s, "$_ without preload")
  for "prism.consume('t', 'g')", "prism.read('t')", "prism.ack('t', 'g', '{1}')";

done_testing();
