# How a sink comes to its position, and what becomes of connections that nobody needs.
use PrismTest;

my $kafka = prism_kafka();
my $node = prism_node('main');
my $topics = 12;
my $describe_configs = 32;		# Kafka's number of the request

sub sql { return $node->safe_psql('postgres', $_[0]); }
sub state_of { my ($topic) = @_; return "SELECT state FROM prism.sinks WHERE topic = '$topic'"; }
sub is_sent { return wait_for_value($node, "SELECT bool_and(lag_messages = 0 AND state = 'running') FROM prism.sinks WHERE topic ~ '^($_[0])\$'"); }
sub yaml { my ($name, $guarantee, $backend) = @_; return "{name: $name, client_api: queue, backend: $backend, needs: {delivery_guarantee: $guarantee}}"; }

use_kafka($node, $kafka->proxied_address);

# ---------- many topics of a connection ----------
sql("SELECT prism.apply('namespaces: [" . join(', ', map { yaml("many$_", 'exactly_once', 'kafka') } 1 .. $topics) . "]')");
is_sent('many\d+');
is($kafka->proxy->seen($describe_configs), $topics, "each of $topics topics is asked for once");

# ---------- a connection of which nobody has any use ----------
cmp_ok($kafka->proxy->connections, '>', 0, 'there is a connection');
sql("SELECT prism.pause(topic) FROM prism.sinks");
wait_for_value($node, q{SELECT bool_and(state = 'paused') FROM prism.sinks});
my $left;
for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
{
	$left = $kafka->proxy->connections;
	last if $left == 0;
	select(undef, undef, undef, 0.1);
}
is($left, 0, 'when all its topics are paused it is closed');
sql(q{SELECT prism.publish('many1', 'x'), prism.resume('many1')});
is_sent('many1');
pass('and opened again for one of them');

# ---------- a position that is not of prism ----------
my $group;
sub reset_offset
{
	my ($to) = @_;
	sql(q{SELECT prism.pause('once')});
	wait_for_value($node, state_of('once'), 'paused');
	$kafka->tool('org.apache.kafka.tools.consumer.group.ConsumerGroupCommand',
		'--reset-offsets', '--group', $group, '--topic', 'once:0', '--to-offset', $to, '--execute');
	sql(q{SELECT prism.resume('once')});
	return;
}

sql("SELECT prism.apply('" . yaml('once', 'exactly_once', 'kafka') . "')");
sql(q{SELECT prism.publish('once', i::text) FROM generate_series(1, 10) i});
is_sent('once');
$group = sql(q{SELECT 'prism.' || installation_id || '.' || topic_id FROM prism.installation, prism.topic WHERE name = 'once'});
my $position = sql(q{SELECT "position" FROM prism.sinks WHERE topic = 'once'});

# The tool takes no offset beyond what the partition holds, which is more than messages: each transaction has its end there.
sql(q{SELECT prism.pause('once')});
wait_for_value($node, state_of('once'), 'paused');
sql(qq{SELECT prism.skip('once', to_position => 3)});
reset_offset(5);
is_sent('once');
is(sql(qq{SELECT "position" = $position FROM prism.sinks WHERE topic = 'once'}), 't', 'a position that prism.skip() gave is taken whatever stands there');
my $twice = scalar $kafka->lines('once');
is($twice, 17, 'and what was skipped back to goes out again');

sql(q{SELECT prism.publish('once', i::text) FROM generate_series(11, 15) i});
is_sent('once');
$position = sql(q{SELECT "position" FROM prism.sinks WHERE topic = 'once'});
my $error = q{SELECT state || ': ' || error FROM prism.sinks WHERE topic = 'once'};
reset_offset($position + 2);
wait_for_value($node, $error, 'diverged: its position ' . ($position + 2) . " is after the end of this log, $position");
sql(q{SELECT prism.publish('once', i::text) FROM generate_series(16, 25) i});
sql(q{SELECT prism.resume('once')});
wait_for_value($node, $error, 'diverged: its position ' . ($position + 2) . ' was not written by prism');
sql(qq{SELECT prism.skip('once', to_position => $position), prism.resume('once')});
is_sent('once');
is(scalar $kafka->lines('once'), $twice + 15, 'a position ahead that prism did not write is not believed, and nothing is lost');

# One that stands where prism is does no harm.
$position = sql(q{SELECT "position" FROM prism.sinks WHERE topic = 'once'});
reset_offset($position);
sql(q{SELECT prism.publish('once', 'last')});
is_sent('once');
is(scalar $kafka->lines('once'), $twice + 16, 'one that says the same is');

# ---------- everything is loaded anew ----------
# When the forwarder last did something, and it is over.
sub looked_since
{
	my ($moment) = @_;
	return wait_for_value($node, "SELECT every(state = 'idle' AND state_change > '$moment') FROM pg_stat_activity WHERE backend_type = 'prism forwarder'");
}

# What is on the wire would land behind what the next connection sends.
sql("SELECT prism.apply('" . yaml('wire', 'at_least_once', 'kafka') . "')");
sql(q{SELECT prism.publish('wire', '0')});
is_sent('wire');
$kafka->proxy->hold('Produce', count => 1);
sql(q{SELECT prism.publish('wire', '1')});
$kafka->proxy->wait_until(held => 1);
wait_for_value($node, state_of('wire'), 'waiting');
sql(q{SELECT prism.publish('wire', i::text) FROM generate_series(2, 3) i});
my $changed = sql("SELECT clock_timestamp() FROM prism.apply('" . yaml('beside', 'at_least_once', 'kafka') . "') LIMIT 1");
looked_since($changed);
$kafka->proxy->release;
is_sent('wire|beside');
is(join(' ', $kafka->lines('wire', format => '%s')), '0 1 2 3', 'what is on the wire is awaited before the catalogue is loaded anew');

# A sink that cannot be made now does not make the others begin anew with each change.
my $init_producer_id = 22;
sql(q{SELECT prism.pause('once')});
wait_for_value($node, state_of('once'), 'paused');
my $skipper = $node->background_psql('postgres');
$skipper->query_safe(qq{BEGIN; SELECT prism.skip('once', to_position => (SELECT "position" FROM prism.sinks WHERE topic = 'once'))});
sql("SELECT prism.apply('" . yaml('third', 'at_least_once', 'kafka') . "')");
sql("SELECT prism.publish('$_', '4') FROM generate_series(1, 2)") for qw(many1 wire third);
is_sent('third|wire|many1');
is(sql(state_of('once')), 'paused', 'while a session of prism.skip() keeps it, a paused sink stands as paused');
my $producers = $kafka->proxy->seen($init_producer_id);
for my $change (1 .. 3)
{
	looked_since(sql("SELECT clock_timestamp() FROM prism.apply('name: unrelated$change') LIMIT 1"));
	sql(q{SELECT prism.publish('many1', '5')});
	is_sent('many1');
}
is($kafka->proxy->seen($init_producer_id), $producers, 'a sink that cannot be made now does not make the others begin anew');
$skipper->query_safe(q{SELECT prism.publish('once', 'after the skip'), prism.resume('once'); COMMIT});
$skipper->quit;
is_sent('once');
pass('and it is made once it can be');

# ---------- two lists of addresses ----------
# Whose 32-bit hashes are the same.
my ($port) = $kafka->address =~ /:(\d+)$/;
my @lists = split /\n/, sql(qq{
	WITH letter AS (SELECT i, (SELECT string_agg(CASE WHEN i >> (n - 1) & 1 = 1 THEN upper(substr('localhost', n, 1)) ELSE substr('localhost', n, 1) END, '' ORDER BY n)
			FROM generate_series(1, 9) n) || ':$port' AS address FROM generate_series(0, 511) i),
		list AS (SELECT '127.0.0.1:$port,' || a.address || ',' || b.address AS brokers FROM letter a, letter b)
	SELECT unnest((array_agg(brokers))[1:2]) FROM list GROUP BY hashtext(brokers) HAVING count(*) > 1 LIMIT 2});
is(scalar @lists, 2, 'there are two such lists');
my $number = 0;
for my $list (@lists)
{
	$number++;
	my $brokers = join ', ', map { qq("$_") } split /,/, $list;
	sql("SELECT prism.apply('" . yaml("inline$number", 'exactly_once', "{type: kafka, brokers: [$brokers]}") . "')");
	sql("SELECT prism.publish('inline$number', 'x')");
}
is_sent('inline\d');
my %endpoint = map { $_ => 1 } $kafka->tool('org.apache.kafka.tools.TransactionsCommand', 'list') =~ /prism\.[-0-9a-f]{36}\.(inline\S*)\.\d/g;
is(scalar keys %endpoint, 2, 'their producers have different names: ' . join ', ', sort keys %endpoint);

done_testing();
