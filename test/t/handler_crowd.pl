# More handlers than places (prism.max_groups), and places that handlers of another database have left: who finds none
# waits and says so, and who needs one gets what nobody uses.
use PrismTest;

my $node = prism_node('main', conf => "prism.max_groups = 8\nprism.max_workers = 8\n");
sub sql { return $node->safe_psql($_[1] // 'postgres', $_[0]); }

sub setup
{
	my ($database, $first, $last, $role) = @_;
	sql(qq{
		SELECT prism.grant('t', 'consume', '$role');
		SELECT prism.on('t', 'g' || i, 'work(prism.message[])', role => '$role') FROM generate_series($first, $last) AS i;
	}, $database);
}

sub prepare
{
	my ($database) = @_;
	sql(q{
		CREATE TABLE done (g text); GRANT INSERT ON done TO PUBLIC;
		CREATE FUNCTION work(messages prism.message[]) RETURNS void LANGUAGE sql AS $$ INSERT INTO done SELECT m.consumer_group FROM unnest(messages) AS m $$;
		SELECT prism.apply('name: t');
	}, $database);
}

sub set_max_groups
{
	$node->append_conf('postgresql.conf', "prism.max_groups = $_[0]");
	$node->restart;
}

sub handlers { return "SELECT string_agg(consumer_group || ' ' || state, ', ' ORDER BY consumer_group) FROM prism.handlers"; }

sql('CREATE ROLE one LOGIN; CREATE ROLE two LOGIN; CREATE DATABASE other');
prepare('postgres');
setup('postgres', 1, 4, 'one');
wait_for_value($node, handlers(), 'g1 waiting, g2 waiting, g3 waiting, g4 waiting');
setup('postgres', 5, 8, 'two');
wait_for_value($node, q{SELECT count(*) FROM prism.handlers WHERE state = 'waiting'}, 8);

# One of the two processes comes first, the other finds nothing. It stays, and looks again after a while.
set_max_groups(4);
wait_for_value($node, q{SELECT count(*) FROM prism.handlers WHERE state = 'failed' AND error LIKE 'no free place for the handler: all 4 of prism.max_groups are in use%'}, 4);
wait_for_value($node, q{SELECT count(*) FROM prism.workers WHERE kind = 'handler' AND state = 'running'}, 2);
like(sql('SELECT state || hint FROM prism.status'), qr/^warnThe handler of consumer group g\d gets no messages, as all places of prism.max_groups are in use/, 'prism.status says what to do');
my $processes = q{SELECT string_agg(pid::text, ' ' ORDER BY pid) FROM prism.workers WHERE kind = 'handler'};
my $before = sql($processes);
wait_for_value($node, q{SELECT bool_and(since < clock_timestamp() - interval '4 s') FROM prism.workers WHERE kind = 'handler'}, 't');
is(sql($processes), $before, 'the processes stay');
cmp_ok(log_count($node, 'no free place for the handler'), '<=', 2, 'the server log is told once');
cmp_ok(sql('SELECT sum(restarts) FROM prism.workers'), '==', 0, 'nothing is restarted');

# The others go on; places that become free are found.
sql(q{SELECT prism.publish('t', 'x')});
wait_for_value($node, q{SELECT count(DISTINCT g) FROM done}, 4);
sql(q{SELECT prism.drop_group('t', g) FROM (SELECT DISTINCT g FROM done) AS d});
wait_for_value($node, q{SELECT count(*) FROM prism.handlers WHERE state = 'waiting' AND lag_messages = 0}, 4);
pass('who waited for a place gets one that becomes free');

# Handlers that nobody serves, and that are removed then: their places are there for another database.
$node->append_conf('postgresql.conf', 'prism.enabled = off');
$node->reload;
wait_for_value($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'prism handler'}, 0);
sql(q{SELECT prism.drop_namespace('t', true)});
$node->append_conf('postgresql.conf', 'prism.enabled = on');
$node->reload;
sql('CREATE EXTENSION prism', 'other');
prepare('other');
setup('other', 1, 4, 'one');
sql(q{SELECT prism.publish('t', 'x')}, 'other');
wait_for_value($node, q{SELECT count(DISTINCT g) FROM done}, 4, 'other');
wait_for_value($node, handlers(), 'g1 waiting, g2 waiting, g3 waiting, g4 waiting', 'other');
pass('places of removed handlers of another database are taken');
done_testing();
