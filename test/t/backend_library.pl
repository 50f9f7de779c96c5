# Libraries of back ends: one that cannot be loaded stands in nobody else's way, and another one is added by a folder and a line.
use PrismTest;
use PrismTest::Install;

use File::Basename qw(dirname);
use File::Path qw(make_path);

my $own = PrismTest::Install->new;
my $sources = $own->sources;

# A folder, and a line in the registry.
system_or_bail('cp', '-r', dirname(__FILE__) . '/../lib/backend_example', "$sources/src/backend/file");
my $registry = slurp_file("$sources/src/backend/registry.c");
is($registry =~ s{^\tline\(\w+\)\K$}{ \\\n\tline(file)}m, 1, 'the registry takes one line more');
unlink "$sources/src/backend/registry.c";
append_to_file("$sources/src/backend/registry.c", $registry);
$own->install;

# Of a host without librdkafka, and with a library that was left from another version.
$own->patch('prism_kafka', 'librdkafka.so.1', 'librdkafka.so.0');
my ($version) = slurp_file("$sources/prism.control") =~ /default_version = '(.*)'/;
my $other_version = $version =~ s/./x/gr;
$own->patch('prism_memory', "\0$version\0", "\0$other_version\0");

my $mock = kafka_mock('there');
my $node = prism_node('main', install => $own->path);
use_kafka($node, $mock->address);
sub apply
{
	my ($name, $backend, $guarantee) = @_;
	$guarantee //= 'at_least_once';
	return $node->safe_psql('postgres', qq{SELECT * FROM prism.apply('{name: $name, backend: {type: $backend, topic: $name}, needs: {delivery_guarantee: $guarantee}}')});
}
sub sink { my ($what, $topic) = @_; return "SELECT $what FROM prism.sinks WHERE topic = '$topic'"; }
sub publish { return $node->safe_psql('postgres', "SELECT count(prism.publish('$_[0]', 'message ' || i)) FROM generate_series(1, 1000) i"); }

apply('there', 'kafka');
apply('lost', 'memory', 'exactly_once');
apply('written', 'file');
publish($_) for qw(there lost written);

wait_for_value($node, sink(q{lag_messages = 0 AND state = 'running'}, 'written'));
my @lines = split /\n/, slurp_file($node->data_dir . '/prism_file.out');
is(scalar @lines, 1000, 'the back end that was added is sent everything');
is_deeply([ map { s/^written \d+ //r } @lines ], [ map { "message $_" } 1 .. 1000 ], '... in order');
wait_for_value($node, sink('state', 'there'), 'stopped');
wait_for_value($node, sink('state', 'lost'), 'stopped');
is($node->safe_psql('postgres', sink('error', 'there')),
	'backend "kafka" is not usable on this host: librdkafka.so.0: cannot open shared object file: No such file or directory',
	'a sink of Kafka says what is missing');
is($node->safe_psql('postgres', sink('error', 'lost')),
	"library prism_memory is of version $other_version, but prism.so of version $version: restart the server if prism was updated",
	'a library of another version is not used');
is(log_count($node, q{forwarding to "kafka": missing library: backend "kafka" is not usable}), 1, 'the log tells it once');

# Without a transaction there is no exactly once, whatever a row says.
my ($out, $err) = ('', '');
isnt($node->psql('postgres', q{SELECT * FROM prism.apply('{name: once, backend: file, needs: {delivery_guarantee: exactly_once}}')}, stderr => \$err),
	0, 'it does not promise what it cannot do');
like($err, qr/backend "file" cannot deliver exactly once.*Those that can are: postgres, memory, kafka\./s, '... and says who can');
$node->safe_psql('postgres', q{UPDATE prism.sink SET config = config || '{"delivery_guarantee": "exactly_once"}' WHERE backend = 'file'});
$node->safe_psql('postgres', q{SELECT prism.resume('written')});
wait_for_value($node, sink('state', 'written'), 'stopped');
$node->wait_for_log(qr/sink \d+ of topic "written" is damaged: backend "file" cannot deliver exactly once/);

# What is mended is found without a restart.
$own->mend($_) for qw(prism_kafka prism_memory);
$node->safe_psql('postgres', "SELECT prism.resume('$_')") for qw(there lost);
wait_for_value($node, sink(q{lag_messages = 0 AND state = 'running' AND error IS NULL}, $_)) for qw(there lost);
is($node->safe_psql('postgres', sink('messages_total', $_)), 1000, "\"$_\" is sent everything once its library is there") for qw(there lost);

# Nor does a library that is not there at all.
rename $own->library('prism_kafka'), $own->library('prism_kafka') . '.gone';
$node->restart;
apply('memory', 'memory');
publish($_) for qw(there memory);
wait_for_value($node, sink(q{lag_messages = 0 AND state = 'running'}, 'memory'));
wait_for_value($node, sink(q{error LIKE '%/prism_kafka.so: cannot open shared object file%'}, 'there'));
pass('the library of a back end may be absent, and all others work');
$node->stop;

done_testing();
