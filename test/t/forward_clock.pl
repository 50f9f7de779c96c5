# The database's clock is hours ahead of the broker's, which refuses such records: that is no fault of theirs.
use PrismTest;

my $kafka = prism_kafka();
shift_clock(0);					# of the servers; the broker runs already
my $node = prism_node('main');
use_kafka($node, $kafka->address);

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub publish
{
	my ($numbers) = @_;
	sql("SELECT count(prism.publish('$_', n::text, key => 'k')) FROM generate_series($numbers) n") for qw(atleast once);
	return;
}

sub arrive
{
	my ($count, $what) = @_;
	is_deeply([ $kafka->wait_for_records($_, $count) ], [ map { "k $_" } 1 .. $count ], "$_: $what") for qw(atleast once);
	return;
}

sql(q{SELECT prism.apply('{name: atleast, backend: {type: kafka, topic: atleast, partitions: 1}}');
	SELECT prism.apply('{name: once, needs: {delivery_guarantee: exactly_once}, backend: {type: kafka, topic: once, partitions: 1}}')});
publish('1, 5');
arrive(5, 'the clocks agree');

shift_clock(2 * 3600);
publish('6, 20');
wait_for_value($node, q{SELECT string_agg(DISTINCT state, ' ') FROM prism.sinks}, 'stopped');
pass('the sinks stop');
is(sql(q{SELECT sum(dead_letters_total) FROM prism.sinks}), 0, 'no message is buried for the clock');
is(sql(q{SELECT every(error ~ 'compare the clocks' AND error ~ 'message.timestamp.after.max.ms') FROM prism.sinks}), 't', 'the error tells what to look at');
is(sql(q{SELECT string_agg(state || ' ' || pending || ' ' || dead_letters || ' ' || (hint ~ 'prism.resume'), ', ') FROM prism.status}),
	'error 15 0 true, error 15 0 true', 'prism.status says so');

# The clock is right again; what was published meanwhile keeps its time, and the topic is told to take it.
shift_clock(0);
for my $topic (qw(atleast once))
{
	$kafka->tool('kafka.admin.ConfigCommand', '--alter', '--entity-type', 'topics', '--entity-name', $topic,
		'--add-config', 'message.timestamp.type=LogAppendTime');
	sql("SELECT prism.resume('$topic')");
}
publish('21, 25');
arrive(25, 'everything arrives, in order');
wait_for_value($node, q{SELECT string_agg(DISTINCT state || ' ' || dead_letters, ' ') FROM prism.status}, 'ok 0');
pass('and all is well');

# What was under way when a sink was paused makes it stop. When it would be time to try again, it stays paused: that is
# done before the look at the catalogue, which is due then too.
sub looked_since
{
	my ($moment, $condition) = @_;
	return wait_for_value($node, "SELECT every(state = 'idle' AND state_change > '$moment' AND $condition) FROM pg_stat_activity WHERE backend_type = 'prism forwarder'");
}
my $proxied = $kafka->proxied_address;
my $parked = q{FROM prism.sinks WHERE topic = 'parked'};
shift_clock(2 * 3600);
sql(q{SELECT prism.pause(topic) FROM prism.sinks});
sql(qq{SELECT prism.apply('{name: parked, backend: {type: kafka, brokers: ["$proxied"], partitions: 1}}')});
wait_for_value($node, "SELECT state $parked", 'running');
$kafka->proxy->hold('Produce', count => 1);
sql(q{SELECT prism.publish('parked', 'x')});
$kafka->proxy->wait_until(held => 1);
looked_since(sql(q{SELECT clock_timestamp() FROM (SELECT prism.pause('parked')) pause}), 'true');
$kafka->proxy->release;
wait_for_value($node, "SELECT state $parked", 'paused');
is(log_count($node, 'sink "kafka" of topic "parked" is stopped'), 1, 'it had stopped');
pass_time(400);
looked_since(sql('SELECT clock_timestamp()'), "query = 'looks at the catalogue'");
is(sql("SELECT state $parked"), 'paused', 'a paused sink is not tried again');
is(sql(q{SELECT prism.skip('parked') IS NOT NULL}), 't', 'and can be skipped');

done_testing();
