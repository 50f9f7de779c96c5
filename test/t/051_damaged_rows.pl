# Rows that lie: whatever stands in prism's tables, no process crashes, damage stops its own topic, group or sink and no
# other, is told with topic and position, and there is a way past it. The fuzz prints its seed; PRISM_SEED=<seed> repeats it.
# timeout: 400
use PrismTest;

my $node = prism_node('main', conf => <<'CONF');
prism.segment_messages = 1024
prism.max_topics = 64
autovacuum = off
CONF

sub sql { return $node->safe_psql('postgres', $_[0]) }

sub error_of
{
	my (undef, undef, $error) = $node->psql('postgres', "\\set VERBOSITY verbose\n$_[0]");
	return $error;
}

# prism_log.topic_<id>_0, the topic's first segment.
sub segment
{
	my ($topic) = @_;
	return 'prism_log.topic_' . sql("SELECT topic_id FROM prism.topic WHERE name = '$topic'") . '_0';
}

# As the owner of the extension may.
sub damage
{
	my ($table, $change, $where) = @_;
	sql("UPDATE $table SET $change WHERE $where");
	return;
}

sub apply
{
	my (@names) = @_;
	sql(qq{SELECT prism.apply('namespaces: [' || string_agg(format('{name: %s, backend: memory}', name), ', ') || ']') FROM unnest('{@{[join ',', @names]}}'::text[]) name});
	return;
}

sub views_answer
{
	my ($when) = @_;
	is(sql("SELECT count(*) >= 0 FROM prism.$_"), 't', "prism.$_ answers $when")
	  for qw(topics namespaces groups sinks status metrics outbox handlers workers);
	is(sql('SELECT count(*) > 0 FROM prism.doctor()'), 't', "prism.doctor() answers $when");
	return;
}

# ---------- a row of messages ----------

# Each kind of damage to a record batch of five, which lies between two good rows.
my %batch = (
	cut       => q{payload = substring(payload FOR 40)},
	empty     => q{payload = ''},
	gone      => q{payload = NULL},
	longer    => q{payload = payload || '\x00'},
	fewer     => q{messages = 4},
	too_many  => q{messages = 2147483647},
	none      => q{messages = 0},
	version   => q{payload = set_byte(payload, 0, 77)},
	length    => q{payload = set_byte(payload, 20, 255)},
	key       => q{payload = overlay(payload PLACING '\xff' FROM position('\x6b31'::bytea IN payload))},
	header    => q{payload = overlay(payload PLACING '\xff' FROM position('\x6e616d65'::bytea IN payload))},
	time      => q{created_at = 'infinity'},
	remaining => q{remaining = -1},
	);
apply('good', sort keys %batch);
for my $topic ('good', sort keys %batch)
{
	sql("SELECT prism.publish('$topic', 'first'); SELECT prism.create_group('$topic', 'g')");
	sql(qq{BEGIN; SELECT prism.publish('$topic', 'm' || i, key => 'k' || i, headers => '{"name": "value"}') FROM generate_series(1, 5) i; COMMIT});
	sql("SELECT prism.publish('$topic', 'last')");
}
wait_for_value($node, q{SELECT bool_and(state = 'running' AND lag_messages = 0) FROM prism.sinks});
# One that says it has more than the next row leaves room for has lost nothing.
apply('more');
sql(q{BEGIN; SELECT prism.publish('more', 'm' || i) FROM generate_series(1, 5) i; COMMIT; SELECT prism.publish('more', 'last')});
damage(segment('more'), 'messages = 7', 'messages = 5');
is(sql(q{SELECT count(*), count(prism.ack(m)) FROM prism.consume('more', 'g') m}), '6|6', 'a row that claims the positions of the next one takes none of them');
my $at = sql(q{SELECT "position" FROM prism.read('good') WHERE payload = 'm1'});
my $behind = sql(q{SELECT "position" FROM prism.read('good') WHERE payload = 'last'});
sql("SELECT prism.pause(name) FROM unnest('{good," . join(',', sort keys %batch) . "}'::text[]) name");
wait_for_value($node, q{SELECT bool_and(state = 'paused') FROM prism.sinks WHERE topic <> 'more'});
damage(segment($_), $batch{$_}, 'messages = 5') for sort keys %batch;
sql("SELECT prism.skip(name, to_position => 0), prism.resume(name) FROM unnest('{good," . join(',', sort keys %batch) . "}'::text[]) name");

for my $topic (sort keys %batch)
{
	my $error = error_of("SELECT * FROM prism.read('$topic')");
	like($error, qr/^psql:<stdin>:2: ERROR:  XX001: message \d+ of topic "$topic" is damaged\nDETAIL:  In prism_log.topic_\d+_0: .*\nHINT:  What comes behind it begins at \d+:/, "$topic: is told");
	my ($past) = $error =~ /begins at (\d+)/;
	cmp_ok($past, '>', $at, "$topic: the way past leads on");
	cmp_ok($past, '<=', $behind, "$topic: and takes no good row along");
	is(sql("SELECT string_agg(convert_from(payload, 'UTF8'), ' ') FROM prism.read('$topic', $past) WHERE payload = 'last'"), 'last', "$topic: what is behind can be read");

	# what comes before it is handed out, then the group stops, until it is moved
	like(sql("SELECT count(prism.ack(m)) FROM prism.consume('$topic', 'g') m"), qr/^[1-5]$/, "$topic: consumers get what comes before");
	like(error_of("SELECT * FROM prism.consume('$topic', 'g')"), qr/XX001: message \d+ of topic "$topic" is damaged/, "$topic: and are told then");
	sql("SELECT prism.seek('$topic', 'g', '$past')");
	is(sql("SELECT convert_from(payload, 'UTF8') FROM prism.consume('$topic', 'g') m ORDER BY m.\"position\" DESC LIMIT 1"), 'last', "$topic: a seek leads past it");
}

wait_for_value($node, q{SELECT count(*) = } . keys(%batch) . q{ AND bool_and(error ~ 'message \d+ is damaged: prism.skip\(topic, sink, \d+\) leads past it') FROM prism.sinks WHERE state = 'stopped'});
pass('each of their sinks stops and says so');
is(sql(q{SELECT count(prism.publish('good', 'x')) FROM generate_series(1, 10)}), '10', 'meanwhile publishing to another topic goes on');
wait_for_value($node, q{SELECT state = 'running' AND lag_messages = 0 FROM prism.sinks WHERE topic = 'good'});
pass('and its sink, in the same process');
is(sql(q{SELECT count(DISTINCT error) > 5 FROM prism.sinks}), 't', 'they say what is wrong');
views_answer('with damaged rows');
# all at once: each change of the catalogue has all that are stopped tried again
sql("SELECT prism.skip(name), prism.resume(name) FROM unnest('{" . join(',', sort keys %batch) . "}'::text[]) name");
wait_for_value($node, q{SELECT bool_and(state = 'running' AND lag_messages = 0) FROM prism.sinks});
pass('skipping what is damaged lets them go on');

# After a restart nothing of it is in memory any more.
$node->restart;
views_answer('after a restart');
is(sql("SELECT count(*) FROM prism.consume('$_', 'g')"), '1', "$_: the group goes on where it was") for qw(cut none);

done_testing();
