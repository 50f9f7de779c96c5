# A delayed message that somebody has read at its position lies there after a crash too, and at no other one: the
# process that delivers commits as sessions of the database do.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PrismTest;

my $node = prism_node('main', conf => <<'CONF');
restart_after_crash = on
prism.max_workers = 8
autovacuum = off
checkpoint_timeout = 1h
CONF
sub sql { return $node->safe_psql('postgres', shift) }

sql(q{SELECT prism.apply('{name: delayed, client_api: queue}')});
# what is made at first use is flushed: it is there before
sql(q{SELECT prism.publish('delayed', 'first', deliver_at => clock_timestamp() + interval '100 ms')});
wait_for_value($node, q{SELECT count(*) FROM prism.read('delayed')}, 1);

# Where the messages of one transaction were delivered, before and after a crash.
sub positions
{
	return sql(qq{SELECT coalesce(string_agg("position"::text, ' ' ORDER BY "position"), '') FROM prism.read('delayed') WHERE convert_from(payload, 'UTF8') = '$_[0]'});
}

sub crash_when_delivered
{
	my ($name) = @_;
	# the WAL writer would flush by itself now and then
	my $walwriter = sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'});
	kill STOP => $walwriter or die $!;
	sql(qq{SET synchronous_commit = on; SELECT count(prism.publish('delayed', '$name', deliver_at => clock_timestamp() + interval '200 ms')) FROM generate_series(1, 3)});
	wait_for_value($node, qq{SELECT count(*) FROM prism.read('delayed') WHERE convert_from(payload, 'UTF8') = '$name'}, 3);
	my $before = positions($name);
	kill KILL => $walwriter or die $!;
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'walwriter' AND pid <> $walwriter")
	  or die 'the server does not come back';
	wait_for_value($node, qq{SELECT count(*) FROM prism.read('delayed') WHERE convert_from(payload, 'UTF8') = '$name'}, 3);
	return ($before, positions($name));
}

for my $round (1 .. 3)
{
	my ($before, $after) = crash_when_delivered("round $round");
	is($after, $before, "what was read at its position is there after a crash, round $round");
}

# No standby is waited for: others' messages would wait with them.
sub set
{
	my ($setting, $value) = @_;
	sql("ALTER SYSTEM SET $setting = '$value'");
	$node->reload;
	# the server has told its processes before a new session begins
	wait_for_value($node, "SHOW $setting", $value);
}
set('synchronous_standby_names', 'nobody');
sql(q{SET synchronous_commit = local; SELECT prism.publish('delayed', 'alone', deliver_at => clock_timestamp() + interval '200 ms')});
wait_for_value($node, q{SELECT count(*) FROM prism.read('delayed') WHERE convert_from(payload, 'UTF8') = 'alone'}, 1);
pass('a standby that is not there keeps back no delayed message');
set('synchronous_standby_names', '');

# As with any commit, the database may say that it need not be so: then they come, at another position perhaps.  A reload is enough.
set('synchronous_commit', 'off');
my ($before, $after) = crash_when_delivered('relaxed');
isnt($after, $before, 'a database that commits asynchronously delivers again what a crash has taken');
is(scalar(split / /, $after), 3, 'each once');
set('synchronous_commit', 'on');
($before, $after) = crash_when_delivered('strict');
is($after, $before, 'and not when it does not any more');

done_testing();
