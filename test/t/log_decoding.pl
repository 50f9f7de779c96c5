# Prism's rows carry a marker origin, those of its log and those of its catalogue: a logical slot that filters origins
# gets the application's changes alone, and the application's transaction keeps its own origin.
use PrismTest;

my $node = prism_node('main');
sub sql { return $node->safe_psql('postgres', $_[0]); }

sql(q{SELECT prism.apply('namespaces: [{name: decoded, client_api: queue}]')});
sql(q{CREATE TABLE work (id int PRIMARY KEY)});
sql(q{SELECT pg_create_logical_replication_slot('slot', 'test_decoding')});
sql(q{SELECT pg_replication_origin_create('elsewhere')});

sub changes
{
	my ($only_local) = @_;
	return sql("SELECT string_agg(substring(data FROM '^(?:BEGIN|COMMIT|table [^:]*)'), ', ') FROM pg_logical_slot_peek_changes('slot', NULL, NULL, 'include-xids', '0', 'skip-empty-xacts', '1', 'only-local', '$only_local')");
}

sub forget { return sql(q{SELECT count(*) FROM pg_logical_slot_get_changes('slot', NULL, NULL)}); }

sub changed_tables
{
	my ($only_local) = @_;
	return sql(qq{SELECT string_agg(t, ' ' ORDER BY t) FROM (SELECT DISTINCT (regexp_match(data, '^table ([a-z_]*)\\.'))[1] AS t
		FROM pg_logical_slot_peek_changes('slot', NULL, NULL, 'include-xids', '0', 'skip-empty-xacts', '1', 'only-local', '$only_local')) s WHERE t IS NOT NULL});
}

forget();
sql(q{BEGIN; INSERT INTO work VALUES (1); SELECT prism.publish('decoded', repeat('x', 100000)); SELECT prism.publish('decoded', 'y'); INSERT INTO work VALUES (2); COMMIT});
sql(q{SELECT prism.publish('decoded', 'z')});
is(changes(1), 'BEGIN, table public.work, table public.work, COMMIT', 'with an origin filter: the changes of the application');
like(changed_tables(0), qr/prism_log public/, 'without one: prism_log as well');
forget();

# A replicated transaction that publishes, say by a trigger, stays one.
sql(q{SELECT pg_replication_origin_session_setup('elsewhere'); BEGIN; INSERT INTO work VALUES (3); SELECT prism.publish('decoded', 'x'); COMMIT; INSERT INTO work VALUES (4)});
is(changes(1) || 'nothing', 'nothing', 'a transaction with an origin keeps it');
is(changes(0) =~ s/table prism_log\S*, //gr, 'BEGIN, table public.work, COMMIT, BEGIN, table public.work, COMMIT', 'before and after');
forget();

# An error while the rows are written leaves the session as it was.
my ($status, $out, $err) = $node->psql('postgres', q{SET temp_file_limit = 0; SET prism.publish_buffer = 64; BEGIN;
	SELECT count(prism.publish('decoded', (SELECT string_agg(md5((32 * i + j)::text), '') FROM generate_series(1, 32) j))) FROM generate_series(1, 1000) i; COMMIT; ROLLBACK; INSERT INTO work VALUES (5)}, on_error_stop => 0);
like($err, qr/temp_file_limit/, 'an error');
is(changes(1), 'BEGIN, table public.work, COMMIT', 'the next transaction of the session is decoded');

forget();

# ---------- what administrators, consumers and workers change ----------
sql(q{CREATE TABLE handled ("position" bigint); CREATE FUNCTION work_with(prism.message) RETURNS void LANGUAGE sql AS 'INSERT INTO public.handled VALUES ($1."position")';
	CREATE ROLE clerk LOGIN; GRANT INSERT ON handled TO clerk});
my $config = q{'{name: steered, client_api: queue, patterns: [{type: outbox, table: steered_outbox}], backend: memory, consumers: [{group: audit}]}'};
my $changed = q{'{name: steered, client_api: queue, needs: {retention: 3days}, patterns: [outbox], backend: {type: memory, topic: steered_anew}, consumers: [{group: audit, max_attempts: 3}]}'};
my $number = 100;
for ("SELECT prism.apply($config)", "SELECT prism.apply($changed)",
	q{SELECT prism.grant('steered', 'consume', 'clerk'), prism.grant('steered', 'publish', 'clerk')}, q{SELECT prism.revoke('steered', 'publish', 'clerk')},
	q{SELECT prism.publish('steered_anew', i::text, deliver_at => CASE WHEN i > 8 THEN now() + interval '1 s' END) FROM generate_series(1, 10) i},
	q{SELECT prism.create_group('steered_anew', 'g')}, q{SELECT prism.ack(m) FROM prism.consume('steered_anew', 'by itself') AS m}, q{SELECT prism.drop_group('steered_anew', 'g')},
	q{SELECT prism.seek('steered_anew', 'by itself', 'earliest')}, q{SET LOCAL ROLE clerk; SELECT prism.on('steered_anew', 'work', 'work_with(prism.message)'); RESET ROLE; SELECT prism.off('steered_anew', 'work')},
	q{SELECT prism.reject(m, 'bad') FROM prism.consume('steered_anew', 'audit', 1) AS m}, q{SELECT prism.redrive('steered_anew')},
	q{SELECT prism_internal.add_sink('steered', 'mirror', '{name: steered, client_api: queue, backend: {type: memory, topic: mirror}}')},
	q{SELECT prism.pause('steered_anew')}, q{SELECT prism.resume('steered_anew')}, q{SELECT prism_internal.drop_sink('steered', 'mirror', true)},
	q{SELECT prism.drop_namespace('steered', true)})
{
	my $before = $number + 1;
	$number += 2;
	sql("BEGIN; INSERT INTO work VALUES ($before); $_; INSERT INTO work VALUES ($number); COMMIT");
	is(changed_tables(1) . ' ' . changes(1), 'public BEGIN, table public.work, table public.work, COMMIT', "beside the application's rows nothing of: $_");
	forget();
}

# What a function of the application does in the midst of it is the application's: here that of an event trigger.
sql(q{CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.noted VALUES (tg_tag); END'; CREATE TABLE noted (tag text);
	CREATE EVENT TRIGGER note ON ddl_command_end WHEN TAG IN ('CREATE VIEW') EXECUTE FUNCTION note()});
forget();
sql("SELECT prism.apply($config)");
is(changes(1), 'BEGIN, table public.noted, table public.noted, COMMIT', 'what event triggers write is seen');
sql(q{DROP EVENT TRIGGER note});

# So is what a handler does, and no more than that: its worker's and the other workers' own rows are not.
wait_for_value($node, q{SELECT state FROM prism.sinks WHERE topic = 'steered'}, 'running');
forget();
sql(q{SELECT prism.grant('steered', 'consume', 'clerk'); SET ROLE clerk; SELECT prism.on('steered', 'work', 'work_with(prism.message)'); RESET ROLE; SELECT prism.publish('steered', 'x'); SELECT prism.publish('steered', 'later', deliver_at => now() + interval '0.1 s')});
wait_for_value($node, q{SELECT count(*) FROM handled}, 2);
is(changes(1), 'BEGIN, table public.handled, COMMIT, BEGIN, table public.handled, COMMIT', 'what a handler writes is seen');

# Without a filter all of them are there, so that the above says something.
like(sql(q{SELECT string_agg(DISTINCT substring(data FROM '^table ([a-z_]*\\.[a-z_]*)'), ' ') FROM pg_logical_slot_peek_changes('slot', NULL, NULL)}), qr/prism\.handler.*prism_log/, 'without a filter: the catalogue as well');

# ---------- a publication of all tables ----------
# Under one PostgreSQL changes rows of those tables alone that can tell which row it was.
sql('CREATE PUBLICATION everything FOR ALL TABLES');
is(sql(q{DO $$ DECLARE t regclass; BEGIN FOR t IN SELECT oid FROM pg_class WHERE relnamespace = 'prism'::regnamespace AND relkind = 'r' LOOP EXECUTE format('DELETE FROM %s WHERE false', t); END LOOP; END $$}),
	'', "each table of prism's catalogue can be changed");
is(sql(q{INSERT INTO prism.delay_lost (bucket_id, topic_id, messages) VALUES (1, 1, 1), (1, 1, 1); UPDATE prism.delay_lost SET written_off = true WHERE ctid = (SELECT min(ctid) FROM prism.delay_lost) RETURNING written_off}), 't', 'and so what the owner says of lost messages, of which rows may be alike');
sql('DELETE FROM prism.delay_lost; DROP PUBLICATION everything');
forget();

# ---------- a subscription ----------
# On PostgreSQL 15 one cannot filter (test/lib/subscription.sql has it for later ones): it subscribes to schemas, and what
# the application writes in prism's transactions arrives.
sql('DROP TABLE work; CREATE TABLE work (id int PRIMARY KEY); CREATE PUBLICATION application FOR TABLES IN SCHEMA public');
my $other = prism_node('other', extension => 0);
$other->safe_psql('postgres', 'CREATE TABLE work (id int PRIMARY KEY); CREATE TABLE handled ("position" bigint); CREATE TABLE noted (tag text)');
$other->safe_psql('postgres', "CREATE SUBSCRIPTION application CONNECTION \$\$" . $node->connstr('postgres') . "\$\$ PUBLICATION application");
$other->wait_for_subscription_sync($node, 'application');
sql(q{BEGIN; INSERT INTO work VALUES (1); SELECT prism.apply('{name: subscribed, client_api: queue}'); INSERT INTO work VALUES (2); COMMIT;
	BEGIN; INSERT INTO work VALUES (3); SELECT prism.publish('subscribed', repeat('x', 100000)); INSERT INTO work VALUES (4); COMMIT;
	BEGIN; INSERT INTO work VALUES (5); SELECT prism.create_group('subscribed', 'g'); INSERT INTO work VALUES (6); COMMIT;
	BEGIN; INSERT INTO work VALUES (7); SELECT prism.drop_namespace('subscribed', true); INSERT INTO work VALUES (8); COMMIT});
wait_for_value($other, q{SELECT string_agg(id::text, ' ' ORDER BY id) FROM work}, '1 2 3 4 5 6 7 8');
pass('a subscriber gets what the application writes beside what prism does');

done_testing();
