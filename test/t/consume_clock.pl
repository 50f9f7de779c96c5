# A clock that is set back by hours: what lasts a while lasts no longer, also through a restart.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PrismTest;

shift_clock(6 * 3600);			# pg_ctl does not believe in a server that starts in the past
my $node = prism_node('main');

sub sql { return $node->safe_psql('postgres', $_[0]); }

# A session that runs a statement under a name; it is idle when the statement has ended.
sub waiting
{
	my ($name, $statement) = @_;
	my $session = $node->background_psql('postgres');
	$session->query_until(qr/^/, "SET application_name = '$name';\n$statement;\n");
	wait_for_value($node, "SELECT wait_event FROM pg_stat_activity WHERE application_name = '$name' AND state = 'active'", 'Extension');
	return $session;
}

sub ends
{
	my ($session, $name) = @_;
	wait_for_value($node, "SELECT state FROM pg_stat_activity WHERE application_name = '$name'", 'idle');
	pass("$name ends");
	$session->quit;
	return;
}

sub comes
{
	my ($group, $attempt, $what) = @_;
	wait_for_value($node, "SELECT attempt FROM prism.consume('clock', '$group')", $attempt);
	return pass($what);
}

sql(q{
	SELECT prism.apply('{name: clock, client_api: queue}');
	SELECT prism.apply('{name: empty, client_api: queue}');
	SELECT prism.publish('clock', 'x');
	CREATE TABLE works (yes boolean); CREATE TABLE handled (n bigint);
	CREATE ROLE worker LOGIN; GRANT SELECT ON works TO worker; GRANT INSERT ON handled TO worker; SELECT prism.grant('clock', 'consume', 'worker')});
sql(q{CREATE FUNCTION handle(m prism.message) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
	IF NOT EXISTS (SELECT FROM works) THEN RAISE SQLSTATE '40001'; END IF; INSERT INTO handled VALUES (m.position); END $$;
	SELECT prism.on('clock', 'handled', 'handle(prism.message)', role => 'worker')});
wait_for_value($node, q{SELECT state FROM prism.handlers}, 'backoff');

my $wait = waiting('wait', q{CALL prism.wait('empty', 'g', '4 s')});
my $consume = waiting('consume', q{SELECT * FROM prism.consume('empty', 'g', wait => '4 s')});
sql(q{SELECT FROM prism.consume('clock', 'leased', lease => '3 s')});
sql(q{SELECT prism.nack(m, '3 s') FROM prism.consume('clock', 'rests') m});
my $before = sql('SELECT clock_timestamp()');
shift_clock(4 * 3600);
is(sql("SELECT clock_timestamp() < timestamptz '$before' - interval '1 hour'"), 't', 'the clock is set back');
sql(q{INSERT INTO works VALUES (true)});

ends($wait, 'wait');
ends($consume, 'consume');
comes('leased', 2, 'a lease ends');
comes('rests', 2, 'a delay ends');
wait_for_value($node, q{SELECT count(*) FROM handled}, 1);
pass('a back-off ends');

# What is stored are times of day: after a restart they are read by another clock.
sql(q{SELECT prism.nack(m, '3 s') FROM prism.consume('clock', 'stored') m});
$node->stop;
shift_clock(2 * 3600);
$node->start;
comes('stored', 2, 'a delay ends that began before a restart');
sql(q{SELECT prism.nack(m, '1 h') FROM prism.consume('clock', 'long') m});
$node->restart;
is(sql(q{SELECT count(*) FROM prism.consume('clock', 'long')}), 0, 'a long one goes on');
shift_clock(4 * 3600);
is(sql(q{SELECT count(*) FROM prism.consume('clock', 'long')}), 0, 'also with the clock set forward');
$node->restart;
comes('long', 2, 'the time that passed in a restart counts by the wall clock');

# The times that are shown are times of day.
sql(q{SELECT FROM prism.consume('clock', 'rejects', lease => '1 ms')});
wait_for_value($node, q{SELECT count(prism.reject(m, 'bad')) FROM prism.consume('clock', 'rejects') m}, 1);
is(sql(q{SELECT every(abs(extract(epoch FROM clock_timestamp() - (headers ->> name)::timestamptz)) < 60)
	FROM prism.read('clock.dlq'), unnest(ARRAY['dead_letter_first_failure', 'dead_letter_last_failure']) name}), 't', 'failures are told by the clock on the wall');

done_testing();
