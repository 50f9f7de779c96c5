# More roles with handlers than there are processes: each has its turn, and the workers that carry messages wait for none
# of them.
use PrismTest;

# Two places beside the manager and the maintainer.
my $node = prism_node('main', conf => "prism.max_workers = 4\n");

sub sql { return $node->safe_psql('postgres', $_[0]); }

sql('CREATE TABLE done (who name, n serial); GRANT INSERT ON done TO PUBLIC; GRANT USAGE ON done_n_seq TO PUBLIC');
sql(q{SELECT prism.apply('name: t')});
sql(q{CREATE FUNCTION work(messages prism.message[]) RETURNS void LANGUAGE plpgsql AS $$ BEGIN INSERT INTO done (who) SELECT current_user FROM unnest(messages); END $$});
for my $i (1 .. 5)
{
	sql(qq{
		CREATE ROLE r$i LOGIN;
		SELECT prism.grant('t', 'consume', 'r$i');
		SELECT prism.on('t', 'g$i', 'work(prism.message[])', role => 'r$i');
	});
}
my $all_done = q{SELECT count(*) FROM prism.handlers WHERE lag_messages = 0};
sql(q{SELECT prism.publish('t', 'x')});
wait_for_value($node, $all_done, 5);
is(sql(q{SELECT string_agg(who::text, ' ' ORDER BY who) FROM done}), 'r1 r2 r3 r4 r5', 'five roles share two places');
cmp_ok(sql(q{SELECT count(*) FROM prism.workers WHERE pid IS NOT NULL AND kind <> 'launcher'}), '<=', 4, 'no more processes than allowed');
sql(q{SELECT prism.publish('t', 'x')});
wait_for_value($node, $all_done, 5);
is(sql(q{SELECT string_agg(DISTINCT who || ' ' || count, ', ') FROM (SELECT who, count(*) FROM done GROUP BY who) AS c}), 'r1 2, r2 2, r3 2, r4 2, r5 2', 'again and again');

# A call that lasts keeps its place, and only that one.
sql(q{CREATE OR REPLACE FUNCTION work(messages prism.message[]) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
	IF current_user = 'r3' THEN PERFORM pg_advisory_xact_lock_shared(1); END IF;
	INSERT INTO done (who) SELECT current_user FROM unnest(messages); END $$});
my $holder = $node->background_psql('postgres');
$holder->query_safe('SELECT pg_advisory_lock(1)');
sql(q{SELECT prism.publish('t', 'x')});
wait_for_value($node, $all_done, 4);
wait_for_value($node, q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'r3' AND wait_event_type = 'Lock'}, 1);

# A worker of another kind gets a place: here the one that delivers in time.
sql(q{SELECT prism.publish('t', 'x', deliver_at => now() + interval '100 ms')});
wait_for_value($node, q{SELECT count(*) FROM prism.read('t')}, 4);
pass('messages go on their way whatever handlers there are');
$holder->quit;
wait_for_value($node, $all_done, 5);
is(sql(q{SELECT count(*), count(DISTINCT who) FROM done}), '20|5', 'each message once, for each of them');
cmp_ok(log_count($node, 'prism cannot start a handler'), '<=', 1, 'the server log tells of it once');
done_testing();
