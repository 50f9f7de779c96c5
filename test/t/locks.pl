# Somebody rewrites or locks tables of one topic: its publishers and readers wait, and nobody else does.  Workers that serve
# many topics pass it over, views and the doctor answer, and nothing waits with messages in flight.
# timeout: 400
use PrismTest;

my $kafka = prism_kafka();
my $node = prism_node('main', conf => "log_lock_waits = on\ndeadlock_timeout = 100ms\nlog_line_prefix = '%m [%p] %b '\n");

sub sql { return $node->safe_psql('postgres', $_[0]); }

# No statement of this test may wait for the lock: that it answers is what is tested.
sub at_once { return $node->safe_psql('postgres', "SET statement_timeout = '20s'; SET jit = off; SET client_min_messages = error; $_[0]"); }

sub arrives
{
	my ($topic, $count) = @_;
	return is(scalar(() = $kafka->wait_for_records($topic, $count)), $count, "$topic: $count in Kafka");
}

sub relation { return sql("SELECT format('prism_log.topic_%s_$_[1]', topic_id) FROM prism.topic WHERE name = '$_[0]'"); }

use_kafka($node, $kafka->address);
sql(q{
	SELECT prism.apply('namespaces: [{name: sent, backend: {type: kafka, topic: sent}}, {name: sent-too, backend: {type: kafka, topic: sent-too}},
		{name: handled}, {name: handled-too}, {name: later}, {name: later-too}]');
	SET prism.segment_messages = 1024;
	SELECT prism.apply('name: rolled');
	CREATE ROLE app LOGIN;
	GRANT CREATE ON SCHEMA public TO app;
	SELECT prism.grant(name, 'consume', 'app') FROM prism.namespace WHERE name LIKE 'handled%';
	SET ROLE app;
	CREATE TABLE seen (topic text, payload text);
	CREATE FUNCTION see(message prism.message) RETURNS void LANGUAGE sql AS
		$$ INSERT INTO seen VALUES (message.topic, convert_from(message.payload, 'UTF8')) $$;
	SELECT prism.on(topic, 'watch', 'see(prism.message)') FROM unnest(ARRAY['handled', 'handled-too']) AS topic;
});
my $round = 0;

sub publish_all
{
	my ($which) = @_;
	$round++;
	sql(join ';', map { "SELECT prism.publish('$_', '$round')" } grep { $_ =~ $which } qw(sent sent-too handled handled-too));
	sql(join ';', map { "SELECT prism.publish('$_', '$round', deliver_at => now())" } grep { $_ =~ $which } qw(later later-too));
	return;
}

sub all_arrive
{
	my ($which, $name) = @_;
	for my $topic (grep { $_ =~ $which } qw(sent sent-too)) { arrives($topic, $round); }
	wait_for_value($node, "SELECT count(*) FROM seen WHERE topic = '$_'", $round) for grep { $_ =~ $which } qw(handled handled-too);
	wait_for_value($node, "SELECT count(*) FROM prism.read('$_')", $round) for grep { $_ =~ $which } qw(later later-too);
	return pass($name);
}

publish_all(qr/./);
all_arrive(qr/./, 'without a lock everything arrives');

# Workers begin with the lock, and topics wait that they would serve first.
for my $kind ('table', 'index', 'mark')
{
	my %suffix = (table => '0', index => '0_offset', mark => 'mark');
	my %lock = (
		table => 'LOCK TABLE %s IN ACCESS EXCLUSIVE MODE',
		index => 'REINDEX INDEX %s',
		mark  => 'ALTER SEQUENCE %s OWNER TO CURRENT_USER');
	my @topics = ('sent', 'handled', 'later');
	my $holder = $node->background_psql('postgres');

	$node->append_conf('postgresql.conf', 'prism.enabled = off');
	$node->restart if $kind eq 'table';    # who comes first has to read the log
	$node->reload;
	wait_for_value($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ '^prism (for|sch|han)'}, 0);
	$holder = $node->background_psql('postgres') if $kind eq 'table';
	publish_all(qr/./);
	$holder->query_safe('BEGIN');
	$holder->query_safe(sprintf $lock{$kind}, relation($_, $suffix{$kind})) for @topics;
	at_once(q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_type ~ '^prism (man|main)'});
	$node->append_conf('postgresql.conf', 'prism.enabled = on');
	$node->reload;

	all_arrive(qr/-too$/, "$kind: other topics do not wait");
	if ($kind ne 'mark')    # whose topic could as well be one that is being dropped
	{
		is(at_once(q{SELECT string_agg(topic || ' ' || state, ', ' ORDER BY topic) FROM prism.sinks}), 'sent waiting, sent-too running', "$kind: prism.sinks tells of it");
		is(at_once(q{SELECT state FROM prism.handlers WHERE topic = 'handled'}), 'backoff', "$kind: prism.handlers as well");
		is(at_once(q{SELECT string_agg(topic, ' ' ORDER BY topic) FROM prism.topics WHERE locked}), 'handled later sent', "$kind: and prism.topics");
	}
	is(at_once(q{SELECT string_agg(namespace, ' ' ORDER BY namespace) FROM prism.status WHERE state = 'warn' AND hint ~ 'locked'}), 'handled later sent', "$kind: and prism.status");
	is(at_once("SELECT count(*) > 0 FROM prism.$_"), 't', "$kind: prism.$_ answers") for 'groups', 'metrics', 'outbox', 'doctor()';
	is(at_once(q{SELECT count(prism.publish_batch('rolled', array_fill('x'::bytea, ARRAY[1000]))) FROM generate_series(1, 4)}), 4, "$kind: a full segment is followed by the next one");

	$holder->query_safe('COMMIT');
	$holder->quit;
	all_arrive(qr/./, "$kind: once the lock is gone, everything arrives");
}
wait_for_value($node, q{SELECT bool_and(state = 'running') FROM prism.sinks});
wait_for_value($node, q{SELECT bool_and(state = 'waiting') FROM prism.handlers});
is(sql(q{SELECT count(*) FROM prism.topics WHERE locked}), 0, 'no topic is locked any more');
is(sql(q{SELECT count(*) FROM seen}), 2 * $round, 'each message was handled once');

# A value that lies out of line has a table and an index of its own: whoever waits for them does so before the topic's
# readers wait for him.
my $toast = sql(sprintf q{SELECT reltoastrelid::regclass FROM pg_class WHERE oid = '%s'::regclass}, relation('rolled', sql(q{SELECT next_position / 1024 FROM prism.topics WHERE topic = 'rolled'})));
my $end = sql(q{SELECT next_position FROM prism.topics WHERE topic = 'rolled'});
my $holder = $node->background_psql('postgres');
my $publisher = $node->background_psql('postgres');
$holder->query_safe("BEGIN; REINDEX TABLE $toast");
$publisher->query_until(qr/begun/, q{\echo begun
SELECT prism.publish('rolled', (SELECT string_agg(sha256(i::text::bytea), '') FROM generate_series(1, 1000) AS i));
});
wait_for_value($node, q{SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'prism.publish' AND backend_type = 'client backend'}, 1);
at_once(q{SELECT prism.publish('rolled', 'small')});
is(at_once("SELECT convert_from(payload, 'UTF8') FROM prism.read('rolled', $end)"), 'small', 'who waits for a table of large values holds up no reader');
is(sql(q{SELECT committing_pid IS NULL FROM prism.status WHERE namespace = 'rolled'}), 't', 'and is not committing yet');
$holder->query_safe('COMMIT');
$holder->quit;
wait_for_value($node, "SELECT count(*) FROM prism.read('rolled', $end)", 2);
pass('then he goes on');
$publisher->quit;

is(log_count($node, ' prism \w+ .*still waiting for \w+ on relation'), 0, 'no worker has waited for a lock on a table');
is(log_count($node, 'PANIC|TRAP|terminated by signal'), 0, 'without an accident');
done_testing();
