# timeout: 900
# 200,000 messages and more than twenty faults at random moments: exactly_once counts each once, the default loses none.
use PrismTest;
use List::Util qw(shuffle);
use Time::HiRes qw(time);

my $seed = $ENV{PRISM_TEST_SEED} // time ^ $$;
srand $seed;
diag "PRISM_TEST_SEED=$seed repeats the order of the faults";

my $kafka = prism_kafka();
my $node = prism_node('main');
use_kafka($node, $kafka->proxied_address);

my $messages_each = 100_000;
my $keys = 50;
my %guarantee = (once => 'exactly_once', atleast => 'at_least_once');

for my $topic (sort keys %guarantee)
{
	$node->safe_psql('postgres', <<"SQL");
SELECT * FROM prism.apply(\$\$
name: $topic
client_api: queue
patterns: [outbox]
needs: { delivery_guarantee: $guarantee{$topic} }
backend: { type: kafka, topic: $topic, partitions: 3 }
\$\$)
SQL
}
# What was committed, written in the same transactions: a crash may take a load that is under way with it.
$node->safe_psql('postgres', 'CREATE TABLE ledger (topic text, number bigint)');

# Chunks of a topic go in order, as the numbers of each key must grow.
my %next;
sub publish_chunk
{
	my ($topic) = @_;
	my $first = $next{$topic} // 0;
	my $last = $first + 4999;
	my $done = eval {
		$node->safe_psql('postgres', <<"SQL");
WITH published AS (SELECT i, prism.publish('$topic', i::text, key => 'k' || i % $keys) FROM generate_series($first, $last) i)
INSERT INTO ledger SELECT '$topic', i FROM published
SQL
		1;
	};
	$next{$topic} = $last + 1;
	wait_for_value($node, 'SELECT true') unless $done;
	return;
}

sub crash_forwarder
{
	kill_worker($node, 'prism forwarder');
	wait_for_value($node, 'SELECT true');
	return;
}

sub stop_server
{
	my ($mode) = @_;
	$node->stop($mode);
	$node->start;
	return;
}

my %faults = (
	'forwarder killed'       => \&crash_forwarder,
	'forwarder terminated'   => sub { kill_worker($node, 'prism forwarder', signal => 'TERM') },
	'broker stopped'         => sub { $kafka->stop; publish_chunk($_) for sort keys %guarantee; $kafka->start },
	'broker killed'          => sub { $kafka->kill9; $kafka->start },
	'broker frozen'          => sub { $kafka->freeze; publish_chunk('once'); $kafka->thaw },
	'connections reset'      => sub { $kafka->proxy->reset },
	'connections cut'        => sub { $kafka->proxy->cut; publish_chunk('atleast'); $kafka->proxy->pass },
	'packets swallowed'      => sub { $kafka->proxy->swallow; publish_chunk('once'); $kafka->proxy->pass },
	'end of transaction late' => sub { $kafka->proxy->hold('EndTxn', count => 1, reset => 1); publish_chunk('once');
		$kafka->proxy->wait_until(held => 1); publish_chunk('once'); $kafka->proxy->release; $kafka->proxy->pass },
	'answers lost'           => sub { $kafka->proxy->lose('Produce', count => 2, reset => 1); publish_chunk('atleast');
		publish_chunk('once'); $kafka->proxy->pass },
	'server stopped'         => sub { stop_server('fast') },
	'server crashed'         => sub { stop_server('immediate') });

my @order = (shuffle(keys %faults), shuffle(keys %faults));
splice @order, 24;

# Once, long enough for every time-out on the way.
$faults{'broker away for 30 s'} = sub {
	$kafka->stop;
	publish_chunk($_) for sort keys %guarantee;
	wait_for_value($node, "SELECT min(lag_seconds) >= 30 FROM prism.sinks WHERE topic IN ('once', 'atleast')");
	publish_chunk($_) for sort keys %guarantee;
	$kafka->start;
};
splice @order, int rand @order, 0, 'broker away for 30 s';

while (@order || grep { ($next{$_} // 0) < $messages_each } keys %guarantee)
{
	publish_chunk($_) for sort keys %guarantee;
	if (my $fault = shift @order)
	{
		# a random moment: after a random share of what waits has gone out
		my $share = rand;
		my $sent = $node->safe_psql('postgres', 'SELECT sum(lag_messages) FROM prism.sinks') * $share;
		wait_for_value($node, "SELECT sum(lag_messages) <= $sent FROM prism.sinks");
		note $fault;
		$faults{$fault}->();
	}
}
wait_for_value($node, "SELECT bool_and(lag_messages = 0 AND state = 'running') FROM prism.sinks WHERE topic IN ('once', 'atleast')");

my $total = 0;
for my $topic (sort keys %guarantee)
{
	my %wanted = map { $_ => 1 } split /\n/, $node->safe_psql('postgres', "SELECT number FROM ledger WHERE topic = '$topic'");
	my (%count, %last);
	my $disorder = 0;

	for ($kafka->lines($topic))
	{
		my ($key, $number) = split / /;
		next if $count{$number}++;
		$disorder++ if $number < ($last{$key} // -1);
		$last{$key} = $number;
	}
	$total += keys %wanted;
	is(scalar(grep { !$count{$_} } keys %wanted), 0, "$topic: none of " . (keys %wanted) . ' is lost');
	is(scalar(grep { !$wanted{$_} } keys %count), 0, "$topic: nothing arrived that was not committed");
	is($disorder, 0, "$topic: the order of each key is kept");
	is(scalar(grep { $_ > 1 } values %count), 0, "$topic: nothing arrived twice") if $topic eq 'once';
}
cmp_ok($total, '>=', 200_000, "$total messages were committed");
is($node->safe_psql('postgres', "SELECT count(*) FROM prism.topic WHERE name LIKE '%.dlq'"), 0, 'none was taken for a bad one');

done_testing();
