# The README's five minutes: every statement of that chapter, in its order, on a new server and a real broker.
use PrismTest;

use File::Basename qw(dirname);

my $readme = slurp_file(dirname(__FILE__) . '/../../README.md');
my ($chapter) = $readme =~ /^## Five minutes[^\n]*\n(.*?)^## /ms;
my @blocks = $chapter =~ /^```sql\n(.*?)^```/msg;
my ($settings) = $chapter =~ /^```\n# postgresql\.conf\n(.*?)^```/ms;

my $kafka = prism_kafka();
my $node = prism_node('readme', extension => 0, start => 0);
$node->append_conf('postgresql.conf', $settings);
$node->start;

cmp_ok(scalar @blocks, '>=', 3, 'the chapter has statements');
like($chapter, qr/localhost:9092/, 'and names a broker');

for my $block (@blocks)
{
	my ($first) = $block =~ /^(.*)/;
	$block =~ s/localhost:9092/$kafka->address/e;
	my $status = $node->psql('postgres', $block, on_error_stop => 1, stderr => \my $error);
	is($status, 0, $first) or diag($error);
}

my ($record) = eval { $kafka->wait_for_records('shipments', 1, format => '%k %s'); };
is($record, 'customer-7 {"id": 1}', 'the message has reached the broker');

done_testing();
