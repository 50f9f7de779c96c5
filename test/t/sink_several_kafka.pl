# timeout: 400
# Several sinks of one topic that go to Kafka: to two servers, and to two topics of one of them, each exactly once.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PrismTest;

my $kafka = prism_kafka();
my $node = prism_node('main');
use_kafka($node, $kafka->address);
$node->safe_psql('postgres', "CREATE SERVER far FOREIGN DATA WRAPPER prism_kafka OPTIONS (bootstrap_servers '" . $kafka->proxied_address . "')");

sub config
{
	my ($server, $target) = @_;
	return "{name: pay, client_api: queue, patterns: [outbox], needs: {delivery_guarantee: exactly_once}, backend: {type: kafka, server: $server, topic: $target, partitions: 2}}";
}

sub publish
{
	my ($first, $last) = @_;
	$node->safe_psql('postgres', "SELECT count(prism.publish('pay', i::text, key => 'k' || i % 10)) FROM generate_series($first, $last) i");
	return;
}

# What is wrong with a topic that should hold the numbers 1 .. n once, in order of each key: '' when all is well.
sub faults
{
	my ($topic, $n) = @_;
	my (%count, %last);
	my $disorder = 0;

	for ($kafka->lines($topic))
	{
		my ($key, $number) = split / /;
		$count{$number}++;
		$disorder++ if $number < ($last{$key} // -1);
		$last{$key} = $number;
	}
	my $lost = grep { !$count{$_} } 1 .. $n;
	my $twice = grep { $_ > 1 } values %count;
	return join ', ', $lost ? "$lost lost" : (), $twice ? "$twice repeated" : (), $disorder ? "$disorder out of order" : ();
}

sub all_sent
{
	wait_for_value($node, q{SELECT string_agg(sink || ' ' || state || ' ' || lag_messages, ', ' ORDER BY sink) FROM prism.sinks}, 'copy running 0, far running 0, kafka running 0');
	return;
}

$node->safe_psql('postgres', "SELECT prism.apply('" . config('kafka', 'pay') . "')");
publish(1, 100);
$node->safe_psql('postgres', "SELECT prism_internal.add_sink('pay', 'far', '" . config('far', 'pay_far') . "'), prism_internal.add_sink('pay', 'copy', '" . config('kafka', 'pay_copy') . "')");
all_sent();
is(join(' | ', map { faults($_, 100) } qw(pay pay_far pay_copy)), ' |  | ', 'all have all, what was there before them too');
is($node->safe_psql('postgres', q{SELECT string_agg(sink || ' ' || server || ' ' || target, ', ' ORDER BY sink) FROM prism.sinks}), 'copy kafka pay_copy, far far pay_far, kafka kafka pay', 'each with its server and its topic there');
is($node->safe_psql('postgres', q{SELECT string_agg(server, ', ' ORDER BY server) FROM prism.workers WHERE kind = 'forwarder'}), 'far, kafka', 'a worker a server');

my ($code, $out, $error) = $node->psql('postgres', "SELECT prism_internal.add_sink('pay', 'again', '" . config('kafka', 'pay') . "')");
like($error, qr/sink "again" would send to where sink "kafka" of the topic sends/, 'one place is no two sinks');
($code, $out, $error) = $node->psql('postgres', 'DROP SERVER far');
like($error, qr/cannot drop server far/, 'a server that an added sink sends to is not dropped');

# One server does not answer: the other one's sinks go on.
$kafka->proxy->hold('Produce');
publish(101, 5000);
wait_for_value($node, q{SELECT string_agg(sink || ' ' || lag_messages, ', ' ORDER BY sink) FROM prism.sinks WHERE server = 'kafka'}, 'copy 0, kafka 0');
is($node->safe_psql('postgres', q{SELECT lag_messages FROM prism.sinks WHERE sink = 'far'}), 4900, 'one server keeps none of another waiting');
$kafka->proxy->pass;
$kafka->proxy->release;
all_sent();

# One of a lane is paused, the other goes on.
$node->safe_psql('postgres', q{SELECT prism.pause('pay', 'copy')});
wait_for_value($node, q{SELECT state FROM prism.sinks WHERE sink = 'copy'}, 'paused');
publish(5001, 6000);
wait_for_value($node, q{SELECT string_agg(sink || ' ' || lag_messages, ', ' ORDER BY sink) FROM prism.sinks}, 'copy 1000, far 0, kafka 0');
$node->safe_psql('postgres', q{SELECT prism.resume('pay')});
all_sent();

# Killed in the middle, twice: each sink's position is its own.
for my $round (0, 1)
{
	publish(6001 + 20000 * $round, 26000 + 20000 * $round);
	wait_for_value($node, q{SELECT min(lag_messages) < 20000 FROM prism.sinks});
	kill_worker($node, 'prism forwarder');
	wait_for_value($node, 'SELECT true');
}
all_sent();
is(join(' | ', map { faults($_, 46000) } qw(pay pay_far pay_copy)), ' |  | ', 'whatever happens, each of them has all once, in order');

$node->safe_psql('postgres', q{SELECT prism.drop_namespace('pay'); DROP SERVER far; DROP SERVER kafka});
pass('with their namespace the sinks let go of their servers');

done_testing();
