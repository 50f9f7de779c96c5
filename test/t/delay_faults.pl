# Delayed messages on bad days: what keeps one topic from its messages keeps no other from theirs, and loses none.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PrismTest;

my $node = prism_node('main', preload => commit_fault_library() . ', prism', conf => "prism.segment_messages = 1024\n");
sub sql { return $node->safe_psql('postgres', shift) }

sub publish
{
	my ($topic, $from, $to) = @_;
	sql("SELECT count(prism.publish('$topic', i::text, deliver_at => clock_timestamp() + interval '50 ms')) FROM generate_series($from, $to) i");
	return;
}

# Waits until so many messages of a topic have come; returns the payloads from one of them on.
sub come
{
	my ($topic, $count, $from) = @_;
	wait_for_value($node, "SELECT count(*) FROM prism.read('$topic', 0, 10000)", $count);
	return sql("SELECT string_agg(convert_from(payload, 'UTF8'), ' ' ORDER BY position)
		FROM (SELECT * FROM prism.read('$topic', 0, 10000) OFFSET $from) m");
}

# Every commit calls it: see below.
sql('CREATE FUNCTION fault() RETURNS void LANGUAGE plpgsql AS $$ BEGIN END $$');
sql("ALTER DATABASE postgres SET commit_fault.statement = 'SELECT public.fault()'");
$node->restart;
sql("SELECT count(*) FROM unnest(ARRAY['dead', 'alive', 'late']) t, prism.apply(format('{name: %s, client_api: queue}', t))");
my $dead = sql(q{SELECT topic_id FROM prism.topic WHERE name = 'dead'});
sql(q{SELECT prism.publish('dead', 'x')});
wait_for_value($node, q{SELECT segments FROM prism.topics WHERE topic = 'dead'}, 2);

# No segment can be made for the topic, as somebody has taken its name, and those it has are full.
sql("CREATE TABLE prism_log.topic_${dead}_2 (); SELECT count(prism.publish('dead', 'x')) FROM generate_series(2, 2048)");
publish('dead', 1, 3);
publish('alive', 1, 3);
is(come('alive', 3, 0), '1 2 3', 'while a topic has no segment, messages of others come');
is(sql(q{SELECT next_position FROM prism.topics WHERE topic = 'dead'}), 2048, 'and its own wait');
is( sql(q{SELECT count(*) FROM prism.workers WHERE kind = 'scheduler' AND (state <> 'running' OR error IS NOT NULL)}),
	0, 'which is no failure of the scheduler: it did not wait for the segment');
sql("DROP TABLE prism_log.topic_${dead}_2; SELECT prism.wake_workers()");
is(come('dead', 2051, 2048), '1 2 3', 'until it has one: then they come, once and in order');

# A full topic takes as many as it has room for, and makes nobody else wait.
sql(q{SELECT prism.apply('{name: full, client_api: queue, needs: {retain: consumers, max_backlog: 2, on_full: reject}}'); SELECT prism.create_group('full', 'g')});
publish('full', 1, 3);
publish('late', 1, 1);
is(come('full', 2, 0), '1 2', 'a topic takes what it has room for');
is(come('late', 1, 0), '1', 'others do not wait for it');
is(sql(q{SELECT count(prism.ack(m)) FROM prism.consume('full', 'g', 2) m}), 2, 'a consumer makes room');
is(come('full', 3, 2), '3', 'and the next one comes');
is(log_count($node, qr/is full/), 0, 'none of which is an error');

# What becomes due while others wait for room comes behind them, whoever makes room at that moment.
sql(q{SELECT prism.apply('{name: ordered, client_api: queue, needs: {retain: consumers, max_backlog: 2, on_full: reject}}'); SELECT prism.create_group('ordered', 'g')});
sql(q{SELECT count(prism.publish('ordered', i::text)) FROM generate_series(1, 2) i});
publish('ordered', 3, 7);
wait_for_value($node, q{SELECT delayed = 5 AND next_due < clock_timestamp() FROM prism.topics WHERE topic = 'ordered'}, 't');
for my $made (1 .. 12)
{
	sql("SELECT prism.publish('ordered', '" . (2 * $made + 6) . q{', deliver_at => clock_timestamp() + interval '80 ms');
		SELECT count(prism.ack(m)) FROM prism.consume('ordered', 'g', 1) m});
	sql("SELECT prism.publish('ordered', '" . (2 * $made + 7) . q{', deliver_at => clock_timestamp() + interval '80 ms')});
	wait_for_value($node, q{SELECT count(*) FROM prism.read('ordered', 0, 100)}, 2 + $made);
}
is(come('ordered', 14, 0), join(' ', 1 .. 14), 'a full topic gets delayed messages in the order of time');
sql(q{SELECT prism.drop_namespace('ordered', force => true)});

# Any other fault: the scheduler's commits fail when they have written to the topic.
sql(qq{
	CREATE OR REPLACE FUNCTION fault() RETURNS void LANGUAGE plpgsql AS \$\$
	BEGIN
		IF current_setting('application_name') = 'prism scheduler' AND
			EXISTS (SELECT FROM prism_log.topic_${dead}_2 t WHERE t.xmin = pg_current_xact_id()::xid) THEN
			RAISE 'no commit for this one';
		END IF;
	END \$\$});
publish('dead', 4, 6);
publish('alive', 4, 6);
is(come('alive', 6, 3), '4 5 6', 'while one topic cannot be published to, messages of others come');
publish('dead', 7, 9);
publish('late', 2, 3);
is(come('late', 3, 1), '2 3', 'those of a topic that is used later, too');
wait_for_value($node, q{SELECT delayed FROM prism.topics WHERE topic = 'dead'}, 6);
like(sql(q{SELECT error FROM prism.workers WHERE kind = 'scheduler'}), qr/^topic "dead": /, 'prism.workers names the topic');
cmp_ok(log_count($node, qr/delayed messages of topic "dead" cannot be delivered/), '<=', 2, 'the log says so, not with every try');

sql('CREATE OR REPLACE FUNCTION fault() RETURNS void LANGUAGE plpgsql AS $$ BEGIN END $$; SELECT prism.wake_workers()');
is(come('dead', 2057, 2051), '4 5 6 7 8 9', 'after the repair all of them come, in order');
wait_for_value($node, q{SELECT error IS NULL FROM prism.workers WHERE kind = 'scheduler'}, 't');
$node->restart;
publish('alive', 7, 7);
is(come('alive', 7, 6), '7', 'and nothing comes twice');

# Damage at the head of one topic's line, as a process meets it that begins anew, or goes on.
sub due_in_an_hour
{
	my ($topic, $from, $to) = @_;
	sql("SELECT count(prism.publish('$topic', i::text, deliver_at => now() + interval '1 hour')) FROM generate_series($from, $to) i");
	wait_for_value($node, "SELECT delayed FROM prism.topics WHERE topic = '$topic'", $to - $from + 1);
	return;
}

due_in_an_hour('dead', 10, 12);
due_in_an_hour('alive', 8, 8);
my ($bucket) = sql(q{SELECT max(bucket_id) FROM prism.delay_bucket});
wait_for_value($node, "SELECT count(*) FROM prism_log.delayed_$bucket", 4);
sql(qq{ALTER TABLE prism_log.delayed_$bucket ALTER id DROP NOT NULL;
	UPDATE prism_log.delayed_$bucket SET due_at = now() - interval '1 min';
	UPDATE prism_log.delayed_$bucket SET id = NULL WHERE topic_id = $dead AND payload = '10'});
$node->restart;
is(come('alive', 8, 7), '8', 'while a row of one topic is damaged, messages of others come');
wait_for_value($node, q{SELECT error ~ '^topic "dead": a row of "delayed_\d+" is damaged' FROM prism.workers WHERE kind = 'scheduler'}, 't');
publish('alive', 9, 9);
is(come('alive', 9, 8), '9', 'those that are published later, too');
sql(qq{DELETE FROM prism_log.delayed_$bucket WHERE id IS NULL; SELECT prism.wake_workers()});
wait_for_value($node, "SELECT error = 'topic \"dead\": 1 delayed messages of topic \"dead\" are not found in prism_log.delayed_$bucket' FROM prism.workers WHERE kind = 'scheduler'", 't');
is(sql(q{SELECT count(*) FROM prism.read('dead', 0, 10000)}), 2057, 'when it is deleted, none of the topic comes until somebody says that it is gone');
publish('alive', 10, 10);
is(come('alive', 10, 9), '10', 'those of others do');
my ($statement) = slurp_file($node->logfile) =~ /HINT: .*(INSERT INTO prism\.delay_lost .* VALUES \($bucket, $dead, 1\)); SELECT prism\.wake_workers/;
sql("$statement; SELECT prism.wake_workers()");
is(come('dead', 2059, 2057), '11 12', 'then those behind it come');
cmp_ok(log_count($node, qr/WARNING:  1 delayed messages of topic "dead" are written off/), '>=', 1, 'and the log tells so');
wait_for_value($node, q{SELECT error IS NULL FROM prism.workers WHERE kind = 'scheduler'}, 't');

# Rows that are not there yet, as a restore that is under way has brought them not yet; the bucket is past meanwhile.
due_in_an_hour('dead', 13, 14);
my ($restored) = sql(q{SELECT max(bucket_id) FROM prism.delay_bucket});
wait_for_value($node, "SELECT count(*) FROM prism_log.delayed_$restored WHERE payload IN ('13', '14')", 2);
$node->append_conf('postgresql.conf', 'prism.enabled = off');
$node->restart;
sql(qq{CREATE TABLE rest AS SELECT * FROM prism_log.delayed_$restored WHERE payload IN ('13', '14');
	UPDATE rest SET due_at = now() - interval '1 s';
	DELETE FROM prism_log.delayed_$restored WHERE payload IN ('13', '14');
	UPDATE prism.delay_bucket SET due_from = '2000-01-01', due_to = '2000-01-02' WHERE bucket_id IN ($bucket, $restored)});
my $restore = $node->background_psql('postgres');
$restore->query_safe("BEGIN; INSERT INTO prism_log.delayed_$restored SELECT * FROM rest");
$node->append_conf('postgresql.conf', 'prism.enabled = on');
$node->reload;
wait_for_value($node, "SELECT error ~ '2 delayed messages of topic .dead. are not found' FROM prism.workers WHERE kind = 'scheduler'", 't');
publish('alive', 11, 11);
is(come('alive', 11, 10), '11', 'while a restore has not brought all rows, messages of others come');
is(sql(q{SELECT delayed FROM prism.topics WHERE topic = 'dead'}), 2, 'and those of its topic wait');
$restore->query_safe('COMMIT');
$restore->quit;
sql('SELECT prism.wake_workers()');
is(come('dead', 2061, 2059), '13 14', 'until it has: then they come');

# Of which somebody has said that they are gone, or rows that did not wait: the table stays until somebody has looked.
wait_for_value($node, "SELECT bool_and(retired) FROM prism.delay_bucket WHERE bucket_id IN ($bucket, $restored)", 't');
wait_for_value($node, q{SELECT prism.wake_workers() IS NOT NULL AND NOT EXISTS (SELECT FROM prism.delay_bucket WHERE retired AND bucket_id NOT IN (SELECT bucket_id FROM prism.delay_lost))}, 't');
is(sql("SELECT to_regclass('prism_log.delayed_$bucket') IS NOT NULL"), 't', 'a bucket of which something was written off is kept');
sql(qq{CREATE VIEW viewer AS SELECT * FROM prism_log.delayed_$bucket; DELETE FROM prism.delay_lost WHERE bucket_id = $bucket;
	INSERT INTO prism.delay_bucket VALUES ($bucket + 1000, '2000-01-01', '2000-01-02', true); SELECT prism.wake_workers()});
wait_for_value($node, "SELECT count(*) FROM prism.delay_bucket WHERE bucket_id = $bucket + 1000", 0);
is(sql('SELECT count(*) > 0 FROM viewer'), 't', 'one on which a view hangs keeps no other');
sql('DROP VIEW viewer; SELECT prism.wake_workers()');
$node->poll_query_until('postgres', "SELECT prism.wake_workers() IS NOT NULL AND to_regclass('prism_log.delayed_$bucket') IS NULL");
is(sql("SELECT count(*) FROM prism.delay_bucket WHERE bucket_id = $bucket"), 0, 'until that is taken back');
due_in_an_hour('dead', 15, 15);
($bucket) = sql(q{SELECT max(bucket_id) FROM prism.delay_bucket});
sql(qq{UPDATE prism_log.delayed_$bucket SET due_at = now() - interval '1 s';
	INSERT INTO prism_log.delayed_$bucket SELECT topic_id, now() + interval '1 day', sequence, id, key, headers, payload FROM prism_log.delayed_$bucket WHERE payload = '15';
	UPDATE prism.delay_bucket SET due_from = '2000-01-01', due_to = '2000-01-02' WHERE bucket_id = $bucket});
$node->restart;
is(come('dead', 2062, 2061), '15', 'what waited comes');
wait_for_value($node, "SELECT retired FROM prism.delay_bucket WHERE bucket_id = $bucket", 't');
is(sql("SELECT messages FROM prism.delay_lost WHERE bucket_id = $bucket AND written_off"), 0, 'and rows that did not wait keep their table');
due_in_an_hour('late', 4, 4);
($bucket) = sql(q{SELECT max(bucket_id) FROM prism.delay_bucket});

# Somebody has the bucket locked into which messages belong, and in which others are due.
my $locker = $node->background_psql('postgres');
$locker->query_safe("BEGIN; REINDEX TABLE prism_log.delayed_$bucket");
sql(q{SELECT prism.publish('late', '5', deliver_at => due_to - interval '1 s') FROM prism.delay_bucket WHERE bucket_id = } . $bucket);
publish('alive', 12, 12);
is(come('alive', 12, 11), '12', 'while somebody has a bucket locked, messages of others come');
wait_for_value($node, "SELECT count(*) FROM prism.delay_bucket JOIN prism.delay_bucket o USING (due_from, due_to) WHERE o.bucket_id = $bucket", 2);
is(sql(q{SELECT count(*) FROM prism.workers WHERE kind = 'scheduler' AND error IS NOT NULL}), 0, 'and what belongs there goes to another one');
$locker->query_safe('COMMIT');
$locker->quit;
is(log_count($node, 'PANIC|TRAP|terminated by signal'), 0, 'without an accident');

# When what is due first lies in a bucket that somebody has locked, what its topic has elsewhere does not pass it.
sql(q{SELECT prism.apply('{name: behind_lock, client_api: queue}')});
sql(q{SELECT prism.publish('behind_lock', '1', deliver_at => clock_timestamp() + interval '3 s')});
wait_for_value($node, q{SELECT delayed FROM prism.topics WHERE topic = 'behind_lock'}, 1);
$bucket = bucket_of(sql(q{SELECT topic_id FROM prism.topic WHERE name = 'behind_lock'}));
$locker = $node->background_psql('postgres');
$locker->query_safe("BEGIN; REINDEX TABLE prism_log.delayed_$bucket");
sql(q{SELECT prism.publish(t, '2', deliver_at => clock_timestamp() + interval '3 s') FROM unnest('{behind_lock,alive}'::text[]) t});
is(come('alive', 13, 12), '2', 'messages of others come');
is(sql(q{SELECT count(*) FROM prism.read('behind_lock', 0, 10)}), 0, 'those of the topic wait for the first one');
$locker->query_safe('COMMIT');
$locker->quit;
is(come('behind_lock', 2, 0), '1 2', 'and come in order');

# Rows that were written off, and come after all: they are not taken for those that wait, and nobody waits for less than nothing.
sub bucket_of
{
	my ($id) = @_;
	my ($number) = grep { sql("SELECT count(*) FROM prism_log.delayed_$_ WHERE topic_id = $id") > 0 }
		split /\n/, sql('SELECT bucket_id FROM prism.delay_bucket WHERE NOT retired ORDER BY 1');
	return $number;
}
sql(q{SELECT prism.apply('{name: again, client_api: queue}')});
my $again = sql(q{SELECT topic_id FROM prism.topic WHERE name = 'again'});
due_in_an_hour('again', 1, 2);
$bucket = bucket_of($again);
sql(qq{CREATE TABLE gone AS SELECT * FROM prism_log.delayed_$bucket WHERE topic_id = $again;
	DELETE FROM prism_log.delayed_$bucket WHERE topic_id = $again});
$node->restart;
wait_for_value($node, "SELECT error ~ '2 delayed messages of topic .again. are not found' FROM prism.workers WHERE kind = 'scheduler'", 't');
sql("INSERT INTO prism.delay_lost (bucket_id, topic_id, messages) VALUES ($bucket, $again, 2); SELECT prism.wake_workers()");
wait_for_value($node, "SELECT written_off FROM prism.delay_lost WHERE bucket_id = $bucket AND topic_id = $again", 't');
sql("INSERT INTO prism_log.delayed_$bucket SELECT topic_id, now() - interval '1 s', sequence, id, key, headers, payload FROM gone");
due_in_an_hour('again', 3, 3);
$node->restart;
publish('alive', 13, 13);
is(come('alive', 14, 13), '13', 'when rows come that were written off, messages of others come');
is(sql(q{SELECT delayed, (SELECT count(*) FROM prism.read('again', 0, 10)) FROM prism.topics WHERE topic = 'again'}), '1|0', 'the rows do not, and the one that waits waits');
my ($other) = grep { $_ != $bucket && sql("SELECT count(*) FROM prism_log.delayed_$_ WHERE topic_id = $again") > 0 }
	split /\n/, sql('SELECT bucket_id FROM prism.delay_bucket WHERE NOT retired');
sql(qq{UPDATE prism_log.delayed_$other SET due_at = now() - interval '2 s' WHERE topic_id = $again;
	INSERT INTO prism_log.delayed_$other SELECT topic_id, now() - interval '1 s', sequence, id, key, '{"put": "by hand"}', payload FROM prism_log.delayed_$other WHERE topic_id = $again});
$node->restart;
is(come('again', 1, 0), '3', 'until it is due');
publish('alive', 14, 14);
is(come('alive', 15, 14), '14', 'others come');
is(sql(q{SELECT delayed, (SELECT count(*) FROM prism.read('again', 0, 10)) FROM prism.topics WHERE topic = 'again'}), '0|1', 'and no more of the topic than waited');

# A line that says nonsense, as it was written once: its own, not of all.
$node->append_conf('postgresql.conf', 'prism.enabled = off');
$node->restart;
cmp_ok(sql(qq{CREATE FUNCTION edit() RETURNS bigint LANGUAGE plpgsql AS \$\$
	DECLARE segment regclass; edited bigint; sum bigint = 0; line bytea = int4send($other) || int4send($again);
	BEGIN
		FOR segment IN SELECT c.oid FROM pg_class c, prism.topic t WHERE t.name = '__prism_delayed' AND c.relname ~ format('^topic_%s_\\d+\$', topic_id) LOOP
			EXECUTE format('UPDATE %s SET payload = overlay(payload placing \$1 FROM position(\$2 IN payload) + 16) WHERE key = \$3 AND position(\$2 IN payload) > 0', segment)
				USING '\\xffffffffffffffffffffffffffffffff'::bytea, line, 's';
			GET DIAGNOSTICS edited = ROW_COUNT;
			sum = sum + edited;
		END LOOP;
		RETURN sum;
	END \$\$; SELECT edit()}), '>', 0, 'the journal says that less than nothing waits');
$node->append_conf('postgresql.conf', 'prism.enabled = on');
$node->restart;
publish('alive', 15, 15);
is(come('alive', 16, 15), '15', 'messages of others come');
is(sql(q{SELECT delayed FROM prism.topics WHERE topic = 'again'}), 0, 'and it counts as nothing');

# Values of messages in the journal that lie out of line and are damaged there, of one that is due and one that is not.
$node->append_conf('postgresql.conf', 'prism.enabled = off');
$node->reload;
wait_for_value($node, q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'prism scheduler'}, 0);
sql("SELECT prism.publish('dead', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 2000) i), deliver_at => clock_timestamp() + wait)
	FROM unnest(ARRAY['50 ms', '1 hour']::interval[]) wait");
publish('alive', 16, 16);
my @files = split /\n/, sql(q{SELECT pg_relation_filepath(c.reltoastrelid) FROM pg_class c, prism.topic t
	WHERE t.name = '__prism_delayed' AND c.relname ~ format('^topic_%s_\d+$', topic_id) AND pg_relation_size(c.reltoastrelid) > 0});
cmp_ok(scalar @files, '>', 0, 'values lie out of line');
$node->append_conf('postgresql.conf', 'prism.enabled = on');
$node->stop;
for my $file (map { $node->data_dir . "/$_" } @files)
{
	open my $chunks, '+<', $file or die "$file: $!";
	print $chunks "\0" x -s $file;
	close $chunks;
}
$node->start;
is(come('alive', 17, 16), '16', 'while values in the journal are damaged, messages of others come');
cmp_ok(log_count($node, qr/DETAIL:  A value of the message, which is for topic "dead" \($dead\), cannot be fetched: it is not delivered/), '>=', 2, 'and the log says whose they were');
# After a start the scheduler looks at all topics, with less room for locks than there are topics.
for my $block (1 .. 20)
{
	sql("SELECT count(*) FROM prism.apply((SELECT 'namespaces: [' || string_agg(format('{name: many%s, client_api: queue}', $block * 10 + i), ', ') || ']' FROM generate_series(0, 9) i))");
}
$locker = $node->background_psql('postgres');
$locker->query_safe(q{
	CREATE TEMP SEQUENCE held;
	DO $$ BEGIN LOOP PERFORM pg_advisory_lock(nextval('held')); END LOOP; EXCEPTION WHEN out_of_memory THEN NULL; END $$;
	SELECT count(pg_advisory_unlock(i)) FROM generate_series(1, 120) i});
kill_worker($node, 'prism scheduler', signal => 'TERM');
publish('many10', 1, 1);
is(come('many10', 1, 0), '1', 'a message comes');
is(log_count($node, 'out of shared memory'), 0, 'without a lock on each of them');
$locker->quit;

# A row that an index lacks, or a restore brings, when later ones have been delivered: the hint says how it is found.
sql(q{SELECT prism.apply('{name: behind, client_api: queue}')});
my $behind = sql(q{SELECT topic_id FROM prism.topic WHERE name = 'behind'});
due_in_an_hour('behind', 1, 3);
$bucket = bucket_of($behind);
sql(qq{UPDATE prism_log.delayed_$bucket SET due_at = CASE payload WHEN '2' THEN now() - interval '1 min' ELSE now() + interval '2 days' END
		WHERE topic_id = $behind AND payload IN ('2', '3');
	CREATE TABLE early AS SELECT * FROM prism_log.delayed_$bucket WHERE topic_id = $behind AND payload = '1';
	DELETE FROM prism_log.delayed_$bucket WHERE topic_id = $behind AND payload = '1'});
$node->restart;
is(come('behind', 1, 0), '2', 'while the first row is away, the next one comes when it is due');
sql(qq{INSERT INTO prism_log.delayed_$bucket SELECT topic_id, now() - interval '2 min', sequence, id, key, headers, payload FROM early;
	UPDATE prism_log.delayed_$bucket SET due_at = now() - interval '30 s' WHERE topic_id = $behind AND payload = '3'});
$node->restart;
wait_for_value($node, "SELECT error ~ '1 delayed messages of topic .behind. are not found' FROM prism.workers WHERE kind = 'scheduler'", 't');
my ($update) = slurp_file($node->logfile) =~ /HINT: .*(UPDATE prism_log\.delayed_$bucket SET due_at = now\(\) WHERE topic_id = $behind AND id = )\.\.\./;
sql("$update (SELECT id FROM early); SELECT prism.wake_workers()");
is(come('behind', 3, 1), '3 1', 'when it is there and has a later time, it comes, and what lies behind');
wait_for_value($node, q{SELECT error IS NULL FROM prism.workers WHERE kind = 'scheduler'}, 't');

# A page of a bucket that nobody can read, met by who fills it: what belongs there goes to another one, and nobody waits.
sql(q{SELECT prism.apply('namespaces: [{name: broken, client_api: queue}, {name: intact, client_api: queue}]')});
my $broken = sql(q{SELECT topic_id FROM prism.topic WHERE name = 'broken'});
sql(q{SELECT count(prism.publish('broken', i::text, deliver_at => date_trunc('hour', now()) + interval '5 hours 30 min')) FROM generate_series(1, 50) i});
wait_for_value($node, q{SELECT delayed FROM prism.topics WHERE topic = 'broken'}, 50);
$bucket = bucket_of($broken);
my $page = $node->data_dir . '/' . sql("SELECT pg_relation_filepath('prism_log.delayed_${bucket}_due')");
$node->stop;
open my $index, '+<', $page or die "$page: $!";
seek $index, 8192, 0;
print $index "\xff" x 8192;
close $index;
$node->start;
sql("SELECT prism.publish('intact', '1', deliver_at => due_to - interval '1 s') FROM prism.delay_bucket WHERE bucket_id = $bucket");
publish('intact', 2, 2);
is(come('intact', 1, 0), '2', 'while a bucket cannot be filled, messages that belong elsewhere come');
wait_for_value($node, q{SELECT delayed FROM prism.topics WHERE topic = 'intact'}, 1);
is(sql("SELECT count(*) FROM prism.delay_bucket JOIN prism.delay_bucket o USING (due_from, due_to) WHERE o.bucket_id = $bucket"), 2, 'what belongs there goes to another one');
like(sql(q{SELECT error FROM prism.workers WHERE kind = 'scheduler'}), qr/^(topic "broken"|prism_log\.delayed_$bucket): invalid page/, 'prism.workers says what is damaged');
cmp_ok(log_count($node, "delayed messages cannot be put into prism_log.delayed_$bucket"), '==', 1, 'the log says so once');
sql("REINDEX TABLE prism_log.delayed_$bucket");
sql('SELECT prism.wake_workers()');
wait_for_value($node, q{SELECT error IS NULL FROM prism.workers WHERE kind = 'scheduler'}, 't');
sql("SELECT prism.publish('intact', '3', deliver_at => due_to - interval '1 s') FROM prism.delay_bucket WHERE bucket_id = $bucket");
wait_for_value($node, "SELECT count(*) FROM prism_log.delayed_$bucket WHERE topic_id <> $broken", 1);
pass('when it is mended it is filled again');

# A namespace is not dropped with what waits because nobody can tell any more that something does.
sql(q{SELECT prism.apply('{name: kept, client_api: queue}'); SELECT prism.publish('kept', 'x', deliver_at => now() + interval '1 hour')});
wait_for_value($node, q{SELECT delayed FROM prism.topics WHERE topic = 'kept'}, 1);
sql(q{DO $$ DECLARE segment regclass; BEGIN
	FOR segment IN SELECT c.oid FROM pg_class c, prism.topic t WHERE t.name = '__prism_delayed' AND c.relname ~ format('^topic_%s_\d+$', topic_id) LOOP
		EXECUTE format($f$UPDATE %s SET payload = '\x00' WHERE key = 's'$f$, segment);
	END LOOP; END $$});
for (1 .. 2)
{
	my (undef, undef, $error) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT prism.drop_namespace('kept')");
	like($error, qr/ERROR:  XX001: it is not known which messages wait.*\n.*\nHINT:.*force => true/, 'a namespace is not dropped while it is not known what waits');
	$node->restart if $_ == 1;
}
sql(q{SELECT prism.drop_namespace('kept', force => true)});

done_testing();
