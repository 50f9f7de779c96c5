# Library and SQL of different versions: everything says so, nothing runs, and the workers come when they agree again.
use PrismTest;

my $node = prism_node('main');
my $version = $node->safe_psql('postgres', 'SELECT prism.version()');

my $waits = q{prism's workers wait: the library is prism};

sub psql_error
{
	my ($query) = @_;
	my ($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$query");
	return $err;
}

sub manager
{
	my ($what) = @_;
	return "SELECT $what FROM prism.workers WHERE kind = 'manager'";
}

$node->safe_psql('postgres', q{SELECT prism.apply('{name: orders, client_api: queue, patterns: [outbox]}')});
wait_for_value($node, manager('state'), 'running');

# As if the server had been restarted with a newer library, and then with an older one.
for my $other ('0.0.1', '99.0')
{
	$node->safe_psql('postgres', "UPDATE pg_extension SET extversion = '$other' WHERE extname = 'prism'");
	$node->stop;
	my $told = log_count($node, $waits);	# the manager may have seen it before the stop
	$node->start;

	wait_for_value($node, manager('state'), 'failed');
	is($node->safe_psql('postgres', manager('error')),
		"the library is prism $version, its SQL in this database is $other: run ALTER EXTENSION prism UPDATE",
		"$other: prism.workers says why nothing runs");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'prism %' AND datname = 'postgres'}),
		1, "$other: only the manager is there");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM prism.workers WHERE kind = 'maintainer'}), 0, "$other: no other worker is wanted");
	for my $query (q{SELECT prism.publish('orders', 'x')}, q{SELECT prism.apply('{name: more, client_api: queue, patterns: [outbox]}')})
	{
		like(psql_error($query),
			qr/55000: prism's library and its SQL are of different versions\s+DETAIL:  The library is $version, the extension in this database is $other\.\s+HINT:  Run ALTER EXTENSION prism UPDATE/,
			"$other: $query");
	}
	is($node->safe_psql('postgres', 'SELECT prism.version()'), $version, "$other: prism.version() still answers");
	is(log_count($node, $waits) - $told, 1, "$other: the log says it once");
}

# Catalogue as it will be after an update; any ALTER EXTENSION calls the workers.
$node->safe_psql('postgres', "UPDATE pg_extension SET extversion = '$version' WHERE extname = 'prism'; "
	  . 'CREATE TABLE public.member (); ALTER EXTENSION prism ADD TABLE public.member');
wait_for_value($node, q{SELECT string_agg(kind || ' ' || state || ' ' || coalesce(error, ''), ', ' ORDER BY kind) FROM prism.workers WHERE database = 'postgres'},
	'maintainer running , manager running ');
pass('they come when the versions agree, without a restart');
$node->safe_psql('postgres', q{SELECT prism.publish('orders', 'x')});
pass('and so do the functions');

done_testing();
