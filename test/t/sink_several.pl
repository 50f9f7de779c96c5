# A topic has several sinks: each goes on by itself, and what they all wait for waits for all of them.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PrismTest;

my $node = prism_node('main', conf => "prism.retention = -1\nprism.segment_messages = 1024\n");

sub sql { return $node->safe_psql($_[1] // 'postgres', $_[0]); }

# SQLSTATE, message, detail of a statement that is refused
sub refused
{
	my ($statement) = @_;
	my ($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$statement");
	my ($error) = $err =~ /ERROR:  (.*)/;
	my ($detail) = $err =~ /DETAIL:  (.*)/;
	return join ' | ', $error // 'accepted', $detail // ();
}

sub config { return "{name: $_[0], client_api: queue, patterns: [outbox], backend: $_[1]}"; }
sub add { my ($name, $sink, $backend, $from) = @_; return "SELECT prism_internal.add_sink('$name', '$sink', '" . config($name, $backend) . "'" . (defined $from ? ", $from" : '') . ')'; }
sub apply { my ($name, $backend) = @_; return sql("SELECT action FROM prism.apply('" . config($name, $backend) . "')"); }
sub publish { my ($topic, $count, $payload) = @_; $payload //= "'x'"; return sql("SELECT count(prism.publish('$topic', $payload)) FROM generate_series(1, $count) n"); }
my $large = q{(SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 40 + 0 * n))};

sub sinks_are
{
	my ($topic, $expected, $database) = @_;
	wait_for_value($node, "SELECT string_agg(sink || ' ' || state || ' ' || coalesce(position, -1), ', ' ORDER BY sink) FROM prism.sinks WHERE topic = '$topic'", $expected, $database);
	return;
}

# Brokers of its own are a forwarder of its own; prism_memory does not look at them.
sub apart
{
	my ($topic, $sink, $more) = @_;
	# paused, it sends nothing before the change is known
	sql("SELECT prism.pause('$topic', '$sink')");
	wait_for_value($node, "SELECT state FROM prism.sinks WHERE topic = '$topic' AND sink = '$sink'", 'paused');
	sql("UPDATE prism.sink SET config = config || '{\"brokers\": [\"$sink\"]}' || '" . ($more // '{}') . "' WHERE name = '$sink' AND topic_id = (SELECT topic_id FROM prism.topic WHERE name = '$topic'); SELECT prism.resume('$topic', '$sink')");
	return;
}

# ---------- one beside the other ----------
apply('two', 'memory');
publish('two', 100);
sql(add('two', 'mirror', '{type: memory, topic: elsewhere}'));
sinks_are('two', 'memory running 100, mirror running 100');
is(sql(q{SELECT string_agg(sink || ' ' || backend || ' ' || target, ', ' ORDER BY sink) FROM prism.sinks}), 'memory memory two, mirror memory elsewhere', 'the second begins with the first message kept; prism.sinks tells one from the other');
is(sql(q{SELECT string_agg(labels ->> 'sink' || ' ' || value, ', ' ORDER BY labels ->> 'sink') FROM prism.metrics WHERE name = 'prism_sink_position'}), 'memory 100, mirror 100', 'and so do the metrics');
is(sql(q{SELECT count(*) FROM prism.workers WHERE kind = 'forwarder'}), 1, 'one endpoint is one process');

# ---------- one is paused ----------
sql(q{SELECT prism.pause('two', 'mirror')});
sinks_are('two', 'memory running 100, mirror paused 100');
publish('two', 10);
sinks_are('two', 'memory running 110, mirror paused 100');
pass('the other goes on');
is(sql(q{SELECT state || ' ' || pending || ' ' || sink_state || ' ' || hint FROM prism.status}), q{paused 10 paused Sink mirror: SELECT prism.resume(topic, 'mirror') lets it go on.}, 'prism.status tells of the one that fares worst');
is(sql(q{SELECT value FROM prism.metrics WHERE name = 'prism_pattern_outbox_pending_count'}), 10, 'and of what waits for it');
is(sql(q{SELECT count(*) FILTER (WHERE published_at IS NULL) FROM prism.outbox WHERE topic = 'two' AND position >= 100}), 10, 'published are messages that all sinks have');

is(refused(q{SELECT prism.skip('two')}), '42P08: topic "two" has 2 sinks | They are "memory", "mirror".', 'which one is skipped has to be said');
is(refused(q{SELECT prism.pause('two', 'kafka')}), '42704: topic "two" has no sink "kafka" | It has "memory", "mirror".', 'one that is not there');
is(sql(q{SELECT prism.skip('two', 'mirror', 105)}), 105, 'one alone is led elsewhere');
sql(q{SELECT prism.resume('two', 'mirror')});
sinks_are('two', 'memory running 110, mirror running 110');
is(sql(q{SELECT string_agg(sink || ' ' || messages_total, ', ' ORDER BY sink) FROM prism.sinks}), 'memory 110, mirror 105', 'and left out what it was to leave out');
sql(q{SELECT prism.pause('two')});
sinks_are('two', 'memory paused 110, mirror paused 110');
sql(q{SELECT prism.resume('two')});
sinks_are('two', 'memory running 110, mirror running 110');
pass('pause and resume without a name take all of them');

# ---------- one fails ----------
apart('two', 'mirror', '{"failures": {"stop": 1}}');
wait_for_value($node, q{SELECT state FROM prism.sinks WHERE sink = 'mirror'}, 'stopped');
publish('two', 10);
wait_for_value($node, q{SELECT state || ' ' || position FROM prism.sinks WHERE sink = 'memory'}, 'running 120');
is(sql(q{SELECT state || ' ' || pending || ' ' || substring(hint FROM '^Sink mirror: .*') FROM prism.status}), q{error 10 Sink mirror: Repair the settings or rights at the other side, then SELECT prism.resume(topic, 'mirror').}, 'one that cannot be sent to holds up no other');

sql(q{UPDATE prism.sink SET config = config - 'failures' WHERE name = 'mirror'; SELECT prism.resume('two')});
sinks_are('two', 'memory running 120, mirror running 120');

apart('two', 'mirror', '{"failures": {"away": 1000000}}');
wait_for_value($node, q{SELECT state FROM prism.sinks WHERE sink = 'mirror'}, 'backoff');
is(refused(q{SELECT prism.skip('two', 'mirror')}) =~ s/ \|.*//r, '55000: sink "mirror" is going to try again', 'the one that is at work is named');
apart('two', 'mirror', '{"failures": {}}');
sinks_are('two', 'memory running 120, mirror running 120');
cmp_ok(log_count($node, 'forwarding to "mirror": sink "mirror" of topic "two": away on request'), '>', 0, 'and so does the log');

# A message that one of them refuses is its dead letter, and tells whose.
apart('two', 'mirror', '{"failures": {"reject_bytes": 1000}}');
sql(q{SELECT prism.publish('two', repeat('y', 2000))});
sinks_are('two', 'memory running 121, mirror running 121');
is(sql(q{SELECT string_agg(headers ->> 'dead_letter_sink', ', ') FROM prism.read('two.dlq', 0, 10)}), 'mirror', 'a dead letter says whose it is');
apart('two', 'mirror', '{"failures": {}}');

# ---------- what waits for all ----------
# The last topic is the witness: when its oldest segment has gone, the maintainer has looked at all of them.
sub segments { return "SELECT count(*) FROM prism.segment s JOIN prism.topic t USING (topic_id) WHERE t.name = 'two' AND NOT dropped AND segment_number < 3"; }
sub maintain
{
	for (1 .. 2)
	{
		my $oldest = q{min(segment_number) FROM prism.segment s JOIN prism.topic t USING (topic_id) WHERE t.name = 'witness'};
		my $before = sql("SELECT $oldest");
		publish('witness', 1024, $large) for 1 .. 2;
		wait_for_value($node, "SELECT $before < $oldest", 't');
	}
	return;
}
sql(q{SELECT prism.pause('two', 'mirror')});
wait_for_value($node, q{SELECT state FROM prism.sinks WHERE sink = 'mirror'}, 'paused');
publish('two', 1024, $large) for 1 .. 4;
wait_for_value($node, q{SELECT position FROM prism.sinks WHERE sink = 'memory'}, 4217);
sql(q{SELECT prism.apply('{name: two, client_api: queue, patterns: [outbox], needs: {retention: {time: forever, size: 1MB}}, backend: memory}')});
sql(q{SELECT prism.apply('{name: witness, client_api: queue, needs: {retention: {time: forever, size: 1MB}}}')});
publish('witness', 1024, $large) for 1 .. 2;
maintain();
is(sql(segments()), 3, 'what one of them does not have is kept');
sql(q{SELECT prism.resume('two', 'mirror')});
sinks_are('two', 'memory running 4217, mirror running 4217');
maintain();
wait_for_value($node, segments(), 0);
pass('and goes when the last one has it');
is(sql(q{SELECT string_agg(position::text, ', ') FROM prism.sinks WHERE topic = 'two'}), '4217, 4217', 'nothing was lost to either');

# ---------- adding ----------
is(refused(add('two', 'mirror', '{type: memory, topic: third}')), '42710: the topic has a sink "mirror" already', 'a name is taken');
is(refused(add('two', 'third', '{type: memory}')), '42710: sink "third" would send to where sink "memory" of the topic sends', 'a place is taken');
is(refused(add('two', 'third', 'postgres')), '22023: backend "postgres" sends nothing', 'a backend that sends nothing');
is(refused(add('two', '', '{type: memory, topic: third}')), '42602: the name of a sink has to have 1 to 63 bytes', 'no name');
is(refused(add('nowhere', 'third', '{type: memory, topic: third}')), '42704: namespace "nowhere" does not exist', 'no namespace');
is(refused(q{SELECT prism_internal.add_sink('two', 'third', '{name: other, backend: memory}')}), '22023: the configuration of a sink has to be one of its namespace, and of no other', 'another namespace');
is(refused(add('two', 'third', '{type: memory, topic: third}', 9999)), '22023: position 9999 is not in the log of topic "two" | The log begins at 4096 and ends at 4217.', 'beyond the end');
is(refused('CREATE ROLE operator; SELECT prism.grant(\'two\', \'admin\', \'operator\'); GRANT USAGE ON SCHEMA prism_internal TO operator; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA prism_internal TO operator; SET ROLE operator; ' . add('two', 'third', '{type: memory, topic: third}')),
	'42501: permission denied for the sinks of namespace "two" | Only superusers and the owner of extension "prism" add and drop them.', 'for the owner alone');
is(refused(q{SET ROLE operator; SELECT prism_internal.drop_sink('two', 'mirror', true)}) =~ s/ \|.*//r, '42501: permission denied for the sinks of namespace "two"', 'likewise dropping');
sql('BEGIN; ' . add('two', 'third', '{type: memory, topic: third}') . '; ROLLBACK');
is(sql('SELECT count(*) FROM prism.sink'), 2, 'rolled back: nothing of it stays');
sql(add('two', 'late', '{type: memory, topic: late}', 4210));
wait_for_value($node, q{SELECT state || ' ' || position || ' ' || messages_total FROM prism.sinks WHERE sink = 'late'}, 'running 4217 7');
pass('one begins where it is told to');
sql(add('two', "n$_", "{type: memory, topic: n$_}")) for 4 .. 16;
is(refused(add('two', 'n17', '{type: memory, topic: n17}')), '54000: the topic has 16 sinks, and may have no more', 'and no more');
publish('two', 3);
wait_for_value($node, q{SELECT count(*) FROM prism.sinks WHERE state = 'running' AND position = 4220}, 16);
wait_for_value($node, q{SELECT count(*) FROM prism.outbox WHERE topic = 'two' AND position >= 4217 AND published_at IS NOT NULL}, 3);
pass('sixteen are served');

# ---------- apply looks after its own ----------
sql(q{SELECT prism.pause('two', 'n16')});
wait_for_value($node, q{SELECT state FROM prism.sinks WHERE sink = 'n16'}, 'paused');
publish('two', 1);
my $same = q{'{name: two, client_api: queue, patterns: [outbox], needs: {retention: {time: forever, size: 1MB}}, backend: memory}'};
like(sql("SELECT string_agg(action, ', ') FROM prism.apply($same)"), qr/^unchanged/, 'the same configuration changes nothing, whatever else there is');
is(sql('SELECT count(*) FROM prism.sink'), 16, 'nothing at all');
sql(q{UPDATE prism.sink SET name = 'taken', config = config || '{"partitions": 3}' WHERE own});
like(sql("SELECT detail FROM prism.plan($same) WHERE action = 'drifted'"), qr/^its sink is called "taken"/, 'its own one is known by more than its name');
sql("SELECT prism.apply($same)");
wait_for_value($node, q{SELECT state || ' ' || position FROM prism.sinks WHERE sink = 'memory'}, 'running 4221');
sql(q{SELECT prism.drop_namespace('witness', true)});
is(sql("SELECT string_agg(action, ', ') FROM prism.apply(replace($same, 'backend: memory', 'backend: postgres'))") =~ s/,.*//r, 'changed', 'another backend');
is(sql(q{SELECT count(*) || ' ' || bool_or(own) || ' ' || bool_or(name = 'memory') FROM prism.sink}), '15 false false', 'its own one goes, no other, whatever waits for those');
is(refused(q{SELECT prism_internal.drop_sink('two', 'n16')}), '55000: messages of topic "two" wait for their sink | The sink "n16" does not have them yet; prism.sinks shows how many.', 'one for which messages wait is not dropped');
is(refused(q{SELECT prism.drop_namespace('two')}), '55000: messages of topic "two" wait for their sink | The sink "n16" does not have them yet; prism.sinks shows how many.', 'nor is the namespace');
is(refused(q{SELECT prism_internal.drop_sink('two', 'memory')}), '42704: topic "two" has no sink "memory"', 'nor one that is not there');
sql(q{SELECT prism_internal.drop_sink('two', 'n16', true)});
sql("SELECT prism_internal.drop_sink('two', '$_')") for 'late', map { "n$_" } 5 .. 15;
sinks_are('two', 'mirror running 4221, n4 running 4221');
sql("SELECT prism.apply($same)");
wait_for_value($node, q{SELECT state || ' ' || position FROM prism.sinks WHERE sink = 'memory'}, 'running 4221');
is(refused(q{SELECT prism_internal.drop_sink('two', 'memory')}) =~ s/ \|.*//r, qq{55000: sink "memory" is the one of its namespace's backend}, 'whose own one apply alone drops');

# What apply refuses plan shows as refused.
sub planned { return sql("SELECT string_agg(mode || ': ' || detail, ' | ') FROM prism.plan('$_[0]') WHERE mode = 'refused'"); }
my $taken = q{{name: two, client_api: queue, patterns: [outbox], needs: {retention: {time: forever, size: 1MB}}, backend: {type: memory, topic: n4}}};
like(planned($taken), qr/sink "memory" would send to where sink "n4" of the topic sends/, 'plan says that a place is taken');
is(refused("SELECT prism.apply('$taken')"), '42710: sink "memory" would send to where sink "n4" of the topic sends', 'as apply does');

# Another's sink that has the name of a backend is not taken over.
sql(q{SELECT prism_internal.drop_sink('two', 'n4')});
apply('named', 'postgres');
sql(add('named', 'memory', '{type: memory, topic: other}'));
like(planned(config('named', 'memory')), qr/the topic has a sink "memory" already/, 'plan says that a name is taken');
is(refused("SELECT prism.apply('" . config('named', 'memory') . "')"), '42710: the topic has a sink "memory" already', 'nor does apply take over another one of its name');

# ---------- a crash ----------
sql(q{SELECT prism.pause('two', 'mirror')});
sinks_are('two', 'memory running 4221, mirror paused 4221');
publish('two', 5);
wait_for_value($node, q{SELECT count(*) FROM prism.outbox WHERE topic = 'two' AND position >= 4221}, 5);
$node->stop('immediate');
$node->start;
wait_for_value($node, q{SELECT string_agg(sink || ' ' || state || ' ' || lag_messages, ', ' ORDER BY sink) FROM prism.sinks WHERE topic = 'two'}, 'memory running 0, mirror paused 5');
sql(q{SELECT prism.resume('two')});
wait_for_value($node, q{SELECT string_agg(sink || ' ' || state || ' ' || lag_messages, ', ' ORDER BY sink) FROM prism.sinks WHERE topic = 'two'}, 'memory running 0, mirror running 0');
my $end = sql(q{SELECT min(position) FROM prism.sinks WHERE topic = 'two'});
pass('after a crash one goes on, and the other stands where it was put');

# ---------- a copy has them, and waits for a word ----------
my $dump = $node->basedir . '/several.dump';
system_or_bail('pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr('postgres'));
sql('CREATE DATABASE copy');
system_or_bail('pg_restore', '-d', $node->connstr('copy'), $dump);
sinks_are('two', "memory paused: copied $end, mirror paused: copied $end", 'copy');
sql('SELECT prism.rebase()', 'copy');
sql(q{SELECT prism.publish('two', 'z')}, 'copy');
wait_for_value($node, q{SELECT string_agg(sink || ' ' || state || ' ' || lag_messages, ', ' ORDER BY sink) FROM prism.sinks WHERE topic = 'two'}, 'memory running 0, mirror running 0', 'copy');
is(sql(q{SELECT string_agg(messages_total::text, ', ') FROM prism.sinks WHERE topic = 'two'}, 'copy'), '1, 1', 'and sends what is new there');
pass('in a restored database each goes on where it was');
sql('DROP DATABASE copy WITH (FORCE)');

sql(q{SELECT prism.drop_namespace(n, true) FROM unnest('{two,named}'::text[]) n});
wait_for_value($node, q{SELECT count(*) FROM prism.workers WHERE kind = 'forwarder'}, 0);
is(sql(q{SELECT count(*) FROM prism.sink}), 0, 'all of them go with their namespace');

# ---------- more sinks than places ----------
my $small = prism_node('small', conf => "prism.max_topics = 8\n");
$small->safe_psql('postgres', "SELECT prism.apply('" . config('few', 'memory') . "')");
$small->safe_psql('postgres', add('few', "n$_", "{type: memory, topic: n$_}")) for 2 .. 9;
wait_for_value($small, q{SELECT count(*) FILTER (WHERE state = 'running') || ' ' || string_agg(error, ', ') FROM prism.sinks},
	'8 no free place for a sink, as all of prism.max_topics are in use: raise it and restart the server');
is($small->safe_psql('postgres', q{SELECT state || ' ' || last_error FROM prism.status}), 'warn no free place for a sink, as all of prism.max_topics are in use: raise it and restart the server', 'a sink without a place says so');
$small->safe_psql('postgres', q{SELECT prism_internal.drop_sink('few', 'n2')});
wait_for_value($small, q{SELECT count(*) FILTER (WHERE state = 'running') || ' ' || coalesce(string_agg(error, ', '), '-') FROM prism.sinks}, '8 -');
pass('and gets the one that becomes free');

done_testing();
