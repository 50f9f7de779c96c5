# timeout: 600
# Exactly once: whatever happens to processes, answers and positions, a read_committed reader counts every message once.
use PrismTest;

my $kafka = prism_kafka(properties => { 'offsets.retention.minutes' => 1, 'offsets.retention.check.interval.ms' => 5000 });
my $node = prism_node('main', streaming => 1);
use_kafka($node, $kafka->proxied_address);

sub apply
{
	my ($name) = @_;
	$node->safe_psql('postgres', <<"SQL");
SELECT * FROM prism.apply(\$\$
name: $name
client_api: queue
patterns: [outbox]
needs: { delivery_guarantee: exactly_once }
backend: { type: kafka, topic: $name, partitions: 2 }
\$\$)
SQL
	return;
}

# One transaction of numbered messages.
sub publish
{
	my ($topic, $first, $last, $server) = @_;
	($server // $node)->safe_psql('postgres',
		"SELECT count(prism.publish('$topic', i::text, key => 'k' || i % 10)) FROM generate_series($first, $last) i");
	return;
}

sub state_of { my ($topic) = @_; return "SELECT state FROM prism.sinks WHERE topic = '$topic'"; }

sub is_sent
{
	my ($topic, $server) = @_;
	wait_for_value($server // $node,
		"SELECT lag_messages = 0 AND state = 'running' FROM prism.sinks WHERE topic = '$topic'");
	return;
}

# What is wrong with a topic that should hold each of the numbers once, in order of each key: '' when all is well.
sub faults
{
	my ($topic, @wanted) = @_;
	my (%count, %last);
	my $disorder = 0;

	for ($kafka->lines($topic))
	{
		my ($key, $number) = split / /;
		$count{$number}++;
		$disorder++ if $number < ($last{$key} // -1);
		$last{$key} = $number;
	}
	my @lost = grep { !$count{$_} } @wanted;
	my @twice = grep { $count{$_} > 1 } keys %count;
	my $strange = (keys %count) - (@wanted - @lost);
	return join ', ', @lost ? scalar(@lost) . " lost ($lost[0] ...)" : (), @twice ? scalar(@twice) . " repeated ($twice[0] ...)" : (),
	  $strange ? "$strange unknown" : (), $disorder ? "$disorder out of order" : ();
}

sub restart_forwarder
{
	kill_worker($node, 'prism forwarder');
	wait_for_value($node, 'SELECT true');
	return;
}

sub group_of { my ($topic) = @_; return $node->safe_psql('postgres',
	"SELECT 'prism.' || installation_id || '.' || topic_id FROM prism.installation, prism.topic WHERE name = '$topic'"); }

sub group_tool { return $kafka->tool('org.apache.kafka.tools.consumer.group.ConsumerGroupCommand', @_); }

# ---------- the simple way ----------
apply('idle');
publish('idle', 1, 10);
is_sent('idle');

apply('pay');
publish('pay', $_ * 10 + 1, $_ * 10 + 10) for 0 .. 9;
is_sent('pay');
is(faults('pay', 1 .. 100), '', 'all arrive once');

# ---------- killed in the middle ----------
for my $round (1 .. 3)
{
	publish('pay', $round * 20000 + 1, $round * 20000 + 20000);
	wait_for_value($node, "SELECT messages_total > 0 FROM prism.sinks WHERE topic = 'pay'");
	restart_forwarder();
}
is_sent('pay');
is(faults('pay', 1 .. 100, 20001 .. 80000), '', 'forwarder killed three times: each message is there once');

# ---------- the end of a transaction is late ----------
# The request that ends a transaction is held back, the client goes on, and a later transaction is open when it arrives.
apply('late');
publish('late', 1, 10);
is_sent('late');
for my $round (1 .. 5)
{
	my $first = $round * 100;
	my $held = $kafka->proxy->held;
	$kafka->proxy->hold('EndTxn', count => 1, reset => 1);
	publish('late', $first, $first + 9);
	$kafka->proxy->wait_until(held => $held + 1);
	is_sent('late');
	$kafka->proxy->hold('Produce', count => 1);
	publish('late', $first + 10, $first + 19);
	$kafka->proxy->wait_until(held => $held + 2);
	$kafka->proxy->release;
	is_sent('late');
}
is(faults('late', 1 .. 10, map { $_ * 100 .. $_ * 100 + 19 } 1 .. 5), '',
	'a late end of a transaction ends no other one: read_committed sees each message once');
cmp_ok($node->safe_psql('postgres', "SELECT doubts_total FROM prism.sinks WHERE topic = 'late'"), '>=', 5,
	'because each doubt was fenced');
$kafka->proxy->pass;

# Answers that are lost are doubts as well.
for my $round (6 .. 8)
{
	$kafka->proxy->lose('EndTxn', count => 1, reset => 1);
	publish('late', $round * 100, $round * 100 + 19);
	is_sent('late');
}
is(faults('late', 1 .. 10, map { $_ * 100 .. $_ * 100 + 19 } 1 .. 8), '', 'a lost answer repeats nothing');
$kafka->proxy->pass;

# ---------- refused records ----------
apply('sized');
publish('sized', 1, 1);
is_sent('sized');
$kafka->tool('kafka.admin.ConfigCommand', '--alter', '--entity-type', 'topics', '--entity-name', 'sized',
	'--add-config', 'max.message.bytes=5000');
$node->safe_psql('postgres', <<'SQL');
SELECT count(prism.publish('sized', CASE WHEN i % 250 = 7 THEN repeat(md5(i::text), 160) ELSE i::text END, key => 'k' || i % 10))
FROM generate_series(2, 1000) i
SQL
is_sent('sized');
is(faults('sized', grep { $_ % 250 != 7 } 1 .. 1000), '', 'refused records take no others along');
is($node->safe_psql('postgres', "SELECT count(*), count(DISTINCT headers ->> 'dead_letter_position') FROM prism.outbox WHERE topic = 'sized.dlq'"),
	'4|4', 'and are dead letters, once each');
restart_forwarder();
is_sent('sized');
is($node->safe_psql('postgres', "SELECT count(*) FROM prism.outbox WHERE topic = 'sized.dlq'"), 4, 'also after a crash');

# ---------- the position at Kafka ----------
# Deleted: the progress log takes its place.
group_tool('--delete', '--group', group_of('late'));
restart_forwarder();
publish('late', 1000, 1009);
is_sent('late');
my @late = (1 .. 10, 1000 .. 1009, map { $_ * 100 .. $_ * 100 + 19 } 1 .. 8);
is(faults('late', @late), '', 'position deleted: nothing is sent again');
is(log_count($node, 'forgotten the position of topic "late"'), 1, 'with a warning');

# Behind: Kafka has lost what it had acknowledged, so nobody goes on by himself.
group_tool('--reset-offsets', '--group', group_of('late'), '--topic', 'late:0', '--to-offset', 1, '--execute');
restart_forwarder();
wait_for_value($node, state_of('late'), 'sink_regressed');
publish('late', 1010, 1019);
publish('pay', 80001, 80010);
is_sent('pay');
is($node->safe_psql('postgres', state_of('late')), 'sink_regressed', 'position behind: the sink stops, others go on');
is(log_count($node, 'sink "kafka" of topic "late" has regressed'), 1, 'with a warning');
$node->safe_psql('postgres', "SELECT prism.skip('late', to_position => (SELECT \"position\" FROM prism.sinks WHERE topic = 'late'))");
$node->safe_psql('postgres', "SELECT prism.resume('late')");
is_sent('late');
is(faults('late', @late, 1010 .. 1019), '', 'told where to go on it does, and repeats nothing');

# Expired: "idle" has had nothing to do since the last restart wrote its position again.
my $expired = 0;
for (1 .. $PostgreSQL::Test::Utils::timeout_default)
{
	$expired = group_tool('--describe', '--offsets', '--group', group_of('idle')) !~ /^\S+\s+idle\s+0\s+\d/m;
	last if $expired;
}
ok($expired, 'Kafka forgets the position of an idle topic');
restart_forwarder();
publish('idle', 11, 20);
is_sent('idle');
is(faults('idle', 1 .. 20), '', 'position expired: nothing is sent again');
is(log_count($node, 'forgotten the position of topic "idle"'), 1, 'with a warning');

# ---------- a copy of the server ----------
$node->stop;
$node->backup_fs_cold('cold');
my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($node, 'cold');
$node->start;
$copy->start;
wait_for_value($copy, "SELECT bool_and(state = 'paused: copied') FROM prism.sinks");
publish('pay', 90001, 90010, $copy);
publish('pay', 80011, 80020);
is_sent('pay');
is(faults('pay', 1 .. 100, 20001 .. 80020), '', 'a copy of the data directory publishes nothing and does not fence the original');
like($copy->safe_psql('postgres', "SELECT DISTINCT error FROM prism.sinks"), qr/data directory is a copy/, 'and says why');

# Both have published since the copy was made, at the same offsets: nobody but the operator knows what shall be sent.
$copy->safe_psql('postgres', 'SELECT prism.adopt()');
is_sent('idle', $copy);
wait_for_value($copy, state_of('pay'), 'diverged');
is($copy->safe_psql('postgres', q{SELECT state, sink_state, hint ~ 'prism.skip' FROM prism.status WHERE namespace = 'pay'}), 'error|diverged|t', 'prism.status says what to do');
is(log_count($copy, 'sink "kafka" of topic "pay" has diverged'), 1, 'the log says so');
is(faults('pay', 1 .. 100, 20001 .. 80020), '', 'prism.adopt() lets the copy take over; where the original went on, it asks');
$copy->safe_psql('postgres', "SELECT prism.skip('pay', to_position => (SELECT \"position\" FROM prism.sinks WHERE topic = 'pay'))");
$copy->safe_psql('postgres', "SELECT prism.resume('pay')");
is_sent('pay', $copy);
is(faults('pay', 1 .. 100, 20001 .. 80020, 90001 .. 90010), '', 'and sends what it was told to');
publish('pay', 80021, 80030);
wait_for_value($node, state_of('pay'), 'fenced');
publish('pay', 90011, 90020, $copy);
is_sent('pay', $copy);
is(faults('pay', 1 .. 100, 20001 .. 80020, 90001 .. 90020), '', 'the original finds itself fenced and stops');

done_testing();
