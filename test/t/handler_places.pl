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

# Roles with nothing to do need no process, and none comes and goes for them.
sub processes { return sql(q{SELECT string_agg(pid::text, ',' ORDER BY pid) FROM prism.workers WHERE kind = 'handler'}); }
# Calls of all roles but one take half a second each.
my $busy = $node->background_psql('postgres');
$busy->query_safe('SELECT pg_advisory_lock(2)');
sql(q{CREATE OR REPLACE FUNCTION work(messages prism.message[]) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
	IF current_user <> 'r5' THEN
		BEGIN
			SET LOCAL lock_timeout = '500ms';
			PERFORM pg_advisory_xact_lock_shared(2);
		EXCEPTION WHEN lock_not_available THEN NULL;
		END;
	END IF;
	INSERT INTO done (who) SELECT current_user FROM unnest(messages); END $$});
my $all_idle = q{SELECT count(*) FROM prism.handlers h WHERE state = 'waiting' AND lag_messages = 0
	AND NOT EXISTS (SELECT FROM prism.workers WHERE kind = 'handler' AND state <> 'running')};
wait_for_value($node, $all_idle, 5);
my $before = processes();
wait_for_value($node, q{SELECT bool_and(since < clock_timestamp() - interval '2.5 s') FROM prism.workers WHERE kind = 'handler'}, 't');		# longer than a turn
is(processes(), $before, 'idle handlers keep their places when nobody needs one');

# Four roles with work for a minute; the one with little of it waits for the end of a call, not for turns.
sql(q{SELECT prism.apply('name: light')});
sql(q{SELECT prism.grant('light', 'consume', 'r5'); SELECT prism.off('t', 'g5');
	SELECT prism.on('light', 'g', 'work(prism.message[])', role => 'r5')});
sql(q{SELECT prism.off('t', 'g' || i), prism.on('t', 'g' || i, 'work(prism.message[])', batch_size => 1, role => 'r' || i) FROM generate_series(1, 4) i});
sql(q{SELECT count(prism.publish('t', 'x')) FROM generate_series(1, 120)});
wait_for_value($node, q{SELECT count(*) > 8 FROM done WHERE who <> 'r5' AND n > 20}, 't');
for my $i (1 .. 3)
{
	my $heavy = q{SELECT count(*) FROM done WHERE who <> 'r5'};
	my $calls = sql($heavy);
	sql(q{SELECT prism.publish('light', 'x')});
	wait_for_value($node, q{SELECT lag_messages FROM prism.handlers WHERE topic = 'light'}, 0);
	# two places: a call of each that was under way, one more begun meanwhile, and what a loaded machine adds
	cmp_ok(sql($heavy) - $calls, '<=', 5, 'the role with little work comes before those with much');
}
$busy->quit;
done_testing();
