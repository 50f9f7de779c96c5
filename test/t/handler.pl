# Handlers: a worker calls functions with the messages of a group. Each effect once, whatever dies; a message that always
# fails becomes a dead letter, and the others pass; nothing that runs there is anybody but the handler's role.
# timeout: 400
use PrismTest;

use File::Basename qw(dirname);

my $node = prism_node('main');

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub wait_for_handler
{
	my ($group, $condition) = @_;
	return wait_for_value($node, "SELECT $condition FROM prism.handlers WHERE consumer_group = '$group'");
}

sql(q{
	CREATE ROLE app LOGIN;
	GRANT CREATE ON SCHEMA public TO app;
	SELECT prism.apply('namespaces: [{name: orders}, {name: other}]');
	SELECT prism.grant('orders', 'consume', 'app'), prism.grant('other', 'consume', 'app');
	SET ROLE app;
	CREATE TABLE projection (n bigint, batch int, worker int, "user" name, "session" name, path text);
	CREATE FUNCTION project(messages prism.message[]) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO projection
		SELECT (convert_from(m.payload, 'UTF8')::jsonb ->> 'n')::bigint, cardinality(messages), pg_backend_pid(), current_user, session_user, current_setting('search_path')
		FROM unnest(messages) AS m;
	END $$;
	SELECT prism.on('orders', 'projection', 'project(prism.message[])', batch_size => 10);
});
sql(q{SELECT count(prism.publish('orders', jsonb_build_object('n', n))) FROM generate_series(1, 100) AS n});
wait_for_handler('projection', 'messages_total = 100');
is(sql('SELECT count(*), count(DISTINCT n), max(batch), min("user"), min("session"), min(path) FROM projection'),
	'100|100|10|app|app|"$user", public', 'each message once, in batches, as the role and with its settings');
wait_for_handler('projection', q{state = 'waiting' AND lag_messages = 0});
is(sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'prism handler' AND xact_start IS NULL AND backend_xmin IS NULL}), 1,
	'while it waits it holds no transaction and no snapshot');
is(sql(q{SELECT kind, role, state FROM prism.workers WHERE kind = 'handler'}), 'handler|app|running', 'one worker serves the role');

# The example of doc/handlers.md, as it stands there.
my ($example) = slurp_file(dirname(__FILE__) . '/../../doc/handlers.md') =~ /^```sql\n(.*?)^```/ms;
sql("SELECT prism.create_group('orders', 'revenue', 'latest')");
sql($example);
sql(q{SELECT count(prism.publish('orders', jsonb_build_object('n', 100 + n, 'cents', n), key => 'c' || n % 2)) FROM generate_series(1, 100) AS n});
wait_for_handler('revenue', 'messages_total = 100');
is(sql(q{SELECT string_agg(customer || ' ' || cents, ', ' ORDER BY customer) FROM revenue}), 'c0 2550, c1 2500', 'the document\'s projection is right');
is(sql(q{SELECT string_agg(role, ' ' ORDER BY role) FROM prism.workers WHERE kind = 'handler' AND state = 'running'}), 'app reporting', 'another role has another process');
sql(q{SELECT prism.drop_group('orders', 'revenue')});

# A commit wakes the worker, and so does a consumer that gives something back: one that looked every few seconds would
# need more than a minute for this.
sql(q{
	SET ROLE app;
	CREATE FUNCTION ignore(messages prism.message[]) RETURNS void LANGUAGE sql AS '';
	SELECT prism.on('other', 'prompt', 'ignore(prism.message[])');
});
my $started = time;
my $consumer = $node->background_psql('postgres');
for my $i (1 .. 10)
{
	$consumer->query_safe('BEGIN');
	$consumer->query_safe(q{SELECT prism.publish('other', 'x')});
	$consumer->query_safe('COMMIT');
	wait_for_handler('prompt', 'lag_messages = 0');
	# takes it before the worker does, or finds nothing: either way the worker has to hear of it
	$consumer->query_safe('BEGIN');
	sql(q{SELECT prism.publish('other', 'x')});
	$consumer->query_safe(q{SELECT count(*) FROM prism.consume('other', 'prompt')});
	$consumer->query_safe('ROLLBACK');
	wait_for_handler('prompt', 'lag_messages = 0');
}
$consumer->quit;
cmp_ok(time - $started, '<', 40, 'what becomes available is called for at once');

# Exactly once, whatever dies. A second group takes each message by itself; both keep what they saw.
sql(q{
	SET ROLE app;
	CREATE TABLE single (n bigint);
	CREATE FUNCTION project_one(message prism.message) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO single VALUES ((convert_from(message.payload, 'UTF8')::jsonb ->> 'n')::bigint);
	END $$;
	SELECT prism.on('orders', 'single', 'project_one(prism.message)', batch_size => 7);
});
wait_for_handler('single', 'lag_messages = 0');

my $n = 200;
my $all = sub { sql(qq{SELECT string_agg(concat_ws(' ', count, count_distinct, sum), ', ') FROM (SELECT count(*), count(DISTINCT n) AS count_distinct, sum(n) FROM $_[0]) s}) };
for my $way ('worker', 'worker', 'crash', 'immediate', 'fast', 'crash')
{
	# a publisher that goes on meanwhile, as long as it can
	my $publisher = $node->background_psql('postgres', on_error_stop => 0);
	$publisher->query_until(qr/begun/, "\\echo begun\n" . join '',
		map { "SELECT count(prism.publish('orders', jsonb_build_object('n', n))) FROM generate_series($n + $_ * 5 + 1, $n + $_ * 5 + 5) AS n;\n" } 0 .. 399);
	my $before = sql(q{SELECT count(*) FROM single});
	wait_for_value($node, "SELECT count(*) > $before + 20 FROM single");
	if ($way eq 'worker')
	{
		sql(q{SELECT pg_terminate_backend(pid) FROM prism.workers WHERE kind = 'handler'});
	}
	elsif ($way eq 'crash')
	{
		kill_worker($node, 'prism handler');
	}
	else
	{
		$node->stop($way);
		$node->start;
	}
	eval { $publisher->quit };
	wait_for_value($node, 'SELECT true');
	# what was committed is published; the next numbers follow on them
	$n = sql(q{SELECT max((convert_from((m).payload, 'UTF8')::jsonb ->> 'n')::bigint) FROM (SELECT prism.read('orders', NULL, 1000000) AS m) r});
	wait_for_handler($_, "lag_messages = 0") for 'projection', 'single';
	my $wanted = sql(q{SELECT concat_ws(' ', count(*), count(DISTINCT n), sum(n)) FROM (
		SELECT (convert_from((m).payload, 'UTF8')::jsonb ->> 'n')::bigint AS n FROM (SELECT prism.read('orders', NULL, 1000000) AS m) r) s});
	is($all->('projection'), $wanted, "each effect once, in batches ($way)");
	is($all->('single'), $wanted, "... and one by one ($way)");
}
done_testing();
