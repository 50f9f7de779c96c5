# How long a topic keeps messages, and what those find who come too late for them.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PrismTest;

my $node = prism_node('main', conf => "prism.retention = -1\nprism.segment_messages = 1024\n");

sub apply
{
	my ($name, $needs) = @_;
	$node->safe_psql('postgres', "SELECT prism.apply('{name: $name, needs: {$needs}}')");
}

sub publish
{
	my ($topic, $count, $payload) = @_;
	$payload //= "'x'";
	$node->safe_psql('postgres', "SELECT count(prism.publish('$topic', $payload)) FROM generate_series(1, $count) n");
}

sub segments
{
	my ($topic) = @_;
	return "SELECT string_agg(segment_number::text, ' ' ORDER BY segment_number)"
	  . " FROM prism.segment s JOIN prism.topic t USING (topic_id) WHERE t.name = '$topic'";
}

sub answer
{
	my ($statement) = @_;
	return $node->safe_psql('postgres', $statement);
}

# (SQLSTATE, message, detail, hint) of a statement that is refused
sub refused
{
	my ($statement) = @_;
	my ($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$statement");
	my ($state, $message) = $err =~ /ERROR:  (\w{5}): (.*)/ or return 'accepted';
	my ($detail) = $err =~ /DETAIL:  (.*)/;
	my ($hint) = $err =~ /HINT:  (.*)/;
	return ($state, $message, $detail // '', $hint // '');
}

# The maintainer goes through the topics in the order in which they were made: when the witness, the last one, has
# lost its oldest segment, it has looked at all of them since.  Whoever fills a segment wakes it, and may still hold
# that segment then: the second one lets it go.
sub maintain
{
	for (1 .. 2)				# each drops a topic's oldest segments, and rolls it or not
	{
		my $oldest = q{min(segment_number) FROM prism.segment s JOIN prism.topic t USING (topic_id) WHERE t.name = 'witness'};
		my $before = answer("SELECT $oldest");
		publish('witness', 1024) for 1 .. 2;
		wait_for_value($node, "SELECT $before < $oldest", 't');
	}
	return;
}

my @all = qw(kept brief small spacious awaited bounded once alone by_default held halfway);
$node->safe_psql('postgres', "SELECT prism.apply('name: $_')") for @all;
$node->safe_psql('postgres', q{SELECT prism.apply('{name: held, backend: memory}')});
$node->safe_psql('postgres', q{SELECT prism.pause('held', 'memory')});
for my $topic (@all)
{
	# not to be compressed
	publish($topic, 1000, "(SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 20 + 0 * n))") for 1 .. 4;
	wait_for_value($node, segments($topic), '0 1 2 3 4');
}
$node->safe_psql('postgres', q{SELECT count(*) FROM (SELECT prism.create_group(topic, 'g') FROM unnest('{brief,awaited,bounded,once,halfway}'::text[]) topic) g});
$node->safe_psql('postgres', q{SELECT count(prism.ack(m)) FROM prism.consume('once', 'g', 2000) AS m});
wait_for_value($node, q{SELECT now() - max(created_at) > interval '1.5 s' FROM prism.read('held', 3000, 1000)}, 't');

$node->safe_psql('postgres', q{SELECT prism.apply('{name: held, needs: {retention: 1s}, backend: memory}')});
apply('kept', 'retention: forever');
apply('brief', 'retention: 1s');
apply('halfway', 'retention: 1s');
apply('small', 'retention: {time: forever, size: 2MB}');
apply('spacious', 'retention: {time: forever, size: 1GB}');
apply('awaited', 'retention: 1s, retain: consumers');
apply('bounded', 'retention: 1s, retain: consumers, max_backlog: 1000');
apply('once', 'retention: forever, replay: disabled');
apply('alone', 'retention: forever, replay: disabled');
$node->safe_psql('postgres', q{SELECT prism.apply('name: witness')});
my $halfway = answer(q{SELECT format('prism_log.topic_%s_0', topic_id) FROM prism.topic WHERE name = 'halfway'});
$node->safe_psql('postgres', "DROP INDEX ${halfway}_offset");
$node->safe_psql('postgres', 'ALTER SYSTEM SET prism.retention = 0');
$node->reload;
maintain();

is(answer(segments('kept')), '0 1 2 3 4', 'forever is for ever');
is(answer(segments('by_default')), '3 4', 'what is not said is as prism.retention says');
is(answer(segments('brief')), '3 4', 'what is older than the time is dropped');
is(answer(segments('spacious')), '0 1 2 3 4', 'a size that is not reached drops nothing');
my $small = answer(q{SELECT disk_bytes FROM prism.topics WHERE topic = 'small'});
cmp_ok($small, '<=', 2_000_000, 'a size is not exceeded');
cmp_ok(answer(q{SELECT segments FROM prism.topics WHERE topic = 'small'}), '>=', 2, 'by more than it must');
is(answer(q{SELECT "position" FROM prism.read('small', max_messages => 1)}) % 1024, 0, 'the oldest go first');
is(answer(segments('held')), '0 1 2 3 4', 'what a sink has not sent stays');
is(answer(segments('awaited')), '0 1 2 3 4', 'what a group has not finished stays, where the policy says so');
is(answer(segments('bounded')), '2 3 4', 'but what it is farther behind than it may be is not kept for it');
is(answer(segments('once')), '1 2 3 4', 'without replay, what all groups have finished is dropped');
is(answer(segments('alone')), '0 1 2 3 4', 'but not what nobody has read');

# A restore makes the indexes last.
is(answer(segments('halfway')), '0 1 2 3 4', 'a segment that has no index yet stays');
$node->safe_psql('postgres', "CREATE UNIQUE INDEX topic_" . ($halfway =~ /(\d+_0)$/)[0] . "_offset ON $halfway (\"offset\")");
maintain();
is(answer(segments('halfway')), '3 4', 'until it has');
is((refused(q{SELECT * FROM prism.consume('halfway', 'g')}))[0], '55000', 'and its group is told what it has lost');

# A group that is not in use is waited for as well.
$node->restart;
maintain();
like(answer(segments('awaited')), qr/^0 1 2 3 4/, 'a group that nobody has used since a restart is waited for');
$node->safe_psql('postgres', q{SELECT count(prism.ack(m)) FROM prism.consume('awaited', 'g', 2000) AS m});
maintain();
like(answer(segments('awaited')), qr/^1 2 3 4/, 'it is waited for until it has passed a segment');
$node->safe_psql('postgres', q{SELECT prism.drop_group('awaited', 'g')});
maintain();
unlike(answer(segments('awaited')), qr/^1 /, 'and not when it is gone');

# Changing it needs no restart; a change that is not committed holds up neither the maintainer nor readers.
apply('kept', 'retention: 1s');
my $applier = $node->background_psql('postgres');
$applier->query_safe('BEGIN');
$applier->query_safe(q{SELECT prism.apply('{name: kept, needs: {retention: 2s}}')});
maintain();
is(answer(q{SET statement_timeout = '10 s'; SELECT count(*) FROM prism.read('kept', NULL, 10000)}), '4000',
	'who changes a topic holds up nobody');
$applier->query_safe('COMMIT');
$applier->quit;
maintain();
unlike(answer(segments('kept')), qr/^0 /, 'a changed retention counts at once');

# ---------- too late ----------

publish('brief', 20);
my $first = answer(q{SELECT min("position") FROM prism.read('brief')});
my $until = answer(q{SELECT dropped_until FROM prism.topics WHERE topic = 'brief'});
is_deeply([ refused(q{SELECT * FROM prism.consume('brief', 'g')}) ],
	[ '55000', 'consumer group "g" has fallen behind the retention of topic "brief"',
		"It has not finished position 0; messages published until $until were dropped. The first message kept is at position $first.",
		q{SELECT prism.seek('brief', 'g', 'earliest') lets it go on there, without what is lost.} ],
	'a group that is too late is told where the log begins');
is((refused(q{SELECT * FROM prism.consume('brief', 'g')}))[0], '55000', 'again and again');
is((refused(q{CALL prism.wait('brief', 'g', '1 h')}))[0], '55000', 'also while it waits');
like(answer(q{SELECT state || ': ' || hint FROM prism.status WHERE namespace = 'brief'}),
	qr/^warn: Consumer group g gets nothing/, 'prism.status says so');
is_deeply([ refused(q{SELECT * FROM prism.read('brief', 0)}) ],
	[ '55000', 'position 0 of topic "brief" is not kept any more',
		"Messages published until $until were dropped. The first message kept is at position $first.",
		'Begin there; what is between is lost.' ],
	'so is who reads');
is(answer(q{SELECT min("position") FROM prism.read('brief', NULL)}), $first, 'without a position it is the first one kept');
is(answer("SELECT min(\"position\") FROM prism.read('brief', $first)"), $first, 'the first one kept can be named');
is((refused('SELECT * FROM prism.read(\'brief\', ' . (answer(q{SELECT dropped_end FROM prism.topic WHERE name = 'brief'}) - 1) . ')'))[0],
	'55000', 'the last one dropped cannot');
my @place = refused(q{SELECT prism.seek('brief', 'g', 5)});
is("$place[0] $place[1]", '22023 target is before the first message kept of topic "brief"', 'nobody is sent there');
like($place[2], qr/^It is position 5; .* The first message kept is at position $first\.$/, 'the first one kept is named');
is((refused(q{SELECT prism.create_group('brief', 'other', '5')}))[0], '22023', 'nor begins there');
is((refused("SELECT prism.seek('brief', 'g', '$until')"))[0], '22023', 'nor at a time of which something is lost');

is(answer(q{SELECT prism.seek('brief', 'g', 'earliest')}), $first, 'it can be sent to the first one kept');
is(answer(q{SELECT min("position") FROM prism.consume('brief', 'g', 10)}), $first, 'and goes on there');

# A group with messages in hand and others read ahead: what it has may be finished, what it has not is lost.
apply('late', 'retention: forever');
$node->safe_psql('postgres', q{SELECT count(prism.publish('late', n::text)) FROM generate_series(1, 3000) n});
my $holder = $node->background_psql('postgres');
my $held = $holder->query_safe(q{SELECT count(*) FROM prism.consume('late', 'holder', 10)});
$node->safe_psql('postgres', q{SELECT count(prism.ack(m)) FROM prism.consume('late', 'done', 3000) AS m});
$node->safe_psql('postgres', q{SELECT count(CASE WHEN position > 9 THEN prism.ack(m) END) FROM prism.consume('late', 'acked', 3000) AS m});
my $last = answer(q{SELECT max(created_at) FROM prism.read('late', 2000, 1000)});
apply('late', 'retention: 1s');
wait_for_value($node, "SELECT now() - '$last' > interval '1.5 s'", 't');
publish('witness', 1024) for 1 .. 2;
wait_for_value($node, segments('late') , '2 3');
is($holder->query_safe(q{SELECT prism.ack('late', 'holder', ARRAY(SELECT generate_series(0, 9)))}), '10',
	'what was handed out before can be acknowledged');
is((refused(q{SELECT * FROM prism.consume('late', 'holder', 10)}))[0], '55000', 'what was only read ahead is lost');
$holder->quit;
is(answer(q{SELECT count(*) FROM prism.consume('late', 'done')}), '0', 'who had finished all of it has lost nothing');

# Nothing of this is forgotten by a restart: neither who has lost something, nor who has not.
$node->restart;
is((refused(q{SELECT * FROM prism.consume('late', 'holder', 10)}))[0], '55000', 'a gap stays one after a restart');
is((refused(q{SELECT * FROM prism.consume('late', 'acked', 10)}))[0], '55000', 'also one that has finished all that is behind it');
is(answer(q{SELECT count(*) FROM prism.consume('late', 'done')}), '0', 'and nobody else has one');

# A guard that is not in force always, as ENABLE TRIGGER ALL leaves it, keeps its segment for as long as a look only.
my $guarded = 'prism_log.topic_' . answer(q{SELECT topic_id FROM prism.topic WHERE name = 'brief'}) . '_' . (split / /, answer(segments('brief')))[0];
answer("ALTER TABLE $guarded DISABLE TRIGGER ALL; ALTER TABLE $guarded ENABLE TRIGGER ALL");
like(answer(q{SELECT hint FROM prism.doctor() WHERE item = 'guards'}), qr/on 1 of .* ALTER TABLE \Q$guarded\E ENABLE ALWAYS/, 'the doctor tells of it');
publish('brief', 1024) for 1 .. 2;
wait_for_value($node, "SELECT now() - '" . answer('SELECT now()') . "' > interval '1.5 s'");
maintain() for 1 .. 2;
is(answer("SELECT to_regclass('$guarded') IS NULL"), 't', 'and retention goes on');
is(answer(q{SELECT count(*) FROM prism.doctor() WHERE item = 'guards'}), 0, 'no other table had lost its guard');

done_testing();
