# Not enough worker processes: said once in the log, shown in prism.workers, and repaired without a restart when one is free.
use PrismTest;

sub state_of
{
	my ($kind) = @_;
	return "SELECT state FROM prism.workers WHERE kind = '$kind'";
}

# The server's own limit: PostgreSQL's launcher, prism's launcher, the manager.
my $node = prism_node('server', conf => "max_worker_processes = 3\n");
wait_for_value($node, state_of('maintainer'), 'no_worker_slot');
is($node->safe_psql('postgres', q{SELECT error || ' / ' || hint || ' / ' || coalesce(pid, 0) FROM prism.workers WHERE kind = 'maintainer'}),
	'max_worker_processes is used up / Raise max_worker_processes or prism.max_workers and restart the server. / 0',
	'prism.workers shows what is missing and what to do');
is($node->safe_psql('postgres', state_of('manager')), 'running', 'who has a process works');
is(log_count($node, 'prism cannot start a maintainer'), 1, 'the log says it once');
is(log_count($node, 'HINT:  Raise max_worker_processes \(now 3\) or prism.max_workers \(now 8\) and restart the server'), 1, 'with the settings to change');

$node->stop;

# Prism's own limit, over two databases.
$node = prism_node('own', conf => "prism.max_workers = 3\n");
wait_for_value($node, state_of('maintainer'), 'running');
$node->safe_psql('postgres', 'CREATE DATABASE second');
$node->safe_psql('second', 'CREATE EXTENSION prism');
wait_for_value($node, q{SELECT state || ': ' || error FROM prism.workers WHERE kind = 'maintainer' AND database = 'second'},
	'no_worker_slot: prism.max_workers is used up');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type IN ('prism manager', 'prism maintainer')}),
	3, 'no more processes than prism.max_workers');
is($node->safe_psql('postgres', q{SELECT string_agg(kind || ' ' || state, ', ' ORDER BY kind) FROM prism.workers WHERE database = 'postgres'}),
	'maintainer running, manager running', 'the first database has all of its workers');

$node->safe_psql('postgres', 'DROP EXTENSION prism');
wait_for_value($node, q{SELECT state FROM prism.workers WHERE kind = 'maintainer' AND database = 'second'}, 'running', 'second');
pass('who waited for a process gets one when it is free');
is($node->safe_psql('second', q{SELECT coalesce(error, 'none') FROM prism.workers WHERE kind = 'maintainer'}), 'none', 'and the error is gone');
is(log_count($node, 'prism cannot start a'), 1, 'the log said it once');

done_testing();
