# The tools that the other tests trust: a broker that can be killed, and a proxy whose faults are what they say.
use PrismTest;

my $kafka = prism_kafka();
my $proxy = $kafka->proxy;

# kcat as a producer through the proxy: two records, in one request, repeated until acknowledged.
sub produce
{
	my (@more) = @_;
	my ($in, $out, $err) = ("k\tv1\nk\tv2\n", '', '');
	return IPC::Run::run(
		[ 'kcat', '-P', '-E', '-b', $kafka->proxied_address, '-t', 'orders', '-K', "\t", '-H', 'kind=test', '-X', 'linger.ms=300', @more ],
		'<', \$in, '>', \$out, '2>', \$err);
}

sub record_count { return scalar $kafka->lines('orders'); }

$kafka->create_topic('orders');
is_deeply([ $kafka->topics ], ['orders'], 'the broker tells its topics');

ok(produce(), 'a producer reaches the broker through the proxy');
is_deeply([ $kafka->lines('orders') ], [ 'k v1', 'k v2' ], 'lines() reads in order');
is_deeply(
	[ map { [ $_->{key}, $_->{payload}, $_->{headers}{kind} ] } $kafka->records('orders') ],
	[ [ 'k', 'v1', 'test' ], [ 'k', 'v2', 'test' ] ],
	'records() has keys, payloads and headers');
is($proxy->seen('Produce'), 1, 'the proxy counts requests by their kind');

$proxy->lose('Produce', count => 1, reset => 1);
ok(produce(), 'a producer survives the loss of an answer');
is($proxy->lost, 1, 'one answer was lost');
is(record_count(), 6, 'so the records were sent twice');

$proxy->hold('Produce', count => 1, reset => 1);
ok(produce(), 'a producer survives a request that is held back');
is($proxy->held, 1, 'one request is held');
is(record_count(), 8, 'only the repeated request has arrived');
$proxy->release;
is(scalar(my @lines = $kafka->wait_for_records('orders', 10)), 10, 'released, the late request arrives as well');

$proxy->hold('Produce');
my $producer = fork // die "could not fork\n";
POSIX::_exit(produce() ? 0 : 1) if $producer == 0;
$proxy->wait_until(held => 1);
is(record_count(), 10, 'what is held has not arrived');
$proxy->pass;
$proxy->release;
waitpid $producer, 0;
is($?, 0, 'released, it reaches a client that is still there, and so does the answer');
is(record_count(), 12, 'once');

$proxy->swallow;
ok(!produce('-X', 'message.timeout.ms=1000'), 'through a proxy that swallows nobody gets');
$proxy->pass;
$proxy->cut;
ok(!produce('-X', 'message.timeout.ms=1000'), 'nor through one that is cut');
$proxy->pass;
ok(produce(), 'both heal');

$kafka->kill9;
ok(!eval { record_count(); 1 }, 'a killed broker answers nobody');
$kafka->start;
cmp_ok(record_count(), '>=', 14, 'started again, it has its records');

done_testing();
