# A server that starts again goes on above every position that was ever handed out, however it went down, and readers
# go on where they were.
use PrismTest;

# a size that does not divide the steps of the mark: restarts jump into the middle of segments that do not exist yet
my $node = prism_node('main', preload => commit_fault_library() . ', prism', conf => "prism.segment_messages = 1500\nmax_prepared_transactions = 1\n");
$node->safe_psql('postgres', q{SELECT prism.apply('namespaces: [{name: restart, client_api: queue}]')});
$node->safe_psql('postgres', q{SELECT prism.create_group('restart', 'all', start => 'earliest')});

my ($next, $count, @all) = (0, 0);

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub publish
{
	my @payloads = map { 'message ' . ++$count } 1 .. shift;
	push @all, @payloads;
	return sql(join ' ', 'BEGIN;', (map { "SELECT prism.publish('restart', '$_') IS NOT NULL;" } @payloads), 'COMMIT;');
}

sub refused
{
	my ($status) = $node->psql('postgres', q{BEGIN; SET LOCAL commit_fault.error_percent = 100;
		SELECT count(prism.publish('restart', i::text)) FROM generate_series(1, 5) i; COMMIT;});
	return $status == 0 ? die "it was not refused\n" : 1;
}

# Nothing in the tables tells any more that those positions were used.
sub vacuum
{
	return sql(q{SELECT format('VACUUM prism_log.%I', tablename) FROM pg_tables WHERE schemaname = 'prism_log' \\gexec});
}

sub new_payloads
{
	my @rows = map { [ split / /, $_, 2 ] } split /\n/,
	  sql(qq{SELECT "position" || ' ' || convert_from(payload, 'UTF8') FROM prism.read('restart', $next, 10000)});
	$next = $rows[-1][0] + 1 if @rows;
	return join ', ', map { $_->[1] } @rows;
}

sub consumed
{
	my ($group) = @_;
	return sql(qq{SELECT string_agg(convert_from(payload, 'UTF8'), ', ' ORDER BY "position") FROM (
		SELECT m.*, prism.ack(m) FROM prism.consume('restart', '$group', 1000) m) c});
}

publish(3);
is(new_payloads(), 'message 1, message 2, message 3', 'the first messages');
is($next, 3, 'have the first positions');

for my $mode ('fast', 'immediate', 'smart')
{
	# positions that have no row; then a group that begins behind them
	publish(2);
	refused();
	sql("SELECT prism.create_group('restart', 'after $mode', start => 'latest')");
	vacuum();
	my $reached = $next + 7;

	$node->stop($mode);
	$node->start;
	is(new_payloads(), "message $_, message " . ($_ + 1), "$mode stop: what was committed is there") for $count - 1;
	publish(2);
	is(new_payloads(), "message $_, message " . ($_ + 1), 'and what comes is read from there on') for $count - 1;
	cmp_ok($next - 2, '>=', $reached, 'above all former positions');
	is(consumed("after $mode"), "message $_, message " . ($_ + 1), 'a group that began behind positions without rows gets it') for $count - 1;
	is(consumed("after $mode"), '', 'once');
}
is(consumed('all'), join(', ', @all), 'a group that began at the start gets all of it');

# How much waits is told without the positions that were skipped.
publish(3);
sql(q{SELECT prism.create_group('restart', 'lag', start => 'earliest')});
$node->restart;
publish(4);
wait_for_value($node, q{SELECT lag_messages FROM prism.groups WHERE consumer_group = 'all'}, 7);
pass('the lag of a group counts messages, not the positions that a restart skips');

# A reader in one long transaction meets a segment that was made after it had looked for it. None is made while somebody
# has the table of them locked, also over a restart.
sql("BEGIN; LOCK TABLE prism.segment IN SHARE MODE; PREPARE TRANSACTION 'none'");
$node->restart;
my $reader = $node->background_psql('postgres');
my $here = sql(q{SELECT next_position - 1 FROM prism.topics WHERE topic = 'restart'});
my $look = "SELECT coalesce(string_agg(convert_from(payload, 'UTF8'), ', '), 'nothing') FROM prism.read('restart', $here, 1000)";
is(sql("SELECT count(*) FROM prism.segment WHERE segment_number = $here / 1500"), 0, 'there is no segment at the end of the log');
$reader->query_safe('BEGIN');
is($reader->query_safe($look), 'nothing', 'a reader at the end of the log, in a transaction');
sql("COMMIT PREPARED 'none'");
publish(1);
is($reader->query_safe($look), "message $count", 'sees what is published to a segment made since');
$reader->quit;

# Segments: each message is in the one of its position.
new_payloads();
publish(1) for 1 .. 2;
sql(q{SELECT count(prism.publish('restart', i::text)) FROM generate_series(1, 5000) i});
is(sql(qq{SELECT count(*) FROM prism.read('restart', $next, 10000)}), 5002, 'a transaction over several segments');
sql(q{CREATE FUNCTION misplaced() RETURNS bigint LANGUAGE plpgsql AS $$
	DECLARE
		segment record;
		misplaced bigint := 0;
		here bigint;
	BEGIN
		FOR segment IN SELECT s.* FROM prism.segment s JOIN prism.topic t USING (topic_id) WHERE t.name = 'restart' LOOP
			EXECUTE format('SELECT count(*) FROM prism_log.topic_%s_%s WHERE "offset" / 1500 <> $1', segment.topic_id, segment.segment_number)
				INTO here USING segment.segment_number;
			misplaced := misplaced + here;
		END LOOP;
		RETURN misplaced;
	END $$});
is(sql('SELECT misplaced()'), 0, 'each message is in the segment of its position');

# Somebody who may write everything has set the mark back.
my $mark = sql(q{SELECT format('prism_log.topic_%s_mark', topic_id) FROM prism.topic WHERE name = 'restart'});
new_payloads();
1 while consumed('all');
sql(qq{CREATE ROLE careless IN ROLE pg_write_all_data; GRANT USAGE ON SCHEMA prism_log TO careless; SET ROLE careless; SELECT setval('$mark', 1)});
$node->restart('immediate');
publish(1);
is(new_payloads(), "message $count", 'a mark that was set back hides nothing from readers');
is(consumed('all'), "message $count", 'nor from groups');
is(log_count($node, "WARNING:  the mark of topic \"restart\" was behind its messages"), 1, 'and is told');
$node->restart;
publish(1);
is(new_payloads(), "message $count", 'the mark is ahead again');
is(log_count($node, "WARNING:  the mark of topic"), 1, 'and is not told again');
is(log_count($node, 'PANIC|TRAP|terminated by signal'), 0, 'without an accident');

done_testing();
