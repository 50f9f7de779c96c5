# However many large payloads there are, and however a call hands them over, a session or a handler has few of them in memory.
use PrismTest;

use constant { COUNT => 16, MB => 6 };

my $node = prism_node('main', conf => "shared_buffers = 16MB\nwork_mem = 4MB\nprism.consume_bytes = 13MB\n");
$node->safe_psql('postgres', q{
	SELECT prism.apply('{name: big, client_api: queue, needs: {max_message_size: 10MB}}');
	CREATE TABLE noise AS SELECT string_agg(sha256(i::text::bytea), '') AS bytes FROM generate_series(1, } . MB . q{ * 32768) AS i;
	ALTER TABLE noise ALTER bytes SET STORAGE EXTERNAL});
$node->safe_psql('postgres', "SELECT prism.publish('big', set_byte(bytes, 0, $_)) FROM noise") for 1 .. COUNT;

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
my %take = (
	'in FROM' => q{SELECT m.payload, prism.ack(m) FROM prism.consume('big', 'from', 100) AS m},
	'in a SELECT list' => q{SELECT (m).payload, prism.ack(m) FROM (SELECT prism.consume('big', 'list', 100) AS m OFFSET 0) AS s},
	'by a cursor' => q{BEGIN; DECLARE c CURSOR FOR SELECT (m).payload, prism.ack(m) FROM (SELECT prism.consume('big', 'cursor', 100) AS m OFFSET 0) AS s;
		FETCH 1 FROM c; FETCH 2 FROM c; FETCH ALL FROM c; COMMIT},
	'with a filter' => q{SELECT m.payload FROM prism.consume('big', 'filter', 100, filter => '$.nothing') AS m});
foreach my $how (sort keys %take)
{
	my $peak = peak_mb("$take{$how};" x COUNT);
	cmp_ok($peak, '<', $one + 5 * MB, "$how: $peak MB at the most, where one takes $one MB");
}
is($node->safe_psql('postgres', q{SELECT string_agg(consumer_group || ' ' || lag_messages, ', ' ORDER BY consumer_group) FROM prism.groups}),
	'cursor 0, filter 0, from 0, list 0', 'each group had all of them');

# Also when a call may hand over more than that, and when there is no limit.
$node->safe_psql('postgres', q{SELECT prism.create_group('big', g, 'earliest') FROM unnest('{list2,from2}'::text[]) AS g});
$take{list2} = peak_mb(q{SET prism.consume_bytes = '1GB'; SELECT (m).payload FROM (SELECT prism.consume('big', 'list2', 100) AS m OFFSET 0) AS s});
$take{from2} = peak_mb(q{SET prism.consume_bytes = '1GB'; SELECT m.payload FROM prism.consume('big', 'from2', 100) AS m});
$take{read} = peak_mb(q{SELECT payload FROM prism.read('big')});
cmp_ok($take{$_}, '<', $one + 5 * MB, "$_, all at once: $take{$_} MB at the most") foreach qw(list2 from2 read);
is($node->safe_psql('postgres', q{SELECT string_agg(in_flight::text, ' ') FROM prism.groups WHERE consumer_group IN ('list2', 'from2')}),
	COUNT . ' ' . COUNT, 'they were all handed over');

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
is($node->safe_psql('postgres', q{SELECT count(prism.reject(m)) FROM prism.consume('big', 'dead') AS m}), 2, 'two are rejected') for 1 .. COUNT / 2;
my $redriven = peak_mb(q{SELECT prism.redrive('big');} x COUNT);
cmp_ok($redriven, '<', $one + 5 * MB, "redrive: $redriven MB at the most");
is($node->safe_psql('postgres', q{SELECT count(*), count(DISTINCT payload) FROM prism.read('big')}), 2 * COUNT . '|' . COUNT, 'they are all published again');

# A handler is called with those that have room in sixteen megabytes.
$node->safe_psql('postgres', q{
	CREATE TABLE call (messages integer, bytes bigint);
	CREATE FUNCTION take(messages prism.message[]) RETURNS void LANGUAGE sql AS $$
		INSERT INTO call SELECT count(*), sum(length(m.payload)) FROM unnest(messages) AS m $$;
	CREATE ROLE worker LOGIN;
	GRANT INSERT ON call TO worker;
	ALTER FUNCTION take(prism.message[]) OWNER TO worker;
	SELECT prism.grant('big', 'consume', 'worker');
	SELECT prism.create_group('big', 'handled', 'earliest');
	SELECT prism.on('big', 'handled', 'take(prism.message[])', role => 'worker', batch_size => 100)});
wait_for_value($node, q{SELECT sum(messages) FROM call}, 2 * COUNT);
is($node->safe_psql('postgres', q{SELECT max(messages), max(bytes) FROM call}), '2|' . 2 * MB * 1024 * 1024, 'two at a time');
my %kb = slurp_file('/proc/' . worker_pid($node, 'prism handler') . '/status') =~ /^(\w+):\s+(\d+) kB/mg;
my $handler = int(($kb{VmHWM} - $kb{RssFile} - $kb{RssShmem}) / 1024);
cmp_ok($handler, '<', 12 * MB, "the handler: $handler MB at the most");

done_testing();
