# Rows that lie: whatever stands in prism's tables, no process crashes, damage stops its own topic, group or sink and no
# other, is told with topic and position, and there is a way past it. The fuzz prints its seed; PRISM_SEED=<seed> repeats it.
# timeout: 400
use PrismTest;

my $node = prism_node('main', conf => <<'CONF');
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
	cut       => q{payload = substring(payload FOR 30)},
	short     => q{payload = substring(payload FOR 40)},
	empty     => q{payload = ''},
	gone      => q{payload = NULL},
	longer    => q{payload = payload || '\x00'},
	fewer     => q{messages = 4},
	too_many  => q{messages = 2147483647},
	none      => q{messages = 0},
	version   => q{payload = set_byte(payload, 0, 77)},
	length    => q{payload = overlay(payload PLACING '\xff7f' FROM position('\x6b31'::bytea IN payload) - 1)},
	key       => q{payload = overlay(payload PLACING '\xff' FROM position('\x6b31'::bytea IN payload))},
	header    => q{payload = overlay(payload PLACING '\xff' FROM position('\x6e616d65'::bytea IN payload))},
	time      => q{created_at = 'infinity'},
	remaining => q{remaining = -1},
	);
my %says = (cut => 'record batch is cut off', length => 'record batch is cut off', short => 'fewer messages', longer => 'more messages');
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
is(sql(q{SELECT count(*) FROM prism.read('more')}) . sql(q{SELECT count(prism.ack(m)) FROM prism.consume('more', 'g') m}), '66', 'a row that claims the positions of the next one takes none of them');
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
	like($error, qr/^DETAIL:  .*$says{$topic}/m, "$topic: and why") if $says{$topic};
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
sql("SELECT prism.drop_namespace(name, true) FROM unnest('{" . join(',', sort keys %batch) . "}'::text[]) name");

# ---------- headers of another shape ----------

my %headers = (array => '[1, ["x"]]', number => '{"a": 1}', nested => '{"a": {"b": [1, 2]}}', scalar => '"x"', none => 'null');
apply('shapes');
for my $shape (sort keys %headers)
{
	sql("SELECT prism.publish('shapes', '$shape', headers => '{\"a\": \"b\"}')");
	damage(segment('shapes'), "headers = '$headers{$shape}'", qq{payload = '$shape'});
}
is(sql(q{SELECT count(prism.reject(m, 'its headers')) FROM prism.consume('shapes', 'g') m}), '5', 'messages whose headers are none can be rejected');
is(sql(q{SELECT string_agg(headers ->> 'dead_letter_headers', ' ' ORDER BY "position") FROM prism.read('shapes.dlq') WHERE headers ->> 'dead_letter_group' = 'g'}),
	join(' ', map { $headers{$_} } sort keys %headers), 'their dead letters tell what they had');
is(sql(q{SELECT prism.redrive('shapes')}) > 0, 1, 'and can be published again');

# ---------- messages that are to become dead letters ----------

# One whose attempts are used up cannot be read any more: the others are handed out, and the next call says so.
apply('worn');
sql(q{SELECT prism.publish('worn', 'x')}) for 0 .. 2;
sql(q{SELECT prism.create_group('worn', 'g', max_attempts => 1)});
sql(q{SELECT count(*) FROM prism.consume('worn', 'g', 1, lease => '1 h'); BEGIN; SELECT count(*) FROM prism.consume('worn', 'g', 1); ROLLBACK});
my $remaining = sql(sprintf q{SELECT remaining FROM %s WHERE "offset" = 1}, segment('worn'));
damage(segment('worn'), 'remaining = -5', '"offset" = 1');
is(sql(q{SELECT "position" FROM prism.consume('worn', 'g')}), 2, 'a damaged message that is to become a dead letter keeps nobody from the others');
like(error_of(q{SELECT * FROM prism.consume('worn', 'g')}), qr/XX001: message 1 of topic "worn" is damaged/, 'the next call tells of it') for 1 .. 2;
damage(segment('worn'), "remaining = $remaining", '"offset" = 1');
is(sql(q{SELECT "position", attempt FROM prism.consume('worn', 'g')}), '1|1', 'being damaged costs no attempt');
is(sql(q{SELECT count(*) FROM prism.topics WHERE topic = 'worn.dlq'}), 0, 'nor was it given up');
sql(q{SELECT prism.drop_namespace('worn', true)});

# ---------- numbers of a sink that no back end takes ----------

for my $number ('{"partitions": 2000000000}', '{"replication": 20000}')
{
	damage('prism.sink', "config = config || '$number'", q{topic_id = (SELECT topic_id FROM prism.topic WHERE name = 'shapes')});
	sql(q{SELECT prism.resume('shapes')});
	wait_for_value($node, q{SELECT state = 'stopped' AND error ~ 'its "(partitions|replication)" is "20+"' FROM prism.sinks WHERE topic = 'shapes'});
	pass("a sink stops: $number");
	damage('prism.sink', q{config = config - 'partitions' - 'replication'}, 'true');
	sql(q{SELECT prism.resume('shapes')});
	wait_for_value($node, q{SELECT bool_and(state = 'running') FROM prism.sinks});
}

# ---------- the progress log ----------

sub progress_record
{
	my ($kind, $change) = @_;
	my $table = segment('__prism_progress');
	damage($table, $change, qq{"offset" = (SELECT max("offset") FROM $table WHERE key = '$kind')});
	return;
}

# A group and a sink whose last record is damaged stop; others do not, and a place to go on makes them whole.
sql(q{SELECT prism.create_group('good', 'other')});
is(sql(q{SELECT count(prism.ack(m)) > 0 FROM prism.consume('good', 'g') m}), 't', 'something is acknowledged');
is(sql(q{SELECT count(prism.ack(m)) > 0 FROM prism.consume('good', 'other') m}), 't', 'by two groups');
my $group = 'g' . sql(q{SELECT group_id FROM prism.consumer_group JOIN prism.topic t USING (topic_id) WHERE t.name = 'good' AND consumer_group.name = 'g'});
my $sink = 's' . sql(q{SELECT sink_id FROM prism.sink JOIN prism.topic t USING (topic_id) WHERE t.name = 'shapes'});
for my $change (q{payload = substring(payload FOR 9)}, q{payload = NULL}, q{payload = set_byte(payload, 1, 0)}, q{payload = set_byte(payload, 10, 255)},
	q{payload = payload || payload}, q{payload = set_byte(payload, 0, 9)})
{
	sql(q{SELECT prism.publish('good', 'more')});
	is(sql(q{SELECT count(prism.ack(m)) FROM prism.consume('good', 'g') m}), 1, "an acknowledgement, then: $change");
	progress_record($group, $change);
	$node->restart;
	like(error_of(q{SELECT * FROM prism.consume('good', 'g')}), qr/XX001: the state of consumer group "g" of topic "good" is damaged\nDETAIL:  .* position \d+ of the progress log.*\nHINT:  SELECT prism.seek\('good', 'g', position\)/, 'the group is stopped');
	is(sql(q{SELECT count(prism.ack(m)) FROM prism.consume('good', 'other') m}), 1, 'another group of the topic is not');
	is(sql(q{SELECT count(*) FROM prism.groups WHERE topic = 'good'}), 2, 'prism.groups shows both');
	sql(q{SELECT prism.seek('good', 'g', 'latest')});
	is(sql(q{SELECT count(*) FROM prism.consume('good', 'g')}), 0, 'a seek gives the group another state');
}
for my $change (q{payload = substring(payload FOR 9)}, q{payload = ''}, q{payload = set_byte(payload, 2, 99)})
{
	sql(q{SELECT prism.publish('shapes', 'more')});
	wait_for_value($node, q{SELECT state = 'running' AND lag_messages = 0 FROM prism.sinks WHERE topic = 'shapes'});
	$node->stop;
	$node->append_conf('postgresql.conf', 'prism.enabled = off');
	$node->start;
	progress_record($sink, $change);
	$node->append_conf('postgresql.conf', 'prism.enabled = on');
	$node->reload;
	wait_for_value($node, q{SELECT state = 'stopped' AND error ~ 'record \d+ of the progress log is damaged' FROM prism.sinks WHERE topic = 'shapes'});
	pass("a sink stops: $change");
	sql(q{SELECT prism.publish('good', 'more')});
	wait_for_value($node, q{SELECT state = 'running' AND lag_messages = 0 FROM prism.sinks WHERE topic = 'good'});
	pass('and the others go on');
	sql(q{SELECT prism.skip('shapes', to_position => (SELECT max("position") + 1 FROM prism.read('shapes'))), prism.resume('shapes')});
	wait_for_value($node, q{SELECT state = 'running' AND lag_messages = 0 FROM prism.sinks WHERE topic = 'shapes'});
	pass('a skip tells it where to go on');
}
views_answer('with a damaged progress log');

# ---------- sinks that name what is not theirs ----------

# options of no use: all sinks that share the process have them
for my $failures ('{"queue_messages": "4294967297", "again": ""}', '{"again": ""}')
{
	sql(qq{UPDATE prism.sink SET config = config || '{"failures": $failures}'});
	$node->restart;
	sql(q{SELECT prism.publish('good', 'x')});
	wait_for_value($node, q{SELECT state = 'running' AND lag_messages = 0 FROM prism.sinks WHERE topic = 'good'});
	pass("they do no harm: $failures");
}
sql(q{UPDATE prism.sink SET config = config - 'failures'});

# a server, and a back end that has none: alone, and beside a sink whose row is whole
# (in one transaction: no forwarder sees the row as it was)
sql(q{BEGIN; CREATE SERVER elsewhere FOREIGN DATA WRAPPER prism_kafka OPTIONS (bootstrap_servers '127.0.0.1:1');
	SELECT prism.apply('namespaces: [{name: astray, backend: {type: kafka, server: elsewhere}}, {name: straight, backend: {type: kafka, server: elsewhere}}]');
	UPDATE prism.sink SET backend = 'memory' WHERE topic_id = (SELECT topic_id FROM prism.topic WHERE name = 'astray'); COMMIT});
wait_for_value($node, q{SELECT state = 'stopped' AND error ~ 'is not the backend of its server' FROM prism.sinks WHERE topic = 'astray'});
pass('a back end that is not that of the server stops its sink');
sql(q{UPDATE prism.sink SET backend = 'memory' WHERE server IS NOT NULL});
$node->restart;
wait_for_value($node, q{SELECT count(*) > 0 FROM prism.workers WHERE kind = 'forwarder' AND error ~ 'does not support sending'});
pass('when no sink tells the back end, the forwarder says so');
sql(q{UPDATE prism.sink SET backend = 'kafka' WHERE server IS NOT NULL; SELECT prism.drop_namespace(name, true) FROM unnest('{astray,straight}'::text[]) name});
is(log_count($node, 'was terminated by signal'), 0, 'and no process crashed');

# ---------- namespaces that say nothing of use ----------

apply('whole');
sql(q{SELECT prism.publish('whole', 'kept')});
for my $config (q{[]}, q{"x"}, q{null}, q{{}}, q{{"patterns": 1}}, q{{"patterns": [{"type": "outbox"}, {"type": "outbox"}, 3]}})
{
	sql(qq{UPDATE prism.namespace SET config = '$config' WHERE name = 'whole'});
	is(sql(q{SELECT p.action FROM prism.plan('{name: whole, backend: memory}') p LIMIT 1}), 'changed', "plan() answers: $config");
	is(sql(q{SELECT p.action FROM prism.apply('{name: whole, backend: memory}') p LIMIT 1}), 'changed', 'apply() puts it right');
}
is(sql(q{SELECT p.action FROM prism.plan('{name: whole, backend: memory}') p LIMIT 1}), 'unchanged', 'then nothing is left to do');
is(sql(q{SELECT convert_from(payload, 'UTF8') FROM prism.read('whole')}), 'kept', 'and the topic has what it had');
sql(q{UPDATE prism.namespace SET config = 'null' WHERE name = 'whole'; SELECT prism.drop_namespace('whole', true)});
is(sql(q{SELECT count(*) FROM prism.topics WHERE topic = 'whole'}), 0, 'one can be dropped');

# the greatest number of a segment: behind it there is none
sql(q{INSERT INTO prism.segment SELECT topic_id, 9223372036854775807, now() FROM prism.topic WHERE name = 'good'});
is(sql(q{SET statement_timeout = '30 s'; SELECT segments > 1 FROM prism.topics WHERE topic = 'good'}), 't', 'a segment of the greatest number is counted once');
sql(q{DELETE FROM prism.segment WHERE segment_number = 9223372036854775807});

# ---------- a page that cannot be read ----------

apply('unread');
sql(q{SELECT prism.pause('unread'), prism.create_group('unread', 'g')});
sql(q{SELECT prism.publish('unread', 'x')});
wait_for_value($node, q{SELECT state = 'paused' FROM prism.sinks WHERE topic = 'unread'});
my $file = $node->data_dir . '/' . sql(sprintf q{SELECT pg_relation_filepath('%s')}, segment('unread'));
$node->stop;
open(my $page, '+<', $file) or die "$file: $!";
print $page 'x' x 8192;
close($page);
$node->start;
views_answer('with a page that cannot be read');
like(sql(q{SELECT error FROM prism.sinks WHERE topic = 'unread'}), qr/^invalid page/, 'prism.sinks says so of that topic');
like(error_of(q{SELECT * FROM prism.sinks}), qr/WARNING:  XX001: something of prism cannot be read: invalid page/, 'with a warning');
is(sql(q{SELECT lag_messages FROM prism.sinks WHERE topic = 'good'}), 0, 'and how the others stand');
is(sql(q{SELECT count(*) FROM prism.outbox WHERE topic = 'unread'}), 0, 'prism.outbox leaves out what nobody can read');
# Who does not come to that page goes on.  Where the topic ended nobody can tell: positions go on behind all that it may hold.
my ($stop, undef, $told) = $node->psql('postgres', q{SELECT prism.publish('unread', 'behind')});
is($stop, 0, "after a restart messages can be published behind it: $told");
is(sql(q{SELECT convert_from(payload, 'UTF8') FROM prism.read('unread', 1000)}), 'behind', 'and read');
like(error_of(q{SELECT * FROM prism.consume('unread', 'g')}), qr/XX001: invalid page/, 'who comes to it is told');
sql(q{SELECT prism.seek('unread', 'g', 'latest'), prism.seek('unread', 'g', '1000')});
is(sql(q{SELECT convert_from(payload, 'UTF8') FROM prism.consume('unread', 'g') m}), 'behind', 'a seek leads past it');
is(log_count($node, 'WARNING:  the last messages of topic "unread" cannot be read'), 1, 'that positions were left out is told once');
$node->restart;
is(sql(q{SELECT count(*) FROM prism.read('unread', 1000)}), 1, 'after the next restart it is as it was');
sql(q{SELECT prism.drop_namespace('unread', true)});

# ---------- compressed bytes ----------

# They are damaged on disk: the last ones of the row.
my @spoilt;

sub find_row
{
	my ($table, $where) = @_;
	push @spoilt, [ split /\|/, sql(qq{SELECT pg_relation_filepath('$table'), (ctid::text::point)[0], (ctid::text::point)[1], "offset" FROM $table
		WHERE pg_column_compression(payload) IS NOT NULL AND ($where) ORDER BY "offset" DESC LIMIT 1}) ];
	die "no compressed row in $table\n" if @{ $spoilt[-1] } != 4;
	return $spoilt[-1][3];
}

sub spoil_rows
{
	sql('CHECKPOINT');
	$node->stop;
	for my $row (@spoilt)
	{
		my ($path, $block, $item) = @$row;
		open my $file, '+<', $node->data_dir . "/$path" or die "$path: $!\n";
		binmode $file;
		sysseek $file, $block * 8192 + 24 + ($item - 1) * 4, 0;
		sysread $file, my $pointer, 4;
		$pointer = unpack 'L', $pointer;
		sysseek $file, $block * 8192 + ($pointer & 0x7fff) + ($pointer >> 17) - 40, 0;
		syswrite $file, "\xff" x 40;
		close $file;
	}
	$node->append_conf('postgresql.conf', 'ignore_checksum_failure = on');
	$node->start;
	return;
}

apply('squeezed');
sql(q{SELECT prism.pause('squeezed')});
wait_for_value($node, q{SELECT state FROM prism.sinks WHERE topic = 'squeezed'}, 'paused');
sql(q{SELECT count(prism.publish('squeezed', '{"n": "as others"}'::jsonb)) FROM generate_series(1, 100);
	SELECT prism.publish('squeezed', repeat('large', 200000));
	SELECT count(prism.create_group('squeezed', 'g' || i)) FROM generate_series(1, 45) i});
sql(q{DO $$ BEGIN FOR i IN 1 .. 45 LOOP PERFORM prism.ack(m) FROM prism.consume('squeezed', 'g' || i, 10) m; END LOOP; END $$});
my $spoilt_record = find_row('prism_log.topic_' . sql(q{SELECT topic_id FROM prism.topic WHERE name = '__prism_progress'}) . '_0', 'messages > 1');
find_row(segment('squeezed'), 'messages > 1');
find_row(segment('squeezed'), 'messages = 1');
spoil_rows();
# whoever comes first: a worker, or this session
sql(q{SELECT "position" FROM prism.groups WHERE topic = 'good'});
like(slurp_file($node->logfile), qr/WARNING:  message $spoilt_record of topic "__prism_progress" is damaged\n[^\n]*DETAIL:  [^\n]*cannot be decompressed/,
	'who reads the progress log is told');
is(sql(q{SELECT count(*) FROM prism.consume('good', 'squeezed', 1)}), 1, 'and other groups go on');
views_answer('with damaged compressed records');
like(error_of(q{SELECT * FROM prism.consume('squeezed', 'g1')}), qr/XX001: message \d+ of topic "squeezed" is damaged\nDETAIL:  .*cannot be decompressed/, 'who reads the damaged batch is told its position');
sql(q{SELECT prism.resume('squeezed')});
my $stopped = q{SELECT substring(error FROM 'message (\d+) is damaged: prism.skip') FROM prism.sinks WHERE topic = 'squeezed' AND state = 'stopped'};
wait_for_value($node, "$stopped", '0');
sql(q{SELECT prism.skip('squeezed', to_position => 100), prism.resume('squeezed')});
wait_for_value($node, "$stopped", '100');
pass('its sink stops there, and behind it at a large message that cannot be decompressed');
sql(q{SELECT prism.skip('squeezed', to_position => 101), prism.resume('squeezed')});
wait_for_value($node, q{SELECT state = 'running' AND lag_messages = 0 FROM prism.sinks WHERE topic = 'squeezed'});
sql(q{SELECT prism.drop_namespace('squeezed', force => true)});

# ---------- the installation ----------

# A forwarder takes note of a promotion (there has been one, as the history says); prism.rebase() is quicker.
append_to_file($node->data_dir . '/pg_wal/00000001.history', "0\t0/0\tno recovery target specified\n");
my $edit = $node->background_psql('postgres');
$edit->query_safe('BEGIN; UPDATE prism.installation SET timeline = 0');
my $rebase = $node->background_psql('postgres');
$rebase->query_until(qr/asked/, "\\echo asked\nBEGIN; LOCK TABLE prism.installation IN SHARE ROW EXCLUSIVE MODE;\n");
my $waits = q{SELECT count(*) > 0 FROM pg_locks WHERE relation = 'prism.installation'::regclass AND NOT granted};
wait_for_value($node, $waits);
$edit->query_safe('COMMIT');
$edit->quit;
$rebase->query_safe('SELECT 1');
sql(q{SELECT pg_terminate_backend(pid) FROM prism.workers WHERE kind = 'forwarder'});
wait_for_value($node, $waits);
$rebase->query_safe('SELECT prism.rebase()');
my $rebased = $rebase->query_safe('SELECT installation_id FROM prism.installation');
$rebase->query_safe('COMMIT');
$rebase->quit;
sql(q{SELECT prism.publish('good', 'after the rebase')});
wait_for_value($node, q{SELECT state = 'running' AND lag_messages = 0 FROM prism.sinks WHERE topic = 'good'});
is(sql('SELECT installation_id FROM prism.installation'), $rebased, 'a promotion that is noted does not undo a rebase');

# ---------- anything, anywhere ----------

my $seed = $ENV{PRISM_SEED} // int rand 1_000_000;
note("PRISM_SEED=$seed");
srand $seed;
sub any { return $_[ int rand @_ ] }

my @bad = map { "bad$_" } 1 .. 4;
apply(@bad);
sql(q{SELECT prism.create_group('good', 'counter', 'latest')});
my $expected = 0;

sub any_row_change
{
	my $byte = int rand 256;
	my $at = 'least(length(payload) - 1, ' . int(rand 60) . ')';
	return any(
		"payload = CASE WHEN length(payload) > 0 THEN set_byte(payload, $at, $byte) END",
		"payload = CASE WHEN length(payload) > 0 THEN set_bit(payload, $at * 8, 1 - get_bit(payload, $at * 8)) END",
		"payload = substring(payload FOR $at)", 'payload = NULL', "payload = ''", q{payload = payload || '\x0011'},
		'messages = ' . any(-1, 0, 1, 2, 5, 511, 512, 513, 2147483647),
		'remaining = ' . any(-2147483648, -1, 3, 2147483647),
		'created_at = ' . any(map { "'$_'" } 'infinity', '-infinity', '4714-11-24 00:00+00 BC', '294276-12-31 00:00+00', '2000-01-01'),
		'headers = ' . any('NULL', map { "'$_'" } values %headers, '{"a": "b"}'),
		'key = ' . any('NULL', map { "'$_'" } 'g1', 's2', 's', 'p', 'p1,2,k', 'p99999999999,99999999999999999999,k', 'p1,0,-', 'x' x 200, "g$byte", "s$byte"),
		qq{"offset" = "offset" + } . any(1, 3, -1, 600, 1000000),
		q{id = '00000000-0000-0000-0000-000000000000'});
}

sub any_catalog_change
{
	my $number = any(-9223372036854775807, -1, 0, 1, 77, 9223372036854775807);
	my $json = any(map { "'$_'" } '[]', '"x"', '1', 'null', '{}', '{"topic": 7, "patterns": 3, "max_message_size": "x"}', '{"max_backlog": "x"}', '{"max_backlog": -5}',
		'{"retention_ms": 1e300}', '{"lease_us": 1e40, "max_attempts": -3, "backoff_us": ["x", 1e99]}', '{"batch_size": "many", "failures": [1]}', '{"failures": {"again": ""}}',
		'{"failures": {"queue_messages": "4294967296"}}', '{"partitions": -1, "brokers": [{"a": 1}]}');
	my $id = "SELECT topic_id FROM prism.topic WHERE name LIKE 'bad%' ORDER BY random() LIMIT 1";
	return any(
		"UPDATE prism.topic SET segment_messages = $number WHERE topic_id = ($id)",
		"UPDATE prism.topic SET message_bytes_max = $number WHERE topic_id = ($id)",
		"UPDATE prism.topic SET policy = $json WHERE topic_id = ($id)",
		"UPDATE prism.topic SET dropped_end = $number WHERE topic_id = ($id)",
		"UPDATE prism.topic SET namespace_id = 12345 WHERE topic_id = ($id)",
		"UPDATE prism.sink SET config = $json WHERE topic_id = ($id)",
		"UPDATE prism.sink SET topic_id = 54321 WHERE topic_id = ($id)",
		"UPDATE prism.sink SET backend = 'nothing' WHERE topic_id = ($id)",
		"UPDATE prism.consumer_group SET config = $json WHERE topic_id = ($id)",
		"UPDATE prism.consumer_group SET start_from = $number WHERE topic_id = ($id)",
		"UPDATE prism.namespace SET config = $json WHERE name LIKE 'bad%' AND name = '" . any(@bad) . "'",
		"INSERT INTO prism.segment VALUES (($id), $number, now()) ON CONFLICT DO NOTHING",
		"INSERT INTO prism.jump VALUES (($id), $number, " . any(-5, 0, 5) . ', ' . any(-5, 0, 5) . ') ON CONFLICT DO NOTHING');
}

my %allowed = map { $_ => 1 } qw(XX001 55000 42704 42710 22023 53400);
my %seen;

sub try_anything
{
	my ($topic) = @_;
	for my $query ("SELECT count(*) FROM prism.read('$topic', NULL, 100000)", "SELECT count(*) FROM prism.read('$topic', " . int(rand 40) . ', 100000)',
		"SELECT count(prism.ack(m)) FROM prism.consume('$topic', 'g', 3) m", "SELECT count(prism.reject(m, 'fuzz')) FROM prism.consume('$topic', 'h', 2) m",
		"SELECT prism.redrive('$topic')", "SELECT prism.seek('$topic', 'g', 'earliest')", "SELECT prism.seek('$topic', 'h', '2020-01-01')",
		"SELECT prism.publish('$topic', 'x', deliver_at => now() + '50 ms')", "SELECT prism.publish('$topic', 'y', 'key', '{\"a\": \"b\"}')",
		"SELECT prism.resume('$topic')", "SELECT prism.skip('$topic')", "SELECT prism.plan('{name: $topic, backend: memory}')")
	{
		my $error = error_of($query);
		next unless $error =~ /ERROR:  (\w{5}): (.*)/;
		$seen{$1}++;
		ok(0, "$query: $1 $2") unless $allowed{$1};
	}
	return;
}

# on a machine that is busy there are few rounds, which may meet nothing: once is certain
sql(q{SELECT prism.publish('bad1', 'x')});
damage(segment('bad1'), 'messages = 0', 'true');
try_anything('bad1');
cmp_ok($seen{XX001}, '>', 0, 'damage is met');
my $end = time + ($ENV{PRISM_FUZZ_SECONDS} // 15);
my $rounds = 0;
while (time < $end)
{
	$rounds++;
	my $topic = any(@bad);
	sql(qq{BEGIN; SELECT prism.publish('$topic', repeat('x', i * } . any(1, 10, 900) . qq{), 'k' || i % 3, '{"name": "value"}') FROM generate_series(1, 6) i; COMMIT});
	(undef) = $node->psql('postgres', "SELECT count(prism.ack(m)) FROM prism.consume('$topic', '" . any('g', 'h') . "', 4) m; SELECT prism.publish('$topic', 'later', 'k', deliver_at => now() + '100 ms')");
	my @catalog = ();
	for (1 .. 1 + int rand 3)
	{
		if (rand() < 0.6)
		{
			my $name = any($topic, $topic, '__prism_progress', '__prism_delayed');
			my $table = segment($name);
			# of prism's own topics what is of the bad ones alone
			my $whose = $name eq $topic ? 'true' : $name eq '__prism_progress'
			  ? q{key IN (SELECT 'g' || group_id FROM prism.consumer_group JOIN prism.topic t USING (topic_id) WHERE t.name LIKE 'bad%'
				UNION SELECT 's' || sink_id FROM prism.sink JOIN prism.topic t USING (topic_id) WHERE t.name LIKE 'bad%')}
			  : q{key LIKE 'p%'};
			$node->psql('postgres', "UPDATE $table SET " . any_row_change() . " WHERE ctid = (SELECT ctid FROM $table WHERE $whose ORDER BY random() LIMIT 1)");
		}
		else
		{
			push @catalog, any_catalog_change();
		}
	}
	# a catalogue that lies is put right again
	sql(q{CREATE TABLE kept_topic AS SELECT * FROM prism.topic; CREATE TABLE kept_sink AS SELECT * FROM prism.sink;
		CREATE TABLE kept_group AS SELECT * FROM prism.consumer_group; CREATE TABLE kept_namespace AS SELECT * FROM prism.namespace; CREATE TABLE kept_segment AS SELECT * FROM prism.segment; CREATE TABLE kept_jump AS SELECT * FROM prism.jump});
	$node->psql('postgres', $_) for @catalog;
	sql('SELECT prism.wake_workers()') if @catalog;
	$node->restart if rand() < 0.05;
	try_anything($topic);
	for my $view (qw(topics namespaces groups sinks status metrics outbox))
	{
		my $error = error_of("SELECT count(*) FROM prism.$view");
		ok(0, "prism.$view: $error") if $error =~ /ERROR/;
	}
	sql(q{SELECT prism.publish('good', 'counted')});
	$expected++;
	sql(q{BEGIN; TRUNCATE prism.topic, prism.sink, prism.consumer_group, prism.namespace, prism.segment, prism.jump;
		INSERT INTO prism.topic SELECT * FROM kept_topic; INSERT INTO prism.sink SELECT * FROM kept_sink; INSERT INTO prism.consumer_group SELECT * FROM kept_group;
		INSERT INTO prism.namespace SELECT * FROM kept_namespace; INSERT INTO prism.segment SELECT * FROM kept_segment; INSERT INTO prism.jump SELECT * FROM kept_jump;
		DROP TABLE kept_topic, kept_sink, kept_group, kept_namespace, kept_segment, kept_jump; COMMIT}) if @catalog;
	sql(q{DROP TABLE IF EXISTS kept_topic, kept_sink, kept_group, kept_namespace, kept_segment, kept_jump}) if !@catalog;
}
note("$rounds rounds; errors: " . join(', ', map { "$_ $seen{$_} times" } sort keys %seen));
my $counted = 0;
while ((my $more = sql(q{SELECT count(prism.ack(m)) FROM prism.consume('good', 'counter') m})) > 0) { $counted += $more }
is($counted, $expected, 'another topic has all its messages, each once');
wait_for_value($node, q{SELECT state = 'running' AND lag_messages = 0 FROM prism.sinks WHERE topic = 'good'});
pass('and its sink has sent them');
views_answer('after all of it');
is(log_count($node, 'PANIC|TRAP|was terminated by signal'), 0, 'no process crashed');

done_testing();
