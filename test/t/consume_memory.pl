# However many large payloads there are, and however a call hands them over, a session or a handler has few of them in memory.
use PrismTest;

use constant { COUNT => 16, MB => 6 };

my $node = prism_node('main', conf => "shared_buffers = 16MB\nwork_mem = 4MB\nprism.consume_bytes = 13MB\n");
$node->safe_psql('postgres', q{
	SELECT prism.apply('namespaces: [{name: big, client_api: queue, needs: {max_message_size: 10MB}},
        {name: beside, client_api: queue, needs: {max_message_size: 300MB}, patterns: [{type: claim-check, threshold: 1MB, storage: postgres}]}]');
	CREATE TABLE noise AS SELECT string_agg(sha256(i::text::bytea), '') AS bytes FROM generate_series(1, } . MB . q{ * 32768) AS i;
	ALTER TABLE noise ALTER bytes SET STORAGE EXTERNAL});
$node->safe_psql('postgres', "SELECT prism.publish('big', set_byte(bytes, 0, $_)), prism.publish('beside', set_byte(bytes, 0, $_)) FROM noise") for 1 .. COUNT;

# What this session, and this table, take of memory that is not shared, at the most, in MB.
sub peak_mb
{
	my ($script) = @_;
	my $status = $node->safe_psql('postgres', "\\o /dev/null\n$script;\n\\o\nSELECT pg_read_file('/proc/self/status')");
	my %kb = $status =~ /^(\w+):\s+(\d+) kB/mg;
	return int(($kb{VmHWM} - $kb{RssFile} - $kb{RssShmem}) / 1024);
}

# One of them as text takes twelve megabytes, and the buffer in which it is sent up to 32.
my $one = peak_mb('SELECT bytes FROM noise');
sub takes_little
{
	my ($topic) = @_;
	my %take = (
		'in FROM' => qq{SELECT m.payload, prism.ack(m) FROM prism.consume('$topic', 'from', 100) AS m},
		'in a SELECT list' => qq{SELECT (m).payload, prism.ack(m) FROM (SELECT prism.consume('$topic', 'list', 100) AS m OFFSET 0) AS s},
		'by a cursor' => qq{BEGIN; DECLARE c CURSOR FOR SELECT (m).payload, prism.ack(m) FROM (SELECT prism.consume('$topic', 'cursor', 100) AS m OFFSET 0) AS s;
			FETCH 1 FROM c; FETCH 2 FROM c; FETCH ALL FROM c; COMMIT},
		'with a filter' => qq{SELECT m.payload FROM prism.consume('$topic', 'filter', 100, filter => '\$.nothing') AS m});
	foreach my $how (sort keys %take)
	{
		my $peak = peak_mb("$take{$how};" x COUNT);
		cmp_ok($peak, '<', $one + 5 * MB, "$topic, $how: $peak MB at the most, where one takes $one MB");
	}
	is($node->safe_psql('postgres', qq{SELECT string_agg(consumer_group || ' ' || lag_messages, ', ' ORDER BY consumer_group) FROM prism.groups WHERE topic = '$topic'}),
		'cursor 0, filter 0, from 0, list 0', 'each group had all of them');

	# Also when a call may hand over more than that, and when there is no limit.
	$node->safe_psql('postgres', qq{SELECT prism.create_group('$topic', g, 'earliest') FROM unnest('{list2,from2}'::text[]) AS g});
	my %once = (
		list2 => peak_mb(qq{SET prism.consume_bytes = '1GB'; SELECT (m).payload FROM (SELECT prism.consume('$topic', 'list2', 100) AS m OFFSET 0) AS s}),
		from2 => peak_mb(qq{SET prism.consume_bytes = '1GB'; SELECT m.payload FROM prism.consume('$topic', 'from2', 100) AS m}),
		read => peak_mb(qq{SELECT payload FROM prism.read('$topic')}));
	cmp_ok($once{$_}, '<', $one + 5 * MB, "$topic, $_, all at once: $once{$_} MB at the most") foreach sort keys %once;
	is($node->safe_psql('postgres', qq{SELECT string_agg(in_flight::text, ' ') FROM prism.groups WHERE topic = '$topic' AND consumer_group IN ('list2', 'from2')}),
		COUNT . ' ' . COUNT, 'they were all handed over');
}
takes_little($_) foreach qw(big beside);

# What a call has no room for is there for others before its transaction ends.
$node->safe_psql('postgres', q{SELECT prism.create_group('big', 'shared', 'earliest')});
my $first = $node->background_psql('postgres');
my $positions = q{SELECT string_agg("position" || ' in attempt ' || attempt, ', ') FROM prism.consume('big', 'shared')};
$first->query_safe('BEGIN');
is($first->query_safe($positions), '0 in attempt 1, 1 in attempt 1', 'a session has two of them');
is($node->safe_psql('postgres', $positions), '2 in attempt 1, 3 in attempt 1', 'another one the next two');
$first->query_safe('ROLLBACK');
$first->quit;
is($node->safe_psql('postgres', $positions), '0 in attempt 2, 1 in attempt 2', 'of those that came back it was an attempt');

# Dead letters: given up, and redriven.
foreach my $topic (qw(big beside))
{
	my $rejected = peak_mb(qq{SELECT prism.reject(m) FROM prism.consume('$topic', 'dead') AS m;} x COUNT);
	cmp_ok($rejected, '<', $one + 5 * MB, "$topic, rejected: $rejected MB at the most");
	my $redriven = peak_mb(qq{SET client_min_messages = warning; } . qq{SELECT prism.redrive('$topic');} x COUNT);
	cmp_ok($redriven, '<', $one + 5 * MB, "$topic, redriven: $redriven MB at the most");
	is($node->safe_psql('postgres', qq{SELECT count(*), count(DISTINCT payload) FROM prism.read('$topic')}), 2 * COUNT . '|' . COUNT, 'they are all published again');
}

# A handler is called with those that have room in sixteen megabytes.
$node->safe_psql('postgres', q{
	CREATE TABLE call (topic text, messages integer, bytes bigint);
	CREATE FUNCTION take(messages prism.message[]) RETURNS void LANGUAGE sql AS $$
		INSERT INTO call SELECT topic, count(*), sum(length(m.payload)) FROM unnest(messages) AS m GROUP BY topic $$;
	CREATE ROLE worker LOGIN;
	GRANT INSERT ON call TO worker;
	ALTER FUNCTION take(prism.message[]) OWNER TO worker});
foreach my $topic (qw(big beside))
{
	$node->safe_psql('postgres', qq{
		SELECT prism.grant('$topic', 'consume', 'worker');
		SELECT prism.create_group('$topic', 'handled', 'earliest');
		SELECT prism.on('$topic', 'handled', 'take(prism.message[])', role => 'worker', batch_size => 100)});
	wait_for_value($node, qq{SELECT sum(messages) FROM call WHERE topic = '$topic'}, 2 * COUNT);
	is($node->safe_psql('postgres', qq{SELECT max(messages), max(bytes) FROM call WHERE topic = '$topic'}), '2|' . 2 * MB * 1024 * 1024, "$topic: two at a time");
}
my %kb = slurp_file('/proc/' . worker_pid($node, 'prism handler') . '/status') =~ /^(\w+):\s+(\d+) kB/mg;
my $handler = int(($kb{VmHWM} - $kb{RssFile} - $kb{RssShmem}) / 1024);
cmp_ok($handler, '<', 12 * MB, "the handler: $handler MB at the most");

# A payload that is far too large to be handed over goes out piece by piece, and its message into the dead letters and back.
$node->safe_psql('postgres', q{SELECT prism.publish('beside', string_agg(bytes, ''), 'huge') FROM noise, generate_series(1, 40)});
my $huge = $node->safe_psql('postgres', q{SELECT max("position") FROM prism.read('beside', 0, 1000)});
my %out = (
	pieces => peak_mb("COPY (SELECT prism.payload_pieces('beside', $huge)) TO STDOUT (FORMAT binary)"),
	export => peak_mb("SELECT prism.payload_export('beside', $huge)"),
	consume => peak_mb(qq{SELECT prism.seek('beside', 'dead', $huge); SELECT m.payload, prism.reject(m) FROM prism.consume('beside', 'dead') AS m}),
	redrive => peak_mb(q{SELECT prism.redrive('beside')}));
cmp_ok($out{$_}, '<', 24, 40 * MB . " MB, $_: $out{$_} MB at the most") foreach sort keys %out;
is($node->safe_psql('postgres', qq{SELECT count(*), count(DISTINCT sha256(prism.payload_read('beside', "position", 100000000, 1000))), count(DISTINCT headers -> 'payload_sha256'), count(DISTINCT headers -> 'claim_check_id')
	FROM prism.read('beside', $huge, 1000) WHERE key = 'huge'}), '2|1|1|2', 'it is there again, with a payload of its own');

done_testing();
