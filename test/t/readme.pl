# The README's first message, its namespace, its way to Kafka and large payloads, doc/queue.md, doc/payloads.md and doc/transactions.md: every statement of these pages, in their order, on a
# new server and a real broker.
use PrismTest;

use File::Basename qw(dirname);

my $readme = slurp_file(dirname(__FILE__) . '/../../README.md');
my $queue = slurp_file(dirname(__FILE__) . '/../../doc/queue.md');
my $payloads = slurp_file(dirname(__FILE__) . '/../../doc/payloads.md');
my $transactions = slurp_file(dirname(__FILE__) . '/../../doc/transactions.md');
my ($chapter) = $readme =~ /^## Five minutes[^\n]*\n(.*?)^## /ms;
my ($namespaces) = $readme =~ /^## Namespaces\n(.*?)^## /ms;
my ($large) = $readme =~ /^## Large payloads\n(.*?)^## /ms;
my ($to_kafka) = $readme =~ /^## Kafka\n(.*?)^## /ms;
my @blocks = "$chapter$namespaces$to_kafka$large$queue$payloads$transactions" =~ /^```sql\n(.*?)^```/msg;
my ($settings) = $chapter =~ /^```\n# postgresql\.conf\n(.*?)^```/ms;

my $kafka = prism_kafka();
my $node = prism_node('readme', extension => 0, start => 0);
$node->append_conf('postgresql.conf', $settings);
$node->start;

cmp_ok(scalar(() = $_ =~ /^```sql/mg), '>=', 1, 'each page has statements') for $chapter, $namespaces, $to_kafka, $large, $queue, $payloads, $transactions;
like($to_kafka, qr/localhost:9092/, 'and names a broker');

for my $block (@blocks)
{
	my ($first) = $block =~ /^(.*)/;
	$block =~ s/localhost:9092/$kafka->address/e;
	my $status = $node->psql('postgres', $block, on_error_stop => 1, stderr => \my $error);
	is($status, 0, $first) or diag($error);
}

my ($record) = eval { $kafka->wait_for_records('shipments', 1, format => '%k %s'); };
is($record, 'customer-7 {"id": 1}', 'the message has reached the broker');

is($node->safe_psql('postgres', 'SELECT cents FROM ledger'), 1250, 'the ledger has the first payment');
is($node->safe_psql('postgres', 'SELECT payment FROM receipt'), 1, 'the second one has a receipt');
is($node->safe_psql('postgres', q{SELECT position, in_flight, lag_messages FROM prism.groups WHERE consumer_group = 'ledger'}), '2|0|0', 'the queue is done');
is($node->safe_psql('postgres', 'SELECT customer, cents FROM purchase JOIN coupon USING (customer)'), 'customer-7|1250', 'one call has made two rows, and a dry run has deleted none');
is($node->safe_psql('postgres', q{SELECT count(*) FROM prism.outbox WHERE topic = 'orders' AND payload::jsonb -> 'purchase' = '1'}), 1, 'and a message with the number of one of them');
done_testing();
