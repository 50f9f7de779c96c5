# ./dev ends nothing that another one beside it has started, and removes nothing that no ./dev has made.
use PrismTest;

use Cwd qw(abs_path);
use File::Basename qw(dirname);

my $project = abs_path(dirname(__FILE__) . '/../..');
my $state = PostgreSQL::Test::Utils::tempdir() . '/state';
# these find the server by themselves, and install nothing
my %environment = (PRISM_STATE => $state, PRISM_PACKAGES => 'there', PG_CONFIG => "$ENV{PG_CONFIG}", PRISM_WAIT => 60);

# dev(argument...): its exit status, what it has said, and its errors
sub dev
{
	my @arguments = @_;
	local %ENV = (%ENV, %environment);
	my ($out, $err) = ('', '');
	IPC::Run::run([ "$project/dev", @arguments ], '<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(60));
	return ($? >> 8, $out, $err);
}

# A function of the scripts' own, as ./dev would call it.
sub script
{
	my ($commands) = @_;
	local %ENV = (%ENV, %environment);
	return system('bash', '-c', ". '$project/test/lib/common.sh'; . '$project/test/lib/machine.sh'; . '$project/test/lib/cluster.sh'; make_state; find_postgres; $commands") >> 8;
}

# ---------- two shells ----------
is(script('cluster_start demo && "$PG_BIN/createdb" demo && cluster_stop demo'), 0, 'a server of the demo');
my ($in, $out, $err) = ('', '', '');
my $shell;
{
	local %ENV = (%ENV, %environment);
	$shell = IPC::Run::start([ "$project/dev", 'psql', '-XAtq' ], '<', \$in, '>', \$out, '2>', \$err, IPC::Run::timeout(60));
}

# The first shell answers.
sub ask
{
	my ($statement) = @_;
	$out = '';
	$in .= "$statement;\n";
	$shell->pump until $out =~ m{\n} || !$shell->pumpable;
	return $out;
}
is(ask('SELECT 1'), "1\n", 'a shell on it') or diag($err);

my ($status, $said, $error) = dev('psql', '-XAtq', '-c', 'SELECT 2');
is("$status $said", "0 the server ends with the ./dev that has started it\n2\n", 'a second shell beside it') or diag($error);
is(ask('SELECT 3'), "3\n", 'leaves the first one its server');

($status, undef, $error) = dev('demo');
is($status, 1, 'a demo beside it is refused');
like($error, qr/another \.\/dev is at work in \Q$state\E/, 'and says why');
is(ask('SELECT 4'), "4\n", 'and leaves the first one its server');

($status, undef, $error) = dev('clean');
is($status, 1, 'so is cleaning');
ok(-e "$state/demo/data/postmaster.pid", 'which removes nothing');
is(ask('SELECT 5'), "5\n", 'and ends nothing');

$in .= "\\q\n";
$shell->finish;
ok(!-e "$state/demo/data/postmaster.pid", 'the server ends with the first shell');

# ---------- cleaning ----------
is((dev('clean'))[0], 0, 'then all can be removed');
ok(!-e $state, 'and is');

my $foreign = PostgreSQL::Test::Utils::tempdir() . '/foreign';
mkdir $foreign;
append_to_file("$foreign/mine", 'precious');
for my $command ([ 'clean' ], [ 'psql' ], [ 'test', 'lint' ], [ 'services', 'stop', 'kafka' ])
{
	local $environment{PRISM_STATE} = $foreign;
	($status, undef, $error) = dev(@$command);
	is($status, 1, "a folder with other things in it: ./dev @$command is refused");
	like($error, qr/\Q$foreign\E has other things in it than what \.\/dev makes/, 'and says why');
}
is(join(' ', sort(slurp_dir($foreign))), '. .. mine', 'nothing is made there, and nothing removed');

unlink "$foreign/mine";
{
	local $environment{PRISM_STATE} = $foreign;
	is((dev('services', 'stop', 'kafka'))[0], 0, 'an empty folder is taken');
	ok(-e "$foreign/.made-by-dev", 'and marked');
	append_to_file("$foreign/other", '');
	is((dev('clean'))[0], 0, 'from then on all in it is our own');
}
ok(!-e $foreign, 'and is removed');

done_testing();
