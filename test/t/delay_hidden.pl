# A delayed message behind another transaction's commit that does not end: nobody sees it yet, and nobody takes it for none.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PrismTest;

my $node = prism_node('main', preload => commit_fault_library() . ', prism');
sub sql { return $node->safe_psql('postgres', shift) }

my $holder = $node->background_psql('postgres');
my $slow;

# A transaction whose commit has its place in the journal, and waits.
sub begin_slow
{
	$holder->query_safe('SELECT pg_advisory_lock(7)');
	$slow = $node->background_psql('postgres');
	$slow->query_until(qr/started/, "\\echo started\nSET application_name = 'slow';\nBEGIN; SET LOCAL commit_fault.wait_key = 7;\n"
		  . "SELECT prism.publish('other', 'slow', deliver_at => now() + interval '1 day'); COMMIT;\n");
	wait_for_value($node, "SELECT wait_event = 'advisory' FROM pg_stat_activity WHERE application_name = 'slow'");
	return;
}

sub end_slow
{
	$holder->query_safe('SELECT pg_advisory_unlock(7)');
	$slow->quit;
	return;
}

sql(q{SELECT count(*) FROM unnest(ARRAY['other', 'victim']) t, prism.apply(format('{name: %s, client_api: queue}', t))});

# Nothing waits, so there is no scheduler. The manager that is woken finds nothing yet, and the slow one is due later.
begin_slow();
sql(q{SELECT prism.publish('victim', 'behind', deliver_at => clock_timestamp() + interval '50 ms')});
wait_for_value($node, q{SELECT count(*) FROM prism.workers WHERE kind = 'scheduler' AND state = 'running'}, 1);
end_slow();
wait_for_value($node, q{SELECT count(*) FROM prism.read('victim')}, 1);
is(sql(q{SELECT created_at - uuid_time < interval '30 s' FROM prism.read('victim'),
	LATERAL (SELECT to_timestamp(('x0000' || left(replace(id::text, '-', ''), 12))::bit(64)::bigint / 1000.0) AS uuid_time) u}),
	't', 'a message behind a slow commit does not wait for the next look of the manager');

# Who drops a topic is told of what waits there, also of what cannot be seen yet.
begin_slow();
sql(q{SELECT prism.publish('victim', 'behind', deliver_at => clock_timestamp() + interval '1 hour')});
my $dropper = $node->background_psql('postgres', on_error_stop => 0);
$dropper->query_until(qr/started/, "\\echo started\nSET application_name = 'dropper';\n\\set VERBOSITY sqlstate\nSELECT prism.drop_namespace('victim');\n");
wait_for_value($node, q{SELECT wait_event_type IS NOT NULL AND state = 'active' OR state = 'idle' FROM pg_stat_activity WHERE application_name = 'dropper' AND query ~ 'drop_namespace'});
end_slow();
wait_for_value($node, q{SELECT state FROM pg_stat_activity WHERE application_name = 'dropper'}, 'idle');
is(sql(q{SELECT count(*) FROM prism.topics WHERE topic = 'victim'}), 1, 'a topic is not dropped for a message that nobody sees yet');
$dropper->quit;
$holder->quit;

done_testing();
