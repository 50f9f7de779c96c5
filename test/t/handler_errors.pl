# Handlers whose calls fail: a batch is undone and tried one by one; who fails alone rests, and becomes a dead letter in
# the end; the others pass, in the order of their keys. Nothing is done twice, and nothing is lost.
use PrismTest;

my $node = prism_node('main');

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub wait_for_handler
{
	my ($group, $condition) = @_;
	return wait_for_value($node, "SELECT $condition FROM prism.handlers WHERE consumer_group = '$group'");
}

my $payload = q{convert_from(m.payload, 'UTF8')};

# A handler of its own for each case: (name, body of a function of a batch, arguments of create_group, of on).
sub handler
{
	my ($group, $body, $options, $arguments) = @_;
	sql(qq{
		SELECT prism.create_group('t', '$group', 'latest' $options);
		SET ROLE app;
		CREATE FUNCTION "$group"(messages prism.message[]) RETURNS void LANGUAGE plpgsql AS \$f\$ $body \$f\$;
		SELECT prism.on('t', '$group', '"$group"(prism.message[])' $arguments);
	});
	return;
}

sub publish
{
	my (@words) = @_;
	return sql('SELECT ' . join ', ', map { my ($key, $word) = /^(\w+):(.*)/; "prism.publish('t', '$word', key => '$key')" } @words);
}

sub effects { return sql("SELECT string_agg(word, ' ' ORDER BY n) FROM effect WHERE consumer_group = '$_[0]'"); }

sub dead_letters
{
	my ($group) = @_;
	return sql(qq{
		SELECT string_agg(concat_ws('/', $payload, m.headers ->> 'dead_letter_attempts', m.headers ->> 'dead_letter_reason'), ' ' ORDER BY m.position)
		FROM prism.read('t.dlq') AS m WHERE m.headers ->> 'dead_letter_group' = '$group'});
}

my $work = qq{
	INSERT INTO effect (consumer_group, word) SELECT m.consumer_group, $payload FROM unnest(messages) AS m;
	IF EXISTS (SELECT FROM unnest(messages) AS m WHERE $payload LIKE 'bad%') THEN
		RAISE EXCEPTION 'cannot digest this' USING ERRCODE = 'data_exception';
	END IF;
};

sql(q{
	CREATE ROLE app LOGIN;
	GRANT CREATE ON SCHEMA public TO app;
	SELECT prism.apply('name: t');
	SELECT prism.grant('t', 'consume', 'app');
	CREATE TABLE effect (n serial, consumer_group text, word text);
	GRANT INSERT, SELECT ON effect TO app;
	GRANT USAGE ON effect_n_seq TO app;
});

# Poison in the middle of a batch. Its own key waits for it, others do not.
handler('poison', "BEGIN $work END", q{, max_attempts => 3, backoff => '{50ms}'}, '');
publish('a:one', 'b:two', 'c:bad', 'd:three', 'c:after');
wait_for_handler('poison', 'lag_messages = 0');
is(effects('poison'), 'one two three after', 'the others pass, and the next one of its key comes after it');
is(dead_letters('poison'), 'bad/3/cannot digest this', 'after the group\'s attempts it is a dead letter, with the reason');
is(sql(q{SELECT state, error FROM prism.handlers WHERE consumer_group = 'poison'}) =~ s/running|waiting/well/r, 'well|cannot digest this', 'the last error is shown');
is(log_count($node, 'handler public.poison of consumer group "poison" failed: cannot digest this'), 1, 'the server log tells of it once');
publish('a:more');
wait_for_handler('poison', 'lag_messages = 0');
is(effects('poison'), 'one two three after more', 'it goes on');
sql(q{SELECT prism.drop_group('t', 'poison')});

# With a single attempt, the neighbours of what fails have lost nothing.
handler('once', "BEGIN $work END", ', max_attempts => 1', '');
publish(map { "k$_:" . ($_ == 5 ? 'bad' : "w$_") } 1 .. 9);
wait_for_handler('once', 'lag_messages = 0');
is(effects('once'), 'w1 w2 w3 w4 w6 w7 w8 w9', 'a batch that fails is no attempt of its messages');
is(dead_letters('once'), 'bad/1/cannot digest this', 'only what fails alone has had its attempt');
sql(q{SELECT prism.drop_group('t', 'once')});

# A handler that is mended while a message rests. Strict order: everything waits for it.
handler('mended', "BEGIN $work END", q{, ordering => 'strict', max_attempts => 0, backoff => '{20ms}'}, '');
publish('a:one', 'b:bad', 'c:two');
wait_for_handler('mended', 'failures_total > 3');
is(effects('mended'), 'one', 'nobody passes in strict order');
sql(q{CREATE OR REPLACE FUNCTION mended(messages prism.message[]) RETURNS void LANGUAGE sql AS $$
	INSERT INTO effect (consumer_group, word) SELECT m.consumer_group, convert_from(m.payload, 'UTF8') FROM unnest(messages) AS m $$});
wait_for_handler('mended', 'lag_messages = 0');
is(effects('mended'), 'one bad two', 'the new function gets it');
sql(q{SELECT prism.drop_group('t', 'mended')});

# What fails only when the transaction would be committed is the call's fault as well.
sql(q{
	SET ROLE app;
	CREATE TABLE late (word text);
	CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF NEW.word LIKE 'bad%' THEN RAISE EXCEPTION 'too late'; END IF; RETURN NULL; END $$;
	CREATE CONSTRAINT TRIGGER late AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late();
});
handler('deferred', qq{BEGIN INSERT INTO late SELECT $payload FROM unnest(messages) AS m; END}, ', max_attempts => 1', '');
publish('a:one', 'b:bad', 'c:two');
wait_for_handler('deferred', 'lag_messages = 0');
is(sql(q{SELECT string_agg(word, ' ' ORDER BY word) FROM late}), 'one two', 'a deferred constraint finds its message');
is(dead_letters('deferred'), 'bad/1/too late', 'and that one only');
sql(q{SELECT prism.drop_group('t', 'deferred')});

# A message whose call never ends.
handler('endless', qq{
	BEGIN
		IF EXISTS (SELECT FROM unnest(messages) AS m WHERE $payload = 'bad') THEN
			LOOP BEGIN PERFORM count(*) FROM generate_series(1, 1e12::bigint); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP;
		END IF;
		$work
	END}, q{, max_attempts => 2, backoff => '{20ms}'}, q{, timeout => '100ms'});
publish('a:one', 'b:bad', 'c:two');
wait_for_handler('endless', 'lag_messages = 0');
is(effects('endless'), 'one two', 'a message that takes the process with it does not take its neighbours');
like(dead_letters('endless'), qr{^bad/2}, 'it becomes a dead letter as well');
sql(q{SELECT prism.drop_group('t', 'endless')});

# Turns: a handler whose every call lasts until it is cancelled does not keep another one of its role from its messages.
handler('stuck', 'BEGIN PERFORM count(*) FROM generate_series(1, 1e12::bigint); END', q{, max_attempts => 0, backoff => '{0}'}, q{, timeout => '50ms'});
handler('quick', "BEGIN $work END", '', ', batch_size => 5');
is(sql(q{SELECT count(*) FROM prism.workers WHERE kind = 'handler'}), 1, 'two handlers in one process');
publish(map { "k:q$_" } 10 .. 29);
wait_for_handler('quick', 'lag_messages = 0');
is(effects('quick'), join(' ', map { "q$_" } 10 .. 29), 'each has its turn');
my $failures = sql(q{SELECT failures_total FROM prism.handlers WHERE consumer_group = 'stuck'});
wait_for_handler('stuck', "failures_total > $failures AND lag_messages = 20");
sql(q{SELECT prism.drop_group('t', 'stuck'), prism.drop_group('t', 'quick')});

# What the function gives up or rejects by itself stays so; the rest is acknowledged.
handler('partly', qq{
	DECLARE m prism.message;
	BEGIN
		FOREACH m IN ARRAY messages LOOP
			CASE $payload
				WHEN 'later' THEN IF m.attempt = 1 THEN PERFORM prism.nack(m, '20ms'); CONTINUE; END IF;
				WHEN 'never' THEN PERFORM prism.reject(m, 'not mine'); CONTINUE;
				WHEN 'acked' THEN PERFORM prism.ack(m);
				ELSE
			END CASE;
			INSERT INTO effect (consumer_group, word) VALUES (m.consumer_group, $payload || m.attempt);
		END LOOP;
	END}, '', '');
publish('a:one', 'b:later', 'c:never', 'd:acked', 'e:two');
wait_for_handler('partly', 'lag_messages = 0');
is(effects('partly'), 'one1 acked1 two1 later2', 'a function may give up a part of its batch');
is(dead_letters('partly'), 'never/1/not mine', 'or reject it');
is(sql(q{SELECT failures_total FROM prism.handlers WHERE consumer_group = 'partly'}), 0, 'none of that is a failure');
sql(q{SELECT prism.drop_group('t', 'partly')});

# The server's own fault costs nobody an attempt.
handler('resources', qq{
	BEGIN
		IF EXISTS (SELECT FROM effect WHERE consumer_group = 'full') THEN
			RAISE EXCEPTION 'disk full' USING ERRCODE = 'disk_full';
		END IF;
		INSERT INTO effect (consumer_group, word) SELECT m.consumer_group, $payload || m.attempt FROM unnest(messages) AS m;
	END}, ', max_attempts => 1', '');
sql(q{INSERT INTO effect (consumer_group) VALUES ('full')});
publish('a:one', 'b:two');
wait_for_handler('resources', q{failures_total > 2 AND state = 'backoff' AND error = 'disk full' AND retry_at > since});
sql(q{DELETE FROM effect WHERE consumer_group = 'full'});
wait_for_handler('resources', 'lag_messages = 0');
is(effects('resources'), 'one1 two1', 'the handler waits, its messages are as new');
sql(q{SELECT prism.drop_group('t', 'resources')});

# ... nor when it comes only with the commit, as a topic that is full does.
sql(q{
	SELECT prism.apply('{name: full, needs: {retain: consumers, max_backlog: 1, on_full: reject}}');
	SELECT prism.create_group('full', 'down');
	SELECT prism.grant('full', 'publish', 'app');
	SELECT prism.publish('full', 'x');
});
handler('forward', qq{
	BEGIN
		PERFORM prism.publish('full', m.payload) FROM unnest(messages) AS m;
		INSERT INTO effect (consumer_group, word) SELECT m.consumer_group, $payload || m.attempt FROM unnest(messages) AS m;
	END}, ', max_attempts => 1', '');
publish('a:one', 'b:two');
wait_for_handler('forward', q{failures_total > 2 AND state = 'backoff' AND error LIKE 'topic "full" is full'});
sql(q{SELECT prism.drop_group('full', 'down')});
wait_for_handler('forward', 'lag_messages = 0');
is(effects('forward'), 'one1 two1', 'back pressure costs no attempt');
sql(q{SELECT prism.drop_group('t', 'forward')});

# ... and when the messages cannot be read, the handler was not even called with them.
my $segment = sql(q{SELECT format('prism_log.topic_%s_0', topic_id) FROM prism.topic WHERE name = 't'});
handler('locked', qq{BEGIN INSERT INTO effect (consumer_group, word) SELECT m.consumer_group, $payload || m.attempt FROM unnest(messages) AS m; END}, ', max_attempts => 1', '');
sql(q{SELECT prism.off('t', 'locked')});
publish('a:one', 'b:two');
sql(q{CALL prism.wait('t', 'locked', '1 min')});
my $locker = $node->background_psql('postgres');
$locker->query_safe("BEGIN; LOCK TABLE $segment IN ACCESS EXCLUSIVE MODE");
sql(q{SET ROLE app; SELECT prism.on('t', 'locked', 'locked(prism.message[])')});
wait_for_handler('locked', q{state = 'backoff' AND error ~ 'is locked by another session'});
$locker->query_safe('COMMIT');
$locker->quit;
wait_for_handler('locked', 'lag_messages = 0');
is(effects('locked'), 'one1 two1', 'a locked segment costs no attempt');
is(sql(q{SELECT failures_total FROM prism.handlers WHERE consumer_group = 'locked'}), 0, 'nor is it a failure');

# Whoever makes a function has handlers try at once; that uses up no attempts of a message that waits for a fault to pass.
sql('CREATE TABLE opened (); GRANT SELECT ON opened TO app');
handler('hurried', qq{BEGIN
	IF NOT EXISTS (SELECT FROM opened) THEN RAISE EXCEPTION 'not yet' USING ERRCODE = 'lock_not_available'; END IF;
	INSERT INTO effect (consumer_group, word) SELECT m.consumer_group, $payload || m.attempt FROM unnest(messages) AS m;
END}, ', max_attempts => 1', '');
publish('a:one');
for my $calls (1 .. 12)
{
	wait_for_handler('hurried', "failures_total >= $calls");
	sql('CREATE FUNCTION pg_temp.anything() RETURNS void LANGUAGE sql AS $$ $$');
}
is(dead_letters('hurried'), '', 'twelve faults in a moment make no dead letter');
sql('INSERT INTO opened DEFAULT VALUES; CREATE FUNCTION pg_temp.anything() RETURNS void LANGUAGE sql AS $$ $$');
wait_for_handler('hurried', 'lag_messages = 0');
is(effects('hurried'), 'one1', 'it is handled when the fault has passed');
sql(q{SELECT prism.drop_group('t', 'hurried')});

# A call finds nothing of the topic open: all that reading it can meet has come before, and undoes no call. A large
# message is read when it is handed over, and what comes behind it along with it.
sql(qq{
	CREATE FUNCTION rebuild() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS \$\$ BEGIN REINDEX TABLE $segment; END \$\$;
	SELECT prism.create_group('t', 'closed', 'latest', max_attempts => 1);
	SET ROLE app;
	CREATE FUNCTION closed(messages prism.message[]) RETURNS void LANGUAGE plpgsql AS \$f\$ BEGIN
		PERFORM rebuild();
		INSERT INTO effect (consumer_group, word) SELECT m.consumer_group, length($payload)::text || '/' || m.attempt FROM unnest(messages) AS m;
	END \$f\$;
	RESET ROLE;
	SELECT prism.publish('t', (SELECT string_agg(sha256(i::text::bytea)::text, '') FROM generate_series(1, 1000) AS i));
	SELECT count(prism.publish('t', 'x')) FROM generate_series(1, 20);
	SET ROLE app;
	SELECT prism.on('t', 'closed', 'closed(prism.message[])', batch_size => 1);
});
wait_for_handler('closed', 'lag_messages = 0');
is(effects('closed'), join(' ', '66000/1', ('1/1') x 20), 'what was read is closed before the call');
is(sql(q{SELECT count(*) FROM prism.read('t.dlq') AS m WHERE m.headers ->> 'dead_letter_group' = 'closed'}), 0, 'and costs nobody an attempt');
done_testing();
