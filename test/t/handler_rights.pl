# What a handler's function may do: what its role may, and no more, however it tries. What it leaves in the session is
# gone before the next call, and it cannot keep the worker for itself.
use PrismTest;

my $node = prism_node('main');

sub sql { return $node->safe_psql('postgres', $_[0]); }

# Publish one message for a handler that runs the body; answers what its role then finds in table "said".
my $number = 0;
sub run
{
	my ($body, %param) = @_;
	my $group = 'g' . ++$number;
	my $timeout = $param{timeout} // '10s';
	my $want = $param{want} // 1;
	sql("TRUNCATE said");
	sql(qq{
		SET ROLE low;
		CREATE FUNCTION f$number(messages prism.message[]) RETURNS void LANGUAGE plpgsql AS \$f\$ $body \$f\$;
		SELECT prism.create_group('t', '$group', 'latest');
		SELECT prism.on('t', '$group', 'f$number(prism.message[])', batch_size => 1, timeout => '$timeout');
		RESET ROLE;
		SELECT prism.publish('t', jsonb_build_object('call', n)) FROM generate_series(1, $want) AS n;
	});
	wait_for_value($node, "SELECT messages_total = $want OR failures_total > 0 FROM prism.handlers WHERE consumer_group = '$group'");
	my $answer = sql("SELECT coalesce(string_agg(what, ', ' ORDER BY n), '') || coalesce(' error: ' || min(h.error), '') FROM prism.handlers h LEFT JOIN said ON true WHERE consumer_group = '$group'");
	sql("SELECT prism.drop_group('t', '$group')");
	return $answer;
}

# To run a statement and say how that went.
my $try = q{
	EXECUTE statement;
	INSERT INTO said (what) VALUES ('done');
EXCEPTION WHEN OTHERS THEN
	INSERT INTO said (what) VALUES (SQLSTATE);
};
sub try
{
	my ($statement) = @_;
	return run("DECLARE statement text := \$s\$ $statement \$s\$; BEGIN $try END");
}

sql(q{
	CREATE ROLE low LOGIN;
	CREATE ROLE friend;
	GRANT friend TO low;
	ALTER ROLE low SET work_mem = '5MB';
	CREATE TABLE secret (s text);
	INSERT INTO secret VALUES ('x');
	CREATE TABLE shared (owner_name text);
	ALTER TABLE shared ENABLE ROW LEVEL SECURITY;
	CREATE POLICY own ON shared USING (owner_name = current_user);
	INSERT INTO shared VALUES ('low'), ('other');
	CREATE TABLE said (n serial, what text);
	GRANT SELECT ON shared TO low, friend;
	GRANT INSERT, SELECT ON said TO low, friend;
	GRANT USAGE ON SEQUENCE said_n_seq TO low, friend;
	GRANT CREATE ON SCHEMA public TO low;
	SELECT prism.apply('name: t');
	SELECT prism.grant('t', 'consume', 'low');
});

is(run(q{BEGIN INSERT INTO said (what) VALUES (concat_ws(' ', session_user, current_user, current_setting('work_mem'), current_setting('search_path'), current_setting('row_security'), current_setting('is_superuser'))); END}),
	'low low 5MB "$user", public on off', 'it runs in a session of its role, with that role\'s settings');
is(try('SELECT * FROM secret'), '42501', 'it reads nothing that the role may not read');
is(run(q{BEGIN INSERT INTO said (what) SELECT string_agg(owner_name, ' ') FROM shared; END}), 'low', 'row security is the role\'s');
is(try('SELECT * FROM prism.handler'), '42501', 'nor prism\'s own tables');
is(try('RESET ROLE; SELECT * FROM secret'), '42501', 'RESET ROLE leads to the role itself');
is(try('RESET SESSION AUTHORIZATION; SELECT * FROM secret'), '42501', 'so does RESET SESSION AUTHORIZATION');
is(try('SET SESSION AUTHORIZATION DEFAULT; SELECT * FROM secret'), '42501', 'and SET SESSION AUTHORIZATION DEFAULT');
is(try("SET ROLE postgres"), '42501', 'no SET ROLE to others');
is(try("SET SESSION AUTHORIZATION postgres"), '42501', 'nor SET SESSION AUTHORIZATION');
is(try("SET session_replication_role = replica"), '42501', 'nor settings of superusers');
is(try('CREATE FUNCTION evil() RETURNS void LANGUAGE c AS $$x$$, $$y$$'), '42501', 'no C functions');
is(try('COMMIT'), '0A000', 'no transaction control');
is(try("PREPARE TRANSACTION 'x'"), '0A000', 'nor PREPARE TRANSACTION');
is(try('LISTEN x'), '0A000', 'no LISTEN: nobody would read the notifications');

# A deferred trigger is fired with the call, as the role.
sql(q{
	SET ROLE low;
	CREATE TABLE late (n int);
	CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO said (what) VALUES (session_user || ' ' || current_user); RETURN NULL; END $$;
	CREATE CONSTRAINT TRIGGER late AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late();
});
is(run(q{BEGIN SET CONSTRAINTS ALL DEFERRED; INSERT INTO late VALUES (1); END}), 'low low', 'a deferred trigger is the role\'s as well');

# Two calls in the same session.
my $state = q{
	concat_ws(' ', current_user, current_setting('search_path'), current_setting('work_mem'), to_regclass('pg_temp.mine') IS NULL,
		(SELECT count(*) FROM pg_prepared_statements WHERE name = 'left'), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()))};
my $fresh = 'low "$user", public 5MB t 0 0';
is(run(qq{BEGIN
	INSERT INTO said (what) SELECT $state;
	SET ROLE friend;
	SET search_path = 'nowhere', 'public';
	SET work_mem = '7MB';
	CREATE TEMP TABLE mine (n int);
	EXECUTE 'PREPARE "left" AS SELECT 1';
	PERFORM pg_advisory_lock(1);
END}, want => 2), "$fresh, $fresh", 'each call finds the session as if it were the first');

is(run(q{BEGIN PERFORM count(*) FROM generate_series(1, 1e12::bigint); END}, timeout => '50ms'),
	' error: canceling statement due to statement timeout', 'a call that takes too long is cancelled');
is(run(q{BEGIN SET statement_timeout = 0; PERFORM count(*) FROM generate_series(1, 1e12::bigint); END}, timeout => '50ms'),
	' error: canceling statement due to statement timeout', 'whatever it sets');
# (time enough to come to where it catches)
is(run(q{BEGIN LOOP BEGIN PERFORM count(*) FROM generate_series(1, 1e12::bigint); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END}, timeout => '1s'),
	' error: the process ended during a call', 'one that catches this ends with its process');
is(run(q{BEGIN INSERT INTO said (what) VALUES ('fine'); END}), 'fine', 'and another has its turn');

is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_roles WHERE rolname IN ('low', 'friend') AND rolsuper}), 0, 'nobody has become a superuser');
done_testing();
