# timeout: 600
# alone: it keeps both cores busy
# Random clients against a model that knows every message, while everything that can happen happens: test/lib/torture.
# A fault names the message and its history. Repeat a run by PRISM_SEED; ./dev torture runs longer.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PrismTest;

my $seed = $ENV{PRISM_SEED} // int(rand(1_000_000));
my $seconds = $ENV{PRISM_TORTURE_SECONDS} // 60;
my $folder = PostgreSQL::Test::Utils::tempdir('torture');
chomp(my $bindir = `"@{[ $ENV{PG_CONFIG} // 'pg_config' ]}" --bindir`);

note("PRISM_SEED=$seed");
local $ENV{PYTHONDONTWRITEBYTECODE} = 1;
open my $torture, '-|', 'python3', "$FindBin::RealBin/../lib/torture/torture", $folder, $bindir, commit_fault_library() . ', prism', $seconds, $seed
  or die "python3: $!\n";
while (my $line = <$torture>)
{
	chomp $line;
	if ($line =~ /^(not )?ok \d+ - (.*)/) { ok(!$1, $2); }
	elsif ($line !~ /^\d+\.\.\d+$/) { diag($line =~ s/^# ?//r); }
}
close $torture;
cmp_ok($? >> 8, '<', 2, 'it came to its end');

done_testing();
