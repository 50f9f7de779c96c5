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

done_testing();
