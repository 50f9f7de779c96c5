# Payloads of all sizes, in pieces by COPY and out again by COPY: what comes out is what was sent, and no process has more
# than a few megabytes of it.
# timeout: 600
use PrismTest;

use FindBin qw($Bin);

my $node = prism_node('main', conf => "shared_buffers = 16MB\nmax_wal_size = 4GB\n");
my $threshold = 1_000_000;
$node->safe_psql('postgres', "SELECT prism.apply('{name: sizes, patterns: [{type: claim-check, storage: postgres}]}')");
my $folder = PostgreSQL::Test::Utils::tempdir('sizes');
my $session = $node->background_psql('postgres', on_error_stop => 1);
my $pid = $session->query_safe('SELECT pg_backend_pid()');

# The most memory that the session has used, shared buffers included, in MB.
sub peak_mb { return int((slurp_file("/proc/$pid/status") =~ /^VmHWM:\s+(\d+) kB/m)[0] / 1024); }

my $position = 0;
for my $bytes (0, 1, $threshold, $threshold + 1, 64 << 20, (1 << 30) - 1)
{
	my $stream = $session->query_safe(q{SELECT prism.payload_open('sizes')});
	$session->query_safe(qq{\\copy prism.payload_piece FROM PROGRAM '"$Bin/../lib/binary_pieces" $stream $bytes 1048576 "$folder/in"' (FORMAT binary)\n});
	$session->query_safe("SELECT prism.publish_payload('sizes', '$stream')");
	$session->query_safe(qq{\\copy (SELECT prism.payload_pieces('sizes', $position)) TO PROGRAM '"$Bin/../lib/binary_sum" "$folder/out"' (FORMAT binary)\n});
	is(slurp_file("$folder/out"), "$bytes " . slurp_file("$folder/in"), "$bytes bytes");
	is($node->safe_psql('postgres', "SELECT count(*) FROM prism.claims WHERE position = $position"), $bytes > $threshold ? 1 : 0, $bytes > $threshold ? 'beside the log' : 'in the row');
	$position++;
}
cmp_ok(peak_mb(), '<', 64, 'with ' . peak_mb() . ' MB at the most');
$session->quit;

done_testing();
