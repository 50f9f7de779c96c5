# A standby takes over while messages go out: nothing twice, nothing lost that survived, and the old primary stops.
use PrismTest;

my $kafka = prism_kafka();
my $primary = prism_node('primary', streaming => 1);
use_kafka($primary, $kafka->address);
$primary->safe_psql('postgres', <<'SQL');
SELECT * FROM prism.apply($$
name: pay
client_api: queue
patterns: [outbox]
needs: { delivery_guarantee: exactly_once }
backend: { type: kafka, topic: pay, partitions: 2 }
$$)
SQL

sub publish
{
	my ($node, $first, $last) = @_;
	$node->safe_psql('postgres',
		"SELECT count(prism.publish('pay', i::text, key => 'k' || i % 10)) FROM generate_series($first, $last) i");
	return;
}

sub is_sent
{
	my ($node) = @_;
	wait_for_value($node, "SELECT lag_messages = 0 AND state = 'running' FROM prism.sinks WHERE topic = 'pay'");
	return;
}

# Each number how often, as "number x times" where that is not once.
sub faults
{
	my (@wanted) = @_;
	my %count;
	$count{ (split / /)[1] }++ for $kafka->lines('pay');
	my %all = (%count, map { $_ => 1 } @wanted);
	my %is_wanted = map { $_ => 1 } @wanted;
	return join ', ', map { "$_ " . ($count{$_} // 0) . ' times' }
	  grep { ($count{$_} // 0) != ($is_wanted{$_} // 0) } sort { $a <=> $b } keys %all;
}

publish($primary, 1, 100);
is_sent($primary);
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

# Under load: the standby has everything that went out.
publish($primary, 101, 20000);
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is($standby->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'prism forwarder'"), 0,
	'a standby forwards nothing');

# Then it falls behind, and messages go out that it never gets.
$standby->stop;
publish($primary, 20001, 20010);
is_sent($primary);
is(faults(1 .. 20010), '', 'the primary has sent everything');

# The primary is gone before the standby comes back, so these are lost with it.
$primary->stop('immediate');
$standby->start;
$standby->promote;
publish($standby, 30001, 30100);
is_sent($standby);
is(log_count($standby, 'holds messages of topic "pay" that this server has lost'), 1, 'the lost tail is told');
is(faults(1 .. 20010, 30001 .. 30100), '', 'promoted, the standby goes on and repeats nothing');

$primary->start;
publish($primary, 20011, 20020);
wait_for_value($primary, "SELECT state = 'fenced' FROM prism.sinks WHERE topic = 'pay'");
like($primary->safe_psql('postgres', "SELECT error FROM prism.sinks WHERE topic = 'pay'"), qr/timeline 2 .*timeline 1/,
	'the old primary finds a newer timeline and stops');
publish($standby, 30101, 30200);
is_sent($standby);
is(faults(1 .. 20010, 30001 .. 30200), '', 'and the new one is not disturbed');

done_testing();
