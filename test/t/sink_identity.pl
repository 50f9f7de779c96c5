# A sink belongs to its foreign server, not to a name; and what it says of itself is said by a process that lives.
use PrismTest;

my $node = prism_node('main');

sub sql { return $node->safe_psql($_[1] // 'postgres', $_[0]); }

sub apply
{
	my ($name, $backend) = @_;
	return sql("SELECT prism.apply('{name: $name, client_api: queue, patterns: [outbox], backend: $backend}')");
}

sub sink_is
{
	my ($topic, $what, $expected, $database) = @_;
	return wait_for_value($node, "SELECT $what FROM prism.sinks WHERE topic = '$topic'", $expected, $database);
}

my $forwarders = q{SELECT string_agg(server, ', ' ORDER BY server) FROM prism.workers WHERE kind = 'forwarder' AND server IS NOT NULL};
my ($one, $two) = map { '127.0.0.1:' . PostgreSQL::Test::Cluster::get_free_port() } 1 .. 2;    # nobody listens there

# ---------- whose server ----------
sql('CREATE ROLE stranger; GRANT USAGE ON FOREIGN DATA WRAPPER prism_kafka TO stranger');
sql(q{ALTER SYSTEM SET prism.allowed_endpoints = '127.0.0.1:*'; SELECT pg_reload_conf()});
sql("CREATE SERVER kafka FOREIGN DATA WRAPPER prism_kafka OPTIONS (bootstrap_servers '$one')");
apply('a', 'kafka');
wait_for_value($node, $forwarders, 'kafka');
my $pid = sql(q{SELECT pid FROM prism.workers WHERE server = 'kafka'});
my $sink = sql('SELECT sink_id FROM prism.sink');
wait_for_value($node, q{SELECT current_setting('prism.allowed_endpoints')}, '127.0.0.1:*');
sql("ALTER SERVER kafka RENAME TO former; SET ROLE stranger; CREATE SERVER kafka FOREIGN DATA WRAPPER prism_kafka OPTIONS (bootstrap_servers '$two')");
sql(q{SELECT prism.publish('a', 'x')});
apply('b', '{type: kafka, server: former}');
sink_is('b', q{state IN ('waiting', 'backoff')}, 't');    # the manager and the forwarder have looked at the catalogue since
is(sql($forwarders), 'former', 'who takes the name of a server does not get its messages');
is(sql(q{SELECT pid FROM prism.workers WHERE kind = 'forwarder'}), $pid, 'which go on where they went');
is(sql(q{SELECT server FROM prism.sinks WHERE topic = 'a'}), 'former', 'prism.sinks shows what it is called now');
like(sql(q{SELECT action || ' ' || detail FROM prism.plan('{name: a, client_api: queue, patterns: [outbox], backend: kafka}')}),
	qr/^refused 55000: messages of topic "a" wait for their sink$/m, 'a configuration with the old name is about another server, and prism.plan() says so');
my ($code, $out, $error) = $node->psql('postgres', 'DROP SERVER former');
like($error, qr/cannot drop server former because other objects depend on it\nDETAIL:  foreign table prism_log.sink_$sink depends on server former/,
	'a server in use cannot be dropped');

# A dump carries it.
my $dump = $node->basedir . '/server.dump';
system_or_bail('pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr('postgres'));
sql('CREATE DATABASE copy');
system_or_bail('pg_restore', '-d', $node->connstr('copy'), $dump);
is(sql(q{SELECT string_agg(topic || ' ' || server || ' ' || (server <> '') , ', ' ORDER BY topic) FROM prism.sinks}, 'copy'), 'a former true, b former true', 'restored, sinks know their server');
sink_is('a', 'state', 'paused: copied', 'copy');
wait_for_value($node, q{SELECT count(*) FROM pg_class c JOIN pg_depend d ON d.objid = c.oid AND d.refclassid = 'pg_extension'::regclass WHERE c.relkind = 'f'}, 2, 'copy');
pass('and their tables go with the extension');
sql('DROP DATABASE copy');

# While its process still has it, nobody leads the sink elsewhere: the process would write where it was.
($code, $out, $error) = $node->psql('postgres', "\\set VERBOSITY sqlstate\nBEGIN; DROP SERVER former CASCADE; SELECT prism.skip('a', to_position => 0)");
like($error, qr/ERROR:  55000/, 'a sink whose server is being dropped is not skipped');

# Dropped all the same.
sql('DROP SERVER former CASCADE');
wait_for_value($node, q{SELECT count(*) FROM prism.workers WHERE kind = 'forwarder'}, 0);
is(sql(q{SELECT state || ' ' || error FROM prism.sinks WHERE topic = 'a'}), 'stopped its foreign server, called "kafka" when it was applied, was dropped: apply the namespace again, with a server that is there',
	'a sink without its server is stopped, and says why');
is(sql(q{SELECT state FROM prism.status WHERE namespace = 'a'}), 'error', 'prism.status as well');
sql("SET ROLE stranger; CREATE SERVER former FOREIGN DATA WRAPPER prism_kafka OPTIONS (bootstrap_servers '$two')");
sql('SELECT prism.wake_workers()');
is(sql(q{SELECT state FROM prism.sinks WHERE topic = 'a'}), 'stopped', 'a new server of that name does not get it');
is(sql(q{SELECT count(*) FROM prism.sink_server}), 0, 'nor does it have one otherwise');
sql(q{SELECT prism.drop_namespace(n, true) FROM unnest(ARRAY['a', 'b']) AS n});
sql('DROP SERVER former; DROP SERVER kafka');
pass('what nobody uses can be dropped');

# ---------- whose state ----------
apply('m', 'memory');
sql(q{SELECT prism.publish('m', 'x')});
sink_is('m', q{state || ' ' || lag_messages}, 'running 0');
my $up = q{SELECT value FROM prism.metrics WHERE name = 'prism_sink_up'};
is(sql($up), 1, 'a sink with a process is up');
$node->append_conf('postgresql.conf', 'prism.enabled = off');
$node->reload;
wait_for_value($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'prism forwarder'}, 0);
is(sql(q{SELECT state, error IS NULL FROM prism.sinks}), 'starting|t', 'without one it does not say that it is running');
is(sql($up), 0, 'nor that it is up');
is(sql('SELECT state, sink_state FROM prism.status'), 'warn|starting', 'nor prism.status that all is well');
sql(q{SELECT prism.pause('m')});
is(sql('SELECT state FROM prism.sinks'), 'paused', 'paused is what the catalogue says');
is(sql(q{SELECT prism.skip('m', to_position => 0)}), 0, 'and enough for prism.skip()');
sql(q{SELECT prism.resume('m')});
$node->append_conf('postgresql.conf', 'prism.enabled = on');
$node->reload;
sink_is('m', 'state', 'running');

# An error is shown as long as it is in the way.
sql(q{SELECT prism.drop_namespace('m', true)});
wait_for_value($node, q{SELECT count(*) FROM prism.workers WHERE kind = 'forwarder'}, 0);
apply('away', 'memory');
sql(q{SELECT prism.pause('away')});
sink_is('away', 'state', 'paused');
sql(q{UPDATE prism.sink SET config = config || '{"failures": {"away": 2}}'});
sql(q{SELECT prism.apply('name: other')});    # a change of the catalogue that all hear of
sql(q{SELECT prism.resume('away')});
sink_is('away', q{state || ' ' || coalesce(error, '-')}, 'backoff away on request');
pass('who backs off says why');
sink_is('away', q{state || ' ' || coalesce(error, '-') || coalesce(error_at::text, '-')}, 'running --');
pass('who runs again has nothing to say');

# What others do is heard by all sinks of the process, in the same turn.
sub everybody_hears
{
	sql(q{SELECT prism.pause('away')});
	sink_is('away', 'state', 'paused');
	sql(q{SELECT prism.resume('away')});
	sink_is('away', 'state', 'running');
	return;
}

# prism.resume() counts when it is committed, and for what was in the way then.
sql(q{SELECT prism.apply('{name: once, client_api: queue, patterns: [outbox], needs: {delivery_guarantee: exactly_once}, backend: memory}')});
sql(q{SELECT prism.publish('once', 'x')}) for 1 .. 3;
sink_is('once', q{state || ' ' || lag_messages}, 'running 0');
my $rows = sql(q{SELECT format('prism_log.topic_%s_0', topic_id) FROM prism.topic WHERE name = 'once'});
sql("CREATE TABLE kept AS SELECT * FROM $rows");
sql("UPDATE $rows SET id = gen_random_uuid()");
sql(q{SELECT prism.pause('once')});
sink_is('once', 'state', 'paused');
sql(q{SELECT prism.resume('once')});
sink_is('once', 'state', 'diverged');
is(sql(q{SELECT state || ': ' || hint FROM prism.status WHERE namespace = 'once'}) =~ /^error: \S/, 1, 'prism.status tells of a sink whose history is another one');
sql("UPDATE $rows r SET id = k.id FROM kept k WHERE k.\"offset\" = r.\"offset\"");
sql(q{BEGIN; SELECT prism.resume('once'); ROLLBACK});
everybody_hears();
is(sql(q{SELECT state FROM prism.sinks WHERE topic = 'once'}), 'diverged', 'a resume that was rolled back resumes nothing');
sql(q{SELECT prism.resume('once')});
sink_is('once', q{state || coalesce(error, '-')}, 'running-');
pass('one that was committed does');

# What somebody wrote into a sink's row is shown as text that can be read, however long.
sql(q{UPDATE prism.sink SET config = config || jsonb_build_object('batch_size', 'a' || repeat(U&'\00E9', 40)) WHERE topic_id = (SELECT topic_id FROM prism.topic WHERE name = 'once')});
sql(q{SELECT pg_terminate_backend(pid) FROM prism.workers WHERE kind = 'forwarder'});
sink_is('once', q{state || length(substring(convert_from(convert_to(error, 'UTF8'), 'UTF8') FROM '"batch_size" is "(a.*)"$'))}, 'stopped16');
pass('an error is cut between two characters');
done_testing();
