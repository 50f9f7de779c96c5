# A topic that the other side takes nothing for, as its partition has no leader, holds up nobody else: not by what it keeps in
# memory, not by what it keeps in librdkafka's queue, not by its transaction, not when the catalogue changes.
use PrismTest;
use Time::HiRes qw(time);

my $node = prism_node('main');

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub apply
{
	my ($guarantee, @names) = @_;
	sql("SELECT prism.apply('namespaces: [" . join(', ', map { "{name: $_, needs: {delivery_guarantee: $guarantee}, backend: {type: kafka, topic: $_}}" } @names) . "]')");
	return;
}

sub is_sent { wait_for_value($node, "SELECT lag_messages = 0 FROM prism.sinks WHERE topic = '$_[0]'"); return pass($_[1]); }

my @stuck = qw(stuck1 stuck2 stuck3);
my @exact = map { "exact$_" } 1 .. 5;    # the first and the last have a producer in common
my $mock = kafka_mock(@stuck, 'moving', 'new', @exact);
use_kafka($node, $mock->address);
sql(q{ALTER SERVER kafka OPTIONS (ADD queue_buffering_max_kbytes '16384')});    # less than what prism holds
apply('exactly_once', @exact);
apply('at_least_once', @stuck, 'moving');
sql("SELECT prism.publish('$_', 'first')") for @stuck, 'moving';
is_sent($_, "$_: all is well at first") for @stuck, 'moving';
# no message for these: the mock forgets positions that were committed with a transaction
wait_for_value($node, q{SELECT count(*) = 5 FROM prism.sinks WHERE topic ~ 'exact' AND state = 'running'});

# Each of them has more than prism and librdkafka keep for all.
$mock->leader($_, -1) for @stuck, 'exact1';
sql("SELECT prism.publish('exact1', 'x')");
sql("SELECT count(prism.publish('$_', repeat('x', 100000))) FROM generate_series(1, 800)") for @stuck;
wait_for_value($node, "SELECT count(*) = 3 FROM prism.sinks WHERE topic ~ 'stuck' AND state = 'waiting'");
sql("SELECT count(prism.publish('moving', repeat('y', 100000))) FROM generate_series(1, 300)");
is_sent('moving', 'topics that are stuck leave room for another one');

# Its transaction is given up, and those of others have their turn.
sql("SELECT prism.publish('$_', 'x')") for @exact[1 .. 4];
is_sent($_, "$_: a transaction that is stuck does not keep it") for @exact[1 .. 4];
wait_for_value($node, "SELECT state = 'backoff' AND error ~* 'leader' FROM prism.sinks WHERE topic = 'exact1'");
pass('the one that is stuck says so');

# Who is stuck can be paused: what could be sent is taken back, and the others go on.
sql("SELECT prism.pause('$_', 'kafka')") for 'stuck3', 'exact1';
wait_for_value($node, "SELECT state = 'paused' FROM prism.sinks WHERE topic = '$_'") for 'stuck3', 'exact1';
sql(q{SELECT prism.publish('moving', 'z')});
is_sent('moving', 'a sink that is stuck comes to rest when it is paused');
sql("SELECT prism.resume('$_', 'kafka')") for 'stuck3', 'exact1';

# The catalogue changes, and those who are stuck need not come to an end before the others go on.
my $begin = time;
apply('at_least_once', 'new');
wait_for_value($node, q{SELECT state = 'running' FROM prism.sinks WHERE topic = 'new'});
note 'it took ', time - $begin;

$mock->leader($_, 1) for @stuck, 'exact1';
is_sent($_, "$_: once it has a leader, everything arrives") for @stuck, 'exact1';

done_testing();
