# timeout: 900
# Partitions of a topic that is there: seen, asked for while messages flow, added by others, refused by the broker.
use PrismTest;

my $kafka = prism_kafka(properties => {
	'authorizer.class.name' => 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
	'allow.everyone.if.no.acl.found' => 'true' });
my $node = prism_node('main');
use_kafka($node, $kafka->proxied_address);

my $CREATE_PARTITIONS = 37;

sub config
{
	my ($name, $guarantee, $backend) = @_;
	return "{name: $name, client_api: queue, patterns: [outbox], needs: {delivery_guarantee: $guarantee}, backend: {type: kafka, $backend}}";
}

sub apply { my (@namespace) = @_; $node->safe_psql('postgres', 'SELECT * FROM prism.apply($$' . config(@namespace) . '$$)'); return; }

# What prism.plan() says of the namespace's change, and prism.apply() of why it does not make it.
sub plan_of { my (@namespace) = @_; return $node->safe_psql('postgres', 'SELECT action, detail FROM prism.plan($$' . config(@namespace) . q{$$) WHERE action NOT IN ('pattern', 'warning')}); }

sub refusal_of
{
	my (@namespace) = @_;
	my (undef, undef, $error) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT * FROM prism.apply(\$\$" . config(@namespace) . '$$)');
	return $error;
}

sub topic_tool { return $kafka->tool('org.apache.kafka.tools.TopicCommand', @_); }

# The broker notes when a record arrives.
sub create_topic
{
	my ($name, $partitions) = @_;
	return topic_tool('--create', '--topic', $name, '--partitions', $partitions, '--replication-factor', 1,
		'--config', 'message.timestamp.type=LogAppendTime');
}

# Numbered messages of twenty keys, a hundred a transaction.
sub publish
{
	my ($topic, $first, $last) = @_;
	$node->safe_psql('postgres', <<"SQL");
DO \$\$ BEGIN FOR i IN $first .. $last LOOP
	PERFORM prism.publish('$topic', i::text, key => 'k' || i % 20);
	IF i % 100 = 0 THEN COMMIT; END IF;
END LOOP; END \$\$
SQL
	return;
}

sub is_sent { my ($topic) = @_; wait_for_value($node, "SELECT lag_messages = 0 AND state = 'running' FROM prism.sinks WHERE topic = '$topic'"); return; }

sub shape_of { my ($topic) = @_; return "SELECT partitions FROM prism.sinks WHERE topic = '$topic'"; }

sub restart_forwarder
{
	kill_worker($node, 'prism forwarder');
	wait_for_value($node, 'SELECT true');
	return;
}

# Java's hash of a key.
sub murmur2
{
	my ($key) = @_;
	my ($m, $length) = (0x5bd1e995, length $key);
	my $h = 0x9747b28c ^ $length;
	my @words = unpack 'V*', substr $key, 0, $length & ~3;
	my @rest = unpack 'C*', substr $key, $length & ~3;
	for my $k (@words)
	{
		$k = $k * $m & 0xffffffff;
		$k ^= $k >> 24;
		$k = $k * $m & 0xffffffff;
		$h = ($h * $m & 0xffffffff) ^ $k;
	}
	if (@rest)
	{
		$h ^= $rest[$_] << 8 * $_ for reverse 0 .. $#rest;
		$h = $h * $m & 0xffffffff;
	}
	$h ^= $h >> 13;
	$h = $h * $m & 0xffffffff;
	return ($h ^ $h >> 15) & 0x7fffffff;
}

# What is wrong with a topic that should hold the numbers: in time, each key's messages arrive in order, wherever they
# lie. '' when all is well. Repetitions may be, where nothing else is promised.
sub faults
{
	my ($topic, $last, %allow) = @_;
	my (%arrival, %newest, @disorder);
	my $twice = 0;

	for ($kafka->lines($topic, format => '%s %T'))
	{
		my ($number, $time) = split / /;
		$twice++ if defined $arrival{$number};
		$arrival{$number} = $time if !defined $arrival{$number} || $time < $arrival{$number};
	}
	for my $number (sort { $a <=> $b } keys %arrival)
	{
		my $key = $number % 20;
		push @disorder, $number if $arrival{$number} < ($newest{$key} // 0);
		$newest{$key} = $arrival{$number};
	}
	my @lost = grep { !defined $arrival{$_} } 1 .. $last;
	return join ', ', @lost ? scalar(@lost) . " lost ($lost[0] ...)" : (), @disorder ? scalar(@disorder) . " out of order ($disorder[0] ...)" : (),
	  $twice && !$allow{twice} ? "$twice repeated" : ();
}

# Which messages from a number on do not lie where Java's client would put them.
sub misplaced
{
	my ($topic, $first, $partitions) = @_;
	return scalar grep { my ($key, $number, $partition) = split / /; $number >= $first && $partition != murmur2($key) % $partitions }
	  $kafka->lines($topic, format => '%k %s %p');
}

# ---------- more of them, while messages flow and processes die ----------
for my $guarantee (qw(at_least_once exactly_once))
{
	my $topic = "grown_$guarantee";
	create_topic($topic, 1);
	apply($topic, $guarantee, 'partitions: 1');
	publish($topic, 1, 1000);
	wait_for_value($node, "SELECT partitions, replication, max_message_bytes > 1000000, seen_at IS NOT NULL, partitions_error IS NULL FROM prism.sinks WHERE topic = '$topic'", '1|1|t|t|t');
	is(plan_of($topic, $guarantee, 'partitions: 1') =~ /^unchanged/ ? '' : 'changed', '', "$topic: what was seen is what is asked for");

	# killed while the broker has not heard of it
	publish($topic, 1001, 21_000);
	my $held = $kafka->proxy->held;
	$kafka->proxy->hold($CREATE_PARTITIONS, count => 1);
	apply($topic, $guarantee, 'partitions: 3');
	publish($topic, 21_001, 30_000);
	$kafka->proxy->wait_until(held => $held + 1);
	restart_forwarder();
	wait_for_value($node, shape_of($topic), 3);
	publish($topic, 30_001, 40_000);
	$kafka->proxy->release;

	# killed when the broker has done it, and nobody was told
	my $lost = $kafka->proxy->lost;
	$kafka->proxy->lose($CREATE_PARTITIONS, count => 1);
	publish($topic, 40_001, 50_000);
	apply($topic, $guarantee, 'partitions: 5');
	$kafka->proxy->wait_until(lost => $lost + 1);
	restart_forwarder();
	publish($topic, 50_001, 60_000);
	wait_for_value($node, shape_of($topic), 5);
	$kafka->proxy->pass;

	# undisturbed, in the middle of a backlog
	publish($topic, 60_001, 90_000);
	apply($topic, $guarantee, 'partitions: 7');
	wait_for_value($node, shape_of($topic), 7);
	publish($topic, 90_001, 91_000);
	is_sent($topic);
	is(faults($topic, 91_000, twice => $guarantee eq 'at_least_once'), '', "$topic: a key's messages arrive in order wherever they lie, none is lost, and none comes twice that must not");
	is(misplaced($topic, 90_001, 7), 0, "$topic: keys lie where another client would put them");

	# added by somebody else
	topic_tool('--alter', '--topic', $topic, '--partitions', 9);
	publish($topic, 91_001, 92_000);
	is_sent($topic);
	is(misplaced($topic, 91_001, 7), 0, "$topic: partitions that others add are used when they were seen, and nothing is under way");
	$node->safe_psql('postgres', "SELECT prism.resume('$topic')");
	wait_for_value($node, shape_of($topic), 9);
	publish($topic, 92_001, 93_000);
	is_sent($topic);
	is(misplaced($topic, 92_001, 9), 0, "$topic: prism.resume() has them seen");
	is(faults($topic, 93_000, twice => $guarantee eq 'at_least_once'), '', "$topic: in order");
	is(plan_of($topic, $guarantee, 'partitions: 7'), 'drifted|its topic at backend "kafka" has 9 partitions, 7 are asked for', "$topic: prism.plan() shows what is not as it was asked for");
}

# ---------- another topic of the lane meanwhile ----------
create_topic('beside', 1);
apply('beside', 'at_least_once', 'partitions: 1');
publish('beside', 1, 100);
is_sent('beside');
my $held = $kafka->proxy->held;
$kafka->proxy->hold($CREATE_PARTITIONS, count => 1);
apply('grown_at_least_once', 'at_least_once', 'partitions: 10');
$kafka->proxy->wait_until(held => $held + 1);
publish('beside', 101, 200);
is_sent('beside');
is(faults('beside', 200), '', 'a topic of the same lane goes on while another one is given partitions');
$kafka->proxy->release;
wait_for_value($node, shape_of('grown_at_least_once'), 10);

# ---------- what is not done ----------
my $topic = 'grown_exactly_once';
my $refused = qr/0A000: topic "$topic" of backend "kafka" has 9 partitions, and cannot have fewer.*asks for 3.*HINT:  Ask for 9, or leave "partitions" out; or send to a new topic, by another "topic_prefix"/s;
like(refusal_of($topic, 'exactly_once', 'partitions: 3'), $refused, 'fewer partitions are refused, with what to do');
like(plan_of($topic, 'exactly_once', 'partitions: 3'), qr/^refused\|0A000: topic "$topic" of backend "kafka" has 9 partitions/, 'and prism.plan() says so before');
like(refusal_of($topic, 'exactly_once', 'partitions: 7, replication: 3'), qr/0A000: topic "$topic" of backend "kafka" has 1 copies of each partition, not 3.*kafka-reassign-partitions/s, 'another replication is refused, with what to do');
like(plan_of($topic, 'exactly_once', 'partitions: 7, replication: 3'), qr/^refused\|.*copies/, 'and so does prism.plan()');
apply($topic, 'exactly_once', 'partitions: 7, replication: 1');
like(plan_of($topic, 'exactly_once', 'partitions: 3, topic_prefix: moved'), qr/^changed/, 'another topic is made as it is asked for');
apply($topic, 'exactly_once', 'topic: ' . $topic);
is(plan_of($topic, 'exactly_once', 'topic: ' . $topic) =~ /^unchanged/ ? '' : 'changed', '', 'who asks for none has none to miss');

# ---------- limits ----------
$kafka->tool('kafka.admin.ConfigCommand', '--alter', '--entity-type', 'topics', '--entity-name', $topic, '--add-config', 'max.message.bytes=500000');
$node->safe_psql('postgres', "SELECT prism.resume('$topic')");
wait_for_value($node, "SELECT max_message_bytes FROM prism.sinks WHERE topic = '$topic'", 500000);
is(plan_of($topic, 'exactly_once', 'topic: ' . $topic), 'drifted|its topic at backend "kafka" takes records of at most 500000 bytes, messages can have 1000000', 'a limit that is too small is shown');

# ---------- the broker says no ----------
create_topic('refused', 1);
$kafka->tool('org.apache.kafka.tools.AclCommand', '--add', '--allow-principal', 'User:*', '--operation', 'All', '--topic', 'refused');
$kafka->tool('org.apache.kafka.tools.AclCommand', '--add', '--deny-principal', 'User:*', '--operation', 'Alter', '--topic', 'refused');
apply('refused', 'exactly_once', 'partitions: 4');
publish('refused', 1, 1000);
is_sent('refused');
wait_for_value($node, "SELECT partitions_error IS NOT NULL FROM prism.sinks WHERE topic = 'refused'");
like($node->safe_psql('postgres', "SELECT partitions_error FROM prism.sinks WHERE topic = 'refused'"), qr/from 1 partitions to 4: .*allow the operations Alter on topic "refused"/, 'why there are no more partitions is shown');
publish('refused', 1001, 2000);
is_sent('refused');
is(faults('refused', 2000), '', 'and sending goes on');
is(plan_of('refused', 'exactly_once', 'partitions: 4'), 'drifted|its topic at backend "kafka" has 1 partitions, 4 are asked for (prism.sinks says why)', 'prism.plan() shows it');
apply('refused', 'exactly_once', 'partitions: 2');
apply('refused', 'exactly_once', 'partitions: 4');
$kafka->tool('org.apache.kafka.tools.AclCommand', '--remove', '--force', '--topic', 'refused');
$node->safe_psql('postgres', q{SELECT prism.resume('refused')});
wait_for_value($node, q{SELECT partitions = 4 AND partitions_error IS NULL FROM prism.sinks WHERE topic = 'refused'});
publish('refused', 2001, 3000);
is_sent('refused');
is(faults('refused', 3000) . misplaced('refused', 2001, 4), '0', 'when it is allowed it is done');

# ---------- not seen ----------
$node->stop;
$kafka->kill9;
$node->start;
is($node->safe_psql('postgres', q{SELECT partitions IS NULL AND seen_at IS NULL FROM prism.sinks WHERE topic = 'refused'}), 't', 'after a restart nothing is claimed of what was not seen');
like(refusal_of('refused', 'exactly_once', 'partitions: 2'), qr/0A000: topic "refused" of backend "kafka" has 4 partitions/, 'a topic that messages went to is not taken for one of fewer partitions than it was asked for');
apply('unreached', 'exactly_once', 'partitions: 12, replication: 3');
apply('unreached', 'exactly_once', 'partitions: 6, replication: 1');
$kafka->start;
wait_for_value($node, q{SELECT partitions, replication FROM prism.sinks WHERE topic = 'unreached'}, '6|1');
wait_for_value($node, shape_of('refused'), 4);
pass('what never came to be can be corrected freely');

done_testing();
