# timeout: 240
# Offsets are skipped by restarts, new timelines and segments that are left early. How far a reader is behind is exact
# nevertheless, however often and however long ago that was, whether it was written down before a crash or not, and
# nobody is refused or forgotten for offsets that never held a message.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PrismTest;

# one segment holds many steps of the mark, so that none is made meanwhile; of the other topic a segment is left often
my $node = prism_node('main', conf => "prism.segment_messages = 16777216\nmax_prepared_transactions = 1\n");
sub sql { return $node->safe_psql('postgres', $_[0]); }

sql(q{SELECT prism.apply('namespaces:
  - {name: strict, needs: {retain: consumers, max_backlog: 1000, on_full: reject}}
  - {name: lax, needs: {retain: consumers, max_backlog: 1000, retention: {time: 10min, size: 1MB}}}
  - {name: aside, needs: {retention: forever}}')});
sql("SELECT prism.create_group('$_', 'behind', 'earliest')") for 'strict', 'lax', 'aside';
my $jumps = 'SELECT count(*) FROM prism.jump j JOIN prism.topic t USING (topic_id) WHERE t.name =';
my %published;

sub publish
{
	my ($topic, $count) = @_;
	sql("SELECT prism.publish('$topic', 'x') FROM generate_series(1, $count)");
	$published{$topic} += $count;
	return;
}

sub lag
{
	my ($topic) = @_;
	return sql("SELECT lag_messages FROM prism.groups WHERE topic = '$topic' AND consumer_group = 'behind'");
}

# Lag as it is told, and from each of the given share of positions on as a sink would count it.
sub lag_is
{
	my ($topic, $when) = @_;
	my $left = sql("SELECT count(*) FROM prism.read('$topic', max_messages => 1000000)");
	is($left, $published{$topic}, "$when: topic $topic has all of its messages") if $topic ne 'lax';
	return is(lag($topic), $left, "$when: the group of topic $topic is behind by those");
}

sub restart { $node->stop($_[0] // 'immediate'); return $node->start; }

# Nobody writes jumps down while the table of them is locked.
sql("BEGIN; LOCK TABLE prism.jump IN SHARE MODE; PREPARE TRANSACTION 'none'");
for my $round (1 .. 20)
{
	publish('strict', 3);
	publish('aside', 2) if $round % 5 == 0;
	restart();
}
is(sql('SELECT count(*) FROM prism.jump'), 0, 'no jump was written down');

# A view does not wait for who has the tables locked in which that would have to be looked for.
my $locker = $node->background_psql('postgres');
$locker->query_safe(sql(q{SELECT format('BEGIN; LOCK TABLE prism_log.topic_%s_0', topic_id) FROM prism.topic WHERE name = 'strict'}));
is(sql(q{SET statement_timeout = '20s'; SELECT topic || ' ' || coalesce(lag_messages::text, 'unknown') FROM prism.groups WHERE topic IN ('strict', 'aside') ORDER BY topic DESC}),
	"strict unknown\naside 8", 'a view says that it does not know');
$locker->quit;
lag_is($_, 'after 20 crashes') for 'strict', 'aside';
publish('strict', 1);
lag_is('strict', 'and a publisher is not refused');
cmp_ok(sql(q{SELECT max("position") FROM prism.read('strict', max_messages => 1000)}), '>', 1000000, 'though far more offsets were skipped');

# Most of them are older than what shared memory holds; the maintainer writes them all, once.
sql("COMMIT PREPARED 'none'; SELECT prism.wake_workers()");
wait_for_value($node, "$jumps 'strict'", 20);
lag_is($_, 'written down') for 'strict', 'aside';
restart('fast');
restart();
lag_is($_, 'read again') for 'strict', 'aside';
wait_for_value($node, "$jumps 'strict'", 21);
restart();
is(sql("$jumps 'strict'"), 21, 'a restart behind another restart makes no jump of its own');

# A new timeline skips four thousand million; what the mark says of it is of another one.
my $mark = sql(q{SELECT format('prism_log.topic_%s_mark', topic_id) FROM prism.topic WHERE name = 'strict'});
publish('strict', 2);
sql("SELECT setval('$mark', (last_value & ~65535) | 77) FROM $mark");
restart();
publish('strict', 2);
cmp_ok(sql(q{SELECT max("position") FROM prism.read('strict', max_messages => 1000)}), '>', 4294967296, 'a new timeline');
lag_is('strict', 'behind a new timeline');

# Segments that are left because of their size: a new maintainer looks at once.
my $position = q{SELECT next_position / 16777216 FROM prism.topics WHERE topic = 'lax'};
for my $round (1 .. 18)
{
	my $segment = sql($position);
	sql(q{SELECT prism.publish('lax', (SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 400) j)) FROM generate_series(1, 50)});
	restart();
	wait_for_value($node, $position, $segment + 1);
}
is(lag('lax'), 18 * 50, 'after 18 segments that were left early the group is behind by the messages');
is(sql(q{SELECT count(*) FROM prism.read('lax', max_messages => 100000)}), 18 * 50, 'so nothing of it was dropped');
restart();
lag_is('lax', 'after a crash');

# What no reader can come to is forgotten.
sql(q{SELECT prism.seek('lax', 'behind', 'latest')});
publish('lax', 1);
restart();
wait_for_value($node, q{SELECT count(*) < 6 FROM prism.segment JOIN prism.topic t USING (topic_id) WHERE t.name = 'lax'});
is(lag('lax'), 1, 'when segments were dropped, the group is behind by one message');
publish('lax', 1);
restart();
wait_for_value($node, "$jumps 'lax' AND j.to_offset <= (SELECT min(segment_number) FROM prism.segment g WHERE g.topic_id = t.topic_id) * t.segment_messages", 0);
is(lag('lax'), 2, 'also when jumps below were forgotten');

done_testing();
