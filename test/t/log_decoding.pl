# Prism's rows carry a marker origin: a logical slot that filters origins gets the application's changes alone, and the
# application's transaction keeps its own origin.
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
is(changed_tables(0), 'prism_log public', 'without one: prism_log as well');
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

done_testing();
