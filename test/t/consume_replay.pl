# Replay: from whichever position, the same bytes in the same order as they were delivered first; after a restart, a
# crash, a promotion, and a dump that is restored.
# timeout: 600
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PrismTest;

my $node = prism_node('primary', streaming => 1, conf => "prism.segment_messages = 4096\n");

# ---------- 30,000 messages of all kinds, some large, some transactions taken back ----------

$node->safe_psql('postgres', q{SELECT prism.apply('{name: replayed, needs: {retention: forever, replay: enabled}}')});
$node->safe_psql('postgres', q{
	CREATE FUNCTION publish_some(round integer, messages integer) RETURNS void LANGUAGE sql AS $$
		SELECT count(prism.publish('replayed',
			CASE n % 7
				WHEN 0 THEN NULL
				WHEN 1 THEN ''
				WHEN 2 THEN decode(md5(n::text), 'hex')
				WHEN 3 THEN convert_to(repeat('compressible ', n % 500), 'UTF8')
				WHEN 4 THEN '\x00ff00'
				ELSE convert_to(json_build_object('round', round, 'n', n)::text, 'UTF8') END,
			CASE WHEN n % 3 > 0 OR n % 7 = 0 THEN 'key ' || n % 100 END,
			CASE WHEN n % 5 = 0 THEN jsonb_build_object('round', round::text, 'tr\u00e4ger', repeat('h', n % 50)) END))
		FROM generate_series(1, messages) n
	$$;
	CREATE TABLE delivered (number bigint GENERATED ALWAYS AS IDENTITY, "position" bigint, key text, headers jsonb, payload bytea);
});
for my $round (1 .. 30)
{
	my $large = "SELECT prism.publish('replayed', (SELECT string_agg(sha256(convert_to('$round ' || i, 'UTF8')), '') FROM generate_series(1, 4000) i))";
	$node->safe_psql('postgres', "BEGIN; SELECT publish_some($round, 700); SAVEPOINT s; SELECT publish_some(0, 50); ROLLBACK TO s; SELECT publish_some(-$round, 300); COMMIT;");
	$node->safe_psql('postgres', "BEGIN; SELECT publish_some(0, 20); ROLLBACK; $large");
}

# What was delivered: the first third by a consumer in pieces, the others in one.
$node->safe_psql('postgres', q{INSERT INTO delivered ("position", key, headers, payload)
	SELECT m.position, m.key, m.headers, m.payload FROM (SELECT prism.ack(m), m.* FROM prism.consume('replayed', 'g', 500) AS m) m}) for 1 .. 20;
$node->safe_psql('postgres', q{INSERT INTO delivered ("position", key, headers, payload)
	SELECT "position", key, headers, payload FROM prism.read('replayed', (SELECT max("position") + 1 FROM delivered), 1000000)});

sub digest
{
	my ($server, $rows) = @_;
	return $server->safe_psql('postgres', qq{
		SELECT count(*) || ' ' || encode(sha256(string_agg(sha256(
			int8send("position") || coalesce('k' || convert_to(key, 'UTF8'), '-')
			|| coalesce('h' || convert_to(headers::text, 'UTF8'), '-') || coalesce('p' || payload, '-')), '' ORDER BY number)), 'hex')
		FROM $rows});
}

my $whole = q{prism.read('replayed', NULL, 1000000) WITH ORDINALITY AS r (topic, "position", id, key, headers, payload, created_at, attempt, consumer_group, lease_id, number)};
my $delivered = digest($node, 'delivered');
like($delivered, qr/^30030 /, 'all that was committed was delivered');
is(digest($node, $whole), $delivered, 'a replay is what was delivered');

# From any position on: what is behind it, no more and no less.
my $from = $node->safe_psql('postgres', q{SELECT "position" FROM delivered WHERE number = 12345});
(my $rest = $whole) =~ s/NULL/$from/;
my $rest_delivered = digest($node, 'delivered WHERE number >= 12345');
is(digest($node, $rest), $rest_delivered, 'from a position in the middle too');

$node->restart;
is(digest($node, $whole), $delivered, 'the same after a restart');
$node->stop('immediate');
$node->start;
is(digest($node, $whole), $delivered, 'the same after a crash');

# A group that was sent back is handed out the same again.
$node->safe_psql('postgres', qq{SELECT prism.create_group('replayed', 'again', '$from', ordering => 'strict')});
$node->safe_psql('postgres', q{CREATE TABLE again (LIKE delivered INCLUDING ALL)});
$node->safe_psql('postgres', q{INSERT INTO again ("position", key, headers, payload)
	SELECT m.position, m.key, m.headers, m.payload FROM (SELECT prism.ack(m), m.* FROM prism.consume('replayed', 'again', 4000) AS m) m}) for 1 .. 5;
is(digest($node, 'again'), $rest_delivered, 'a group that begins there gets the same');

# ---------- elsewhere ----------

$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
$standby->promote;
wait_for_value($standby, 'SELECT NOT pg_is_in_recovery()', 't');
is(digest($standby, $whole), $delivered, 'the same after a promotion');
$standby->safe_psql('postgres', q{SELECT prism.publish('replayed', 'behind')});
is(digest($standby, "$whole WHERE payload IS DISTINCT FROM 'behind'"), $delivered, 'also when it goes on there');
is($standby->safe_psql('postgres', q{SELECT convert_from(payload, 'UTF8') FROM prism.consume('replayed', 'again')}), 'behind',
	'and a group gets nothing but what is new');
$standby->stop;

my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-f', $dump ], 'it can be dumped');
my $restored = prism_node('restored', extension => 0);
$restored->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $restored->connstr('postgres'), '-f', $dump ], 'and restored');
is(digest($restored, $whole), $delivered, 'the same after a restore');
is(digest($restored, $rest), $rest_delivered, 'at the same positions');
is($restored->safe_psql('postgres', q{SELECT count(*) FROM prism.consume('replayed', 'again')}), '0',
	'and a group has finished what it had finished');

done_testing();
