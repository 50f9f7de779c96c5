# One forwarder for each place that sinks name, started and ended with them; nobody has to listen there for that.
use PrismTest;
use Time::HiRes qw(time);

# PostgreSQL's own number of worker processes, which must do.
my $node = prism_node('main', conf => "max_worker_processes = 8\n");

sub sql { return $node->safe_psql($_[1] // 'postgres', $_[0]); }

# Nobody listens on these.
my ($one, $two, $three) = map { '127.0.0.1:' . PostgreSQL::Test::Cluster::get_free_port() } 1 .. 3;

sub apply
{
	my ($name, $backend, $database) = @_;
	return sql("SELECT prism.apply('{name: $name, client_api: queue, patterns: [outbox], backend: $backend}')", $database);
}

sub sink_of { return sql("SELECT sink_id FROM prism.sink JOIN prism.topic t USING (topic_id) WHERE t.name = '$_[0]'"); }

my $forwarders = q{SELECT string_agg(coalesce(server, 'sink ' || sink_id) || ' ' || state, ', ' ORDER BY server, sink_id)
	FROM prism.workers WHERE kind = 'forwarder'};
my $processes = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'prism forwarder'};

sql("CREATE SERVER kafka FOREIGN DATA WRAPPER prism_kafka OPTIONS (bootstrap_servers '$one')");
sql("CREATE SERVER other FOREIGN DATA WRAPPER prism_kafka OPTIONS (bootstrap_servers '$two')");
apply('plain', 'postgres');
wait_for_value($node, q{SELECT count(*) FROM prism.workers WHERE kind = 'maintainer' AND state = 'running'}, 1);
is(sql($processes), 0, 'a topic without a sink needs no forwarder');

apply('a', 'kafka');
wait_for_value($node, $forwarders, 'kafka running');
my $pid = sql(q{SELECT pid FROM prism.workers WHERE server = 'kafka'});
apply('b', 'kafka');
apply('c', '{type: kafka, server: other}');
apply('d', qq{{type: kafka, brokers: ["$three"]}});
apply('e', qq{{type: kafka, brokers: ["$three"]}});
my ($d, $e) = (sink_of('d'), sink_of('e'));
wait_for_value($node, $forwarders, "kafka running, other running, sink $d running");
is(sql($processes), 3, 'one for each server and each endpoint, however many topics');
is(sql(q{SELECT pid FROM prism.workers WHERE server = 'kafka'}), $pid, 'who was there stays');

sql(q{SELECT prism.drop_namespace('d')});
wait_for_value($node, $forwarders, "kafka running, other running, sink $e running");
pass('an endpoint that loses one of its topics keeps a forwarder');
sql(q{SELECT prism.drop_namespace('e')});
wait_for_value($node, $forwarders, 'kafka running, other running');
wait_for_value($node, $processes, 2);
pass('without topics it has none');
sql(q{SELECT prism.drop_namespace('c')});
sql('DROP SERVER other');
wait_for_value($node, $forwarders, 'kafka running');
pass('nor has a server that is dropped');

# Messages that cannot go out, and commands that want the forwarder away.
sql(q{SELECT prism.publish(topic, 'x') FROM unnest(ARRAY['a', 'b']) AS topic, generate_series(1, 1000)});
sql('ALTER DATABASE postgres RENAME TO busy', 'template1');
wait_for_value($node, $processes, 1, 'busy');
pass('ALTER DATABASE ... RENAME works with a forwarder that has messages');
sql('CREATE DATABASE copy TEMPLATE busy', 'template1');
wait_for_value($node, "$processes AND datname = 'copy'", 1, 'busy');
pass('so does CREATE DATABASE ... TEMPLATE');
sql('DROP DATABASE copy', 'template1');
pass('and DROP DATABASE');
sql('ALTER DATABASE busy RENAME TO postgres', 'template1');
wait_for_value($node, $processes, 1);

$pid = worker_pid($node, 'prism forwarder');
my $before = time;
sql("SELECT pg_terminate_backend($pid, 10000)");
cmp_ok(time - $before, '<', 4, 'a forwarder without a broker ends when it is told to');
wait_for_value($node, "SELECT pid <> $pid AND state = 'running' FROM prism.workers WHERE kind = 'forwarder'");
pass('and another one comes');

kill_worker($node, 'prism forwarder');
wait_for_value($node, 'SELECT true');
wait_for_value($node, $forwarders, 'kafka running');
pass('also after kill -9');

sql('DROP EXTENSION prism CASCADE');
wait_for_value($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'prism %'}, 1);
pass('DROP EXTENSION ends it');
sql('CREATE EXTENSION prism');
sql("CREATE SERVER kafka FOREIGN DATA WRAPPER prism_kafka OPTIONS (bootstrap_servers '$one')");
apply('a', 'kafka');
sql(q{SELECT prism.publish('a', 'x')});
wait_for_value($node, $forwarders, 'kafka running');

$before = time;
$node->stop('fast');
cmp_ok(time - $before, '<', 5, 'a fast stop takes less than 5 s');
is(log_count($node, 'terminated by signal'), 1, 'nothing died but what was killed');
is(log_count($node, 'prism forwarder ERROR|prism manager ERROR|prism maintainer ERROR'), 0, 'no worker wrote an error');
done_testing();
