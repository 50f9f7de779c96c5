# What pg_stat_statements makes of calls: with parameters one entry, however many they are, whichever library comes first.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PrismTest;

my $script = PostgreSQL::Test::Utils::tempdir('calls') . '/calls.sql';
append_to_file($script, "\\set n random(1, 1000000)\nCALL prism.wait('statements', 'g' || :n, '0')\n");

for my $order ('pg_stat_statements, prism', 'prism, pg_stat_statements')
{
	my $node = prism_node($order =~ s/\W+/_/gr, preload => $order);

	$node->safe_psql('postgres', q{CREATE EXTENSION pg_stat_statements; SELECT prism.apply('{name: statements, client_api: queue}')});
	$node->command_ok([ 'pgbench', '-n', '-M', 'extended', '-t', 20, '-f', $script, $node->connstr('postgres') ], "$order: 20 calls");
	is($node->safe_psql('postgres', q{SELECT count(*) || ' ' || sum(calls) FROM pg_stat_statements WHERE query LIKE 'CALL prism.wait%'}), '1 20', 'their parameters are not told apart');

	# constants in the text: it is the server that replaces them, since 17
	$node->safe_psql('postgres', "CALL prism.wait('statements', 'c$_', '0')") for 1 .. 3;
	my $entries = $node->safe_psql('postgres', 'SHOW server_version_num') >= 170000 ? '2' : '4';
	is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_statements WHERE query LIKE 'CALL prism.wait%'}), $entries, 'with constants as the server does it');
	$node->stop;
}

done_testing();
