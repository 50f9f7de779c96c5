# No two samples of prism.metrics have the same name and labels: whoever collects them refuses all, or keeps one of the
# two. Workers are the ones that may look alike: handlers of two roles, sinks of two servers, and that in two databases.
use PrismTest;

my $node = prism_node('main', extension => 0, conf => "prism.max_workers = 32\nmax_worker_processes = 40\n");
my @databases = ('postgres', 'second');
sub sql { return $node->safe_psql($_[1] // 'postgres', $_[0]); }

sql('CREATE ROLE a LOGIN; CREATE ROLE b LOGIN; CREATE DATABASE second');
for my $database (@databases)
{
	sql('CREATE EXTENSION prism', $database);
	for my $name ('a', 'b')
	{
		sql(qq{
			GRANT CREATE ON SCHEMA public TO $name;
			CREATE SERVER $name FOREIGN DATA WRAPPER prism_kafka OPTIONS (bootstrap_servers '127.0.0.1:1');
			SELECT prism.apply('namespaces: [{name: $name}, {name: to-$name, patterns: [outbox], backend: {type: kafka, server: $name}}]');
			SELECT prism.grant('$name', 'consume', '$name');
			SET ROLE $name;
			CREATE FUNCTION work_$name(messages prism.message[]) RETURNS void LANGUAGE sql AS '';
			SELECT prism.on('$name', 'g', 'work_$name(prism.message[])');}, $database);
	}
	# addresses in the namespaces themselves
	sql(qq{SELECT prism.apply('namespaces: [{name: at-$_, patterns: [outbox], backend: {type: kafka, brokers: ["127.0.0.1:$_"]}}]')}, $database) for 1 .. 2;
}
for my $database (@databases)
{
	wait_for_value($node, qq{SELECT string_agg(kind || ' ' || count, ', ' ORDER BY kind) FROM
		(SELECT kind, count(*) FROM prism.workers WHERE database = '$database' AND kind IN ('forwarder', 'handler') GROUP BY 1) k}, 'forwarder 4, handler 2');
}
for my $database (@databases)
{
	is(sql('SELECT name, labels, count(*) FROM prism.metrics GROUP BY 1, 2 HAVING count(*) > 1', $database), '', "$database: no two samples have the same name and labels");
	is(sql(q{SELECT count(*) FROM (SELECT regexp_replace(line, ' [^ ]+$', '') FROM string_to_table(prism.metrics_text(), E'\n') line WHERE line NOT LIKE '#%' AND line <> '' GROUP BY 1 HAVING count(*) > 1) l}, $database),
		0, "$database: nor two lines of its text");
	is(sql(qq{SELECT labels ->> 'role' FROM prism.metrics WHERE name = 'prism_worker_up' AND labels \@> '{"kind": "handler", "database": "$database"}' ORDER BY 1}, $database),
		"a\nb", "$database: handlers go by their roles");
	is(sql(qq{SELECT labels ->> 'server' FROM prism.metrics WHERE name = 'prism_worker_up' AND labels ? 'server' AND labels ->> 'database' = '$database' ORDER BY 1}, $database),
		"a\nb", "$database: forwarders by their servers");
}
is(sql(q{SELECT labels ->> 'server' FROM prism.metrics WHERE name = 'prism_worker_up' AND labels @> '{"database": "second"}' AND labels ? 'server' ORDER BY (labels ->> 'server')::oid}),
	sql('SELECT oid FROM pg_foreign_server ORDER BY 1', 'second'), 'those of another database by their oids');

done_testing();
