# A copy that becomes an installation of its own: both go on, and neither repeats what was sent before.
use PrismTest;

my $kafka = prism_kafka();
my $node = prism_node('original', streaming => 1);
use_kafka($node, $kafka->address);
$node->safe_psql('postgres', <<'SQL');
SELECT * FROM prism.apply($$
name: pay
client_api: queue
patterns: [outbox]
needs: { delivery_guarantee: exactly_once }
backend: { type: kafka, topic: pay }
$$)
SQL

sub publish
{
	my ($server, $first, $last) = @_;
	$server->safe_psql('postgres', "SELECT count(prism.publish('pay', i::text)) FROM generate_series($first, $last) i");
	return;
}

sub is_sent
{
	my ($server) = @_;
	wait_for_value($server, "SELECT lag_messages = 0 AND state = 'running' FROM prism.sinks WHERE topic = 'pay'");
	return;
}

publish($node, 1, 10);
is_sent($node);
$node->stop;
$node->backup_fs_cold('cold');
my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($node, 'cold');
$node->start;
$copy->start;
wait_for_value($copy, "SELECT bool_and(state = 'paused: copied') FROM prism.sinks");

$copy->safe_psql('postgres', 'CREATE ROLE somebody');
my ($result, $out, $err) = $copy->psql('postgres', 'SET ROLE somebody; SELECT prism.rebase()');
like($err, qr/permission denied/, 'not for everybody');

$copy->safe_psql('postgres', 'SELECT prism.rebase()');
publish($copy, 101, 110);
publish($node, 11, 20);
is_sent($copy);
is_sent($node);
is_deeply([ sort { $a <=> $b } $kafka->lines('pay', format => '%s') ], [ 1 .. 20, 101 .. 110 ],
	'both send, and neither repeats what was sent before the copy');
isnt($copy->safe_psql('postgres', 'SELECT installation_id FROM prism.installation'),
	$node->safe_psql('postgres', 'SELECT installation_id FROM prism.installation'), 'under different names');

done_testing();
