# Consumers keep rows from one transaction to the next: what they deliver is what the log holds, whoever else takes.
use PrismTest;

my $node = prism_node('main');

sub fill
{
	my ($session, $topic, $prefix, $count) = @_;
	$session->query_safe("SELECT prism.apply('name: $topic')");
	$session->query_safe("SELECT count(prism.publish('$topic', '$prefix' || n)) FROM generate_series(1, $count) AS n");
	return;
}

# "position:attempt:payload" of the next messages, acknowledged
sub take
{
	my ($session, $topic, $max) = @_;
	return $session->query_safe(qq{SELECT string_agg(concat_ws(':', m.position, m.attempt, convert_from(m.payload, 'UTF8')), ' ')
		FROM prism.consume('$topic', 'g', $max) AS m WHERE prism.ack(m) = 1});
}

sub expected
{
	my ($prefix, $first, $last) = @_;
	return join ' ', map { sprintf '%d:1:%s%d', $_, $prefix, $_ + 1 } $first .. $last;
}

my ($one, $other) = map { $node->background_psql('postgres') } 1 .. 2;

# Alone, one at a time: each message once, in order, over several blocks of rows.
fill($one, 'alone', 'a', 200);
is(join(' ', map { take($one, 'alone', 1) } 1 .. 200), expected('a', 0, 199), 'one at a time, in order');
is(take($one, 'alone', 1), '', 'and then nothing');
$one->query_safe('SELECT pg_stat_force_next_flush()');
my $scans = $one->query_safe(q{SELECT idx_scan FROM prism.topic AS t
	JOIN pg_stat_all_indexes ON indexrelname = format('topic_%s_0_offset', t.topic_id) WHERE t.name = 'alone'});
cmp_ok($scans, '<', 20, "the log was searched $scans times for it");

# Two sessions in turns, in steps of different sizes: rows that one kept are taken by the other.
fill($one, 'turns', 't', 300);
my @turns;
for my $round (1 .. 50)
{
	push @turns, take($one, 'turns', 1 + $round % 3), take($other, 'turns', 1 + $round % 5);
}
is(join(' ', @turns), expected('t', 0, 250), 'two sessions in turns get every message once');

# Two topics in turns.
fill($one, 'left', 'l', 40);
fill($one, 'right', 'r', 40);
is(join(' ', map { (take($one, 'left', 1), take($one, 'right', 2)) } 1 .. 20),
	join(' ', map { (expected('l', $_, $_), expected('r', 2 * $_, 2 * $_ + 1)) } 0 .. 19), 'two topics in turns');

# What is given back is delivered again, though the rows behind it are at hand.
fill($one, 'back', 'b', 100);
take($one, 'back', 1);
is($one->query_safe(q{BEGIN; SELECT m.position FROM prism.consume('back', 'g', 3) AS m; ROLLBACK}), "1\n2\n3", 'handed out');
is(take($one, 'back', 2), '1:2:b2 2:2:b3', 'and again');
is($other->query_safe(q{BEGIN; SELECT m.position FROM prism.consume('back', 'g', 2) AS m}), "3\n4", 'the other session has two');
is(take($one, 'back', 3), '5:1:b6 6:1:b7 7:1:b8', 'what is behind them');
$other->query_safe('ROLLBACK');
is(take($one, 'back', 4), '3:3:b4 4:2:b5 8:1:b9 9:1:b10', 'what came back, and what follows');

# Payloads out of line, among others.
$one->query_safe(q{SELECT prism.apply('name: large');
	SELECT count(prism.publish('large', CASE WHEN n % 3 = 0 THEN repeat(md5(n::text), 1000) ELSE 'small' || n END, key => 'k' || n, headers => '{"h": "1"}'))
	FROM generate_series(1, 60) AS n});
is($one->query_safe(q{DO $$ BEGIN FOR n IN 1 .. 60 LOOP
		ASSERT (SELECT md5(m.payload) = md5(CASE WHEN n % 3 = 0 THEN repeat(md5(n::text), 1000) ELSE 'small' || n END) AND m.key = 'k' || n
				AND m.headers->>'h' = '1' AND prism.ack(m) = 1 FROM prism.consume('large', 'g', 1) AS m), n;
		COMMIT; END LOOP; END $$; SELECT lag_messages FROM prism.groups WHERE topic = 'large'}), 0, 'payloads out of line');

# A topic of the same name, number and positions, in a session that has rows of the former one at hand and reads nothing ahead.
for my $anew ('topic', 'extension')
{
	$one->query_safe('DROP EXTENSION prism; CREATE EXTENSION prism');
	fill($one, 'again', 'former', 50);
	is(take($one, 'again', 1), '0:1:former1', "$anew made anew: rows of the former one are at hand");
	my $topic_id = $one->query_safe(q{SELECT topic_id FROM prism.topic WHERE name = 'again'});
	$one->query_safe($anew eq 'topic' ? q{SELECT prism.drop_namespace('again', true)} : 'DROP EXTENSION prism; CREATE EXTENSION prism');
	fill($other, 'again', 'new', 50);
	is($one->query_safe(qq{SELECT topic_id = $topic_id FROM prism.topic WHERE name = 'again'}), $anew eq 'topic' ? 'f' : 't', 'its number');
	is(take($other, 'again', 1), '0:1:new1', 'another session reads ahead');
	is(take($one, 'again', 3), expected('new', 1, 3), 'the messages are its own');
}

$_->quit for $one, $other;
done_testing();
