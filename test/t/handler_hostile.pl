# Handlers against their role: another owner slips a function under the name of a handler's, a call does its work where
# the clock does not look, breaks the session, or ends its own process. The role stays the role, the clock runs on, and
# the next call finds the session as if it were the first.
# timeout: 300
use PrismTest;

my $node = prism_node('main');

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub wait_for_handler
{
	my ($group, $condition) = @_;
	return wait_for_value($node, "SELECT $condition FROM prism.handlers WHERE consumer_group = '$group'");
}

sub said { return sql(q{SELECT string_agg(what, ', ' ORDER BY n) FROM said}); }

# A handler of role "low" with a function of this body; (group, body, options of the group, arguments of on).
sub handler
{
	my ($group, $body, $options, $arguments) = @_;
	sql(qq{
		TRUNCATE said;
		SET ROLE low;
		CREATE FUNCTION "$group"(messages prism.message[]) RETURNS void LANGUAGE plpgsql AS \$f\$ $body \$f\$;
		SELECT prism.create_group('t', '$group', 'latest' $options);
		SELECT prism.on('t', '$group', '"$group"(prism.message[])' $arguments);
	});
	return;
}

sub publish { return sql(qq{SELECT count(prism.publish('t', '$_[0]')) FROM generate_series(1, } . ($_[1] // 1) . ')'); }

sql(q{
	CREATE ROLE low LOGIN;
	CREATE ROLE friend;
	GRANT friend TO low;
	CREATE ROLE eve LOGIN;
	CREATE TABLE said (n serial, what text);
	GRANT INSERT, SELECT ON said TO low, friend, eve;
	GRANT USAGE ON SEQUENCE said_n_seq TO low, friend, eve;
	GRANT CREATE ON SCHEMA public TO low, eve;
	SELECT prism.apply('name: t');
	SELECT prism.grant('t', 'consume', 'low'), prism.grant('t', 'consume', 'eve');
});

# A handler is known by its function's name. Who may write to the schema does not become the role by taking that name.
handler('named', q{BEGIN INSERT INTO said (what) VALUES ('own'); END}, '', '');
publish('x');
wait_for_handler('named', 'messages_total = 1');
sql(q{SET ROLE low; DROP FUNCTION named(prism.message[])});
sql(q{SET ROLE eve; CREATE FUNCTION named(prism.message[]) RETURNS void LANGUAGE plpgsql AS $$ BEGIN INSERT INTO said (what) VALUES (current_user); END $$});
publish('x');
wait_for_handler('named', q{state = 'failed' AND error = 'function public.named(prism.message[]) belongs to role "eve", which cannot SET ROLE "low"'});
is(said(), 'own', 'a function of the same name and of another owner is not called');
sql('DROP FUNCTION named(prism.message[])');
sql(q{SET ROLE low; CREATE FUNCTION named(prism.message[]) RETURNS void LANGUAGE plpgsql AS $$ BEGIN INSERT INTO said (what) VALUES ('mine again'); END $$});
wait_for_handler('named', q{lag_messages = 0});
is(said(), 'own, mine again', 'a new one of the same owner is');
sql(q{ALTER FUNCTION named(prism.message[]) OWNER TO postgres});
publish('x');
wait_for_handler('named', q{lag_messages = 0});
is(said(), 'own, mine again, mine again', 'so is a superuser\'s');
sql(q{SELECT prism.drop_group('t', 'named')});

# What a call puts off to the commit stays under the clock: a deferred trigger that defers itself again.
sql(q{
	SET ROLE low;
	CREATE TABLE late (n int);
	CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF NEW.n < 2 THEN
			SET CONSTRAINTS ALL DEFERRED;
			INSERT INTO late VALUES (NEW.n + 1);
		ELSIF NEW.n = 2 THEN
			PERFORM count(*) FROM generate_series(1, 1e12::bigint);
		ELSE
			SET ROLE friend;
			SET search_path = nowhere, public;
			SET statement_timeout = 1;
		END IF;
		RETURN NULL;
	END $$;
	CREATE CONSTRAINT TRIGGER late AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late();
});
handler('postponed', q{BEGIN INSERT INTO late VALUES (1); END}, ', max_attempts => 1', q{, timeout => '100ms'});
publish('x');
wait_for_handler('postponed', 'lag_messages = 0 AND failures_total > 0');
is(sql(q{SELECT error FROM prism.handlers}), 'canceling statement due to statement timeout', 'work in the commit is cancelled');
sql(q{SELECT prism.drop_group('t', 'postponed')});

# ... and a cursor WITH HOLD, which the commit would fetch to its end.
handler('cursor', q{BEGIN EXECUTE 'DECLARE c CURSOR WITH HOLD FOR SELECT count(*) FROM generate_series(1, 1e12::bigint)'; INSERT INTO said (what) VALUES ('declared'); END},
	', max_attempts => 1', q{, timeout => '1s'});
publish('x');
wait_for_handler('cursor', 'lag_messages = 0');
is(said(), 'declared', 'a cursor WITH HOLD is closed with the call');
sql(q{SELECT prism.drop_group('t', 'cursor')});

# What a trigger sets during the commit is gone before the next call.
my $state = q{concat_ws(' ', session_user, current_user, current_setting('search_path'), current_setting('statement_timeout'))};
handler('setting', qq{BEGIN INSERT INTO said (what) SELECT $state; EXECUTE 'SET CONSTRAINTS ALL DEFERRED'; INSERT INTO late VALUES (0); END}, '', ', batch_size => 1');
sql(q{CREATE OR REPLACE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF NEW.n = 0 THEN SET CONSTRAINTS ALL DEFERRED; INSERT INTO late VALUES (3);
	ELSE SET ROLE friend; SET search_path = nowhere, public; SET statement_timeout = 1; END IF; RETURN NULL; END $$});
publish('x', 3);
wait_for_handler('setting', 'messages_total = 3');
my $fresh = 'low low "$user", public 0';
is(said(), "$fresh, $fresh, $fresh", 'each call finds the role and its settings');
sql(q{SELECT prism.drop_group('t', 'setting')});

# What a call leaves goes also when its transaction fails in the commit, or cannot be removed without a snapshot: a
# temporary function with a text that is stored out of line.
sql(q{
	SET ROLE low;
	CREATE TABLE refused (n int);
	CREATE FUNCTION refused() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF NEW.n = 1 THEN SET CONSTRAINTS ALL DEFERRED; INSERT INTO refused VALUES (2); ELSE RAISE EXCEPTION 'refused'; END IF; RETURN NULL; END $$;
	CREATE CONSTRAINT TRIGGER refused AFTER INSERT ON refused DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refused();
});
my $left = q{concat_ws(' ', (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), (SELECT count(*) FROM pg_proc WHERE pronamespace = pg_my_temp_schema()))};
handler('leaves', qq{BEGIN
	IF convert_from(messages[1].payload, 'UTF8') = 'fails' THEN
		PERFORM pg_advisory_lock(1);
		INSERT INTO refused VALUES (1);
	ELSE
		INSERT INTO said (what) SELECT $left;
		EXECUTE format('CREATE FUNCTION pg_temp.large() RETURNS text LANGUAGE sql AS %L',
			'SELECT ' || quote_literal((SELECT string_agg(md5(i::text), '') FROM generate_series(1, 2000) AS i)));
	END IF;
END}, ', max_attempts => 1', ', batch_size => 1');
publish('fails');
wait_for_handler('leaves', 'lag_messages = 0 AND failures_total > 0');
publish('looks', 3);
wait_for_handler('leaves', 'messages_total = 3');
is(said(), '0 0, 0 0, 0 0', 'nothing of a call is left, whatever became of it');
is(sql(q{SELECT coalesce(min(error), 'none') || ' ' || sum(restarts) FROM prism.workers WHERE kind = 'handler'}), 'none 0', 'and the worker has had no trouble');
sql(q{SELECT prism.drop_group('t', 'leaves')});

# A call that ends its own process is no administrator's command: processes come ever more slowly.
handler('suicide', q{BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); LOOP PERFORM 1; END LOOP; END}, ', max_attempts => 0', '');
publish('x');
wait_for_handler('suicide', 'failures_total >= 3');
cmp_ok(sql(q{SELECT extract(epoch FROM clock_timestamp() - created_at) FROM prism.handler}), '>', 2.5, 'a process that ends itself backs off');
sql(q{SELECT prism.drop_group('t', 'suicide')});

# Messages are as large as they are: what is in keys and headers counts as well.
handler('headers', q{BEGIN INSERT INTO said (what) VALUES (cardinality(messages)); END}, '', ', batch_size => 10000');
sql(q{SELECT count(prism.publish('t', 'x', headers => jsonb_build_object('h', (SELECT string_agg(md5(i::text || n), '') FROM generate_series(1, 1800) AS i))))
	FROM generate_series(1, 500) AS n});
wait_for_handler('headers', 'messages_total = 500');
cmp_ok(sql('SELECT max(what::int) FROM said'), '<', 400, 'a batch is bounded by bytes, wherever they are');
sql(q{SELECT prism.drop_group('t', 'headers')});

# A deadlock or a serialization failure is nobody's fault: the message is as new when it comes again, and soon.
handler('deadlock', q{BEGIN
	PERFORM nextval('said_n_seq');
	IF currval('said_n_seq') % 4 <> 0 THEN RAISE EXCEPTION 'again' USING ERRCODE = 'serialization_failure'; END IF;
	INSERT INTO said (what) VALUES (messages[1].attempt);
END}, ', max_attempts => 1', ', batch_size => 1');
publish('x');
wait_for_handler('deadlock', 'lag_messages = 0');
is(said(), '1', 'a serialization failure costs no attempt');
sql(q{SELECT prism.drop_group('t', 'deadlock')});

# ... but a message that brings it about each time does not keep the others waiting for ever.
handler('always', q{BEGIN
	IF convert_from(messages[1].payload, 'UTF8') = 'bad' THEN RAISE EXCEPTION 'never enough' USING ERRCODE = 'out_of_memory'; END IF;
	INSERT INTO said (what) VALUES (convert_from(messages[1].payload, 'UTF8'));
END}, q{, max_attempts => 1}, '');
publish('bad');
publish('good');
wait_for_handler('always', 'lag_messages = 0');
is(said(), 'good', 'who always meets a passing fault is given up in the end');
sql(q{SELECT prism.drop_group('t', 'always')});

# The server log is not filled by what a function says.
handler('talks', q{BEGIN RAISE EXCEPTION '%', repeat('long ', 1000000); END}, ', max_attempts => 1', '');
publish('x');
wait_for_handler('talks', 'lag_messages = 0');
is(log_count($node, 'handler public.talks of consumer group "talks" failed: long'), 1, 'the log tells of the failure');
cmp_ok(-s $node->logfile, '<', 1000000, 'and of a long message only the beginning');
sql(q{SELECT prism.drop_group('t', 'talks')});

# Who may write the function must be somebody who can be the role, at each call: else a former member would still be it.
sql(q{GRANT low TO eve});
handler('former', q{BEGIN INSERT INTO said (what) VALUES ('as agreed'); END}, '', '');
sql(q{ALTER FUNCTION former(prism.message[]) OWNER TO eve});
my $rewrite = q{SET ROLE eve; CREATE OR REPLACE FUNCTION former(messages prism.message[]) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
	PERFORM pg_advisory_xact_lock_shared(42); INSERT INTO said (what) VALUES ('as ' || current_user); END $$};
publish('x');
wait_for_handler('former', 'messages_total = 1');
sql(q{REVOKE low FROM eve});
sql($rewrite);
publish('x');
wait_for_handler('former', q{state = 'failed' AND retry_at IS NOT NULL AND error = 'function public.former(prism.message[]) belongs to role "eve", which cannot SET ROLE "low"'});
is(said(), 'as agreed', 'what a former member writes is not called');
is(sql(q{SELECT state || ' ' || hint FROM prism.status}), 'warn The handler of consumer group former is in trouble: prism.handlers says why.', 'prism.status points there');
# ... not even when the right went while it was called.
my $holder = $node->background_psql('postgres');
$holder->query_safe('SELECT pg_advisory_lock(42)');
sql(q{GRANT low TO eve; ALTER FUNCTION former(prism.message[]) COST 1});
wait_for_value($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'prism handler' AND wait_event_type = 'Lock'}, 1);
sql(q{REVOKE low FROM eve});
$holder->quit;
wait_for_handler('former', q{state = 'failed' AND failures_total = 1});
is(said(), 'as agreed', 'what was called meanwhile is undone');
sql(q{GRANT low TO eve; ALTER FUNCTION former(prism.message[]) COST 2});
wait_for_handler('former', 'lag_messages = 0');
is(said(), 'as agreed, as low', 'with the right it goes on');
sql(q{REVOKE low FROM eve; SELECT prism.drop_group('t', 'former')});

# A session is that of the role, whatever that is called; who gets its name is not called instead.
sql(q{SELECT prism.grant('t', 'consume', 'friend'); ALTER ROLE friend LOGIN});
handler('swapped', q{BEGIN INSERT INTO said (what) VALUES (session_user || ' ' || pg_backend_pid()); END}, '', '');
publish('x');
wait_for_handler('swapped', 'messages_total = 1');
sql('ALTER FUNCTION swapped(prism.message[]) OWNER TO postgres');
my ($pid) = said() =~ /^low (\d+)$/;
sql('BEGIN; ALTER ROLE low RENAME TO former; ALTER ROLE friend RENAME TO low; COMMIT');
publish('x');
wait_for_handler('swapped', 'lag_messages = 0');
is(said(), "low $pid, former $pid", 'the role that registered it is called under its new name, the one that has taken the old name is not');
is(sql(q{SELECT role FROM prism.handlers}), 'former', 'and so it is shown');
done_testing();
