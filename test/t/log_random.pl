# timeout: 300
# Eight clients publish and disturb each other at random, while processes are cancelled, ended and killed and the
# server goes down in every way. A ledger, written in the same transactions, is the truth; readers at every isolation
# level must see each message of it once, in order. A group finishes each: it is consumed, or it becomes a dead letter
# after as many attempts as the group allows (a rolled back or killed consumer is an attempt). Repeat a run by PRISM_SEED.
use PrismTest;
use POSIX ();

use constant CLIENTS => 8;
use constant KEYS => 12;

my $seed = $ENV{PRISM_SEED} // int(rand(1_000_000));
note("PRISM_SEED=$seed");
srand($seed);

my $node = prism_node('main', preload => commit_fault_library() . ', prism', conf => <<'CONF');
prism.segment_messages = 1500
autovacuum_naptime = 1s
CONF
my $folder = PostgreSQL::Test::Utils::tempdir('clients');
my $stop_file = "$folder/stop";

$node->safe_psql('postgres', <<'SQL');
SELECT prism.apply('namespaces: [{name: random-a, client_api: queue}, {name: random-b, client_api: queue}]');

CREATE TABLE key_state (topic text, key int, n bigint NOT NULL DEFAULT 0, PRIMARY KEY (topic, key)) WITH (fillfactor = 10);
INSERT INTO key_state SELECT topic, key FROM (VALUES ('random-a'), ('random-b')) AS t(topic), generate_series(1, 12) key;
CREATE TABLE ledger (id uuid, topic text, key int, n bigint, tx bigint);
CREATE SEQUENCE tx_number;
CREATE TABLE reader (topic text PRIMARY KEY, next bigint NOT NULL);
INSERT INTO reader VALUES ('random-a', 0), ('random-b', 0);
CREATE TABLE seen (topic text, "position" bigint, id uuid, key int, n bigint, tx bigint);

CREATE TABLE consumed (topic text, "position" bigint, id uuid, key int);

-- Whoever publishes to a key waits for the one before: so n must ascend by one along the positions.
CREATE PROCEDURE publish_next(topic text, key int, tx bigint, messages int) LANGUAGE plpgsql AS $$
DECLARE
	last bigint;
BEGIN
	UPDATE key_state s SET n = n + messages WHERE s.topic = $1 AND s.key = $2 RETURNING s.n INTO last;
	INSERT INTO ledger
		SELECT prism.publish($1, jsonb_build_object('n', n, 'tx', tx, 'filler', repeat('x', 600)), key::text), $1, $2, n, $3
		FROM generate_series(last - messages + 1, last) n;
END $$;

CREATE PROCEDURE work(transactions int) LANGUAGE plpgsql AS $$
DECLARE
	number bigint;
	place record;
BEGIN
	FOR i IN 1 .. transactions LOOP
		number := nextval('tx_number');
		FOR place IN
			SELECT topic, key FROM key_state WHERE random() < 0.08 ORDER BY topic, key
		LOOP
			CALL publish_next(place.topic, place.key, number, CASE WHEN random() < 0.02 THEN 150 ELSE 1 + (random() * 3)::int END);
			BEGIN
				IF random() < 0.3 THEN
					CALL publish_next(place.topic, place.key, number, 1 + (random() * 3)::int);
				END IF;
				IF random() < 0.5 THEN
					RAISE EXCEPTION 'this savepoint is rolled back';
				END IF;
			EXCEPTION WHEN raise_exception THEN
				NULL;
			END;
		END LOOP;
		IF random() < 0.1 THEN ROLLBACK; ELSE COMMIT; END IF;
	END LOOP;
END $$;

CREATE PROCEDURE read_on(rounds int) LANGUAGE plpgsql AS $$
DECLARE
	place record;
BEGIN
	FOR i IN 1 .. rounds LOOP
		FOR place IN SELECT * FROM reader LOOP
			INSERT INTO seen
				SELECT m.topic, m."position", m.id, m.key::int, (d ->> 'n')::bigint, (d ->> 'tx')::bigint
				FROM prism.read(place.topic, place.next, 1 + (random() * 300)::int) m,
				     LATERAL (SELECT convert_from(m.payload, 'UTF8')::jsonb AS d) p;
			UPDATE reader r SET next = s.last + 1
				FROM (SELECT max("position") AS last FROM seen WHERE topic = place.topic) s
				WHERE r.topic = place.topic AND s.last IS NOT NULL;
		END LOOP;
		COMMIT;
	END LOOP;
END $$;

-- What is consumed, noted and acknowledged in one transaction is consumed exactly once.
CREATE PROCEDURE consume_on(rounds int) LANGUAGE plpgsql AS $$
DECLARE
	acknowledged bigint;
	place record;
BEGIN
	FOR i IN 1 .. rounds LOOP
		FOR place IN SELECT topic FROM reader ORDER BY random() LOOP
			WITH taken AS MATERIALIZED (
				SELECT m FROM prism.consume(place.topic, 'random', 1 + (random() * 300)::int) m
			), noted AS (
				INSERT INTO consumed SELECT place.topic, (m)."position", (m).id, (m).key::int FROM taken
			)
			SELECT count(prism.ack(m)) INTO acknowledged FROM taken;
		END LOOP;
		IF random() < 0.3 THEN ROLLBACK; ELSE COMMIT; END IF;
	END LOOP;
END $$;
SQL

# A client: sessions one after the other, until told to stop; what ends a session is none of its business.
sub start_client
{
	my ($name, $settings, $statements) = @_;
	my $parent = $$;
	my $pid = fork // die "could not fork\n";
	return $pid if $pid;

	my $script = "$folder/$name.sql";
	open STDERR, '>>', "$folder/$name.err" or POSIX::_exit(1);
	srand($seed + length($name) * 100 + ord(substr($name, -1)));
	while (!-e $stop_file && getppid() == $parent)
	{
		open my $out, '>', $script or POSIX::_exit(1);
		printf $out "SET application_name = 'random $name';\nSET commit_fault.seed = %d;\nDO \$\$ BEGIN PERFORM setseed(%f); END \$\$;\n", rand(1e9), rand;
		print $out $settings, $statements;
		close $out;
		system('psql', '-X', '-q', '-d', $node->connstr('postgres'), '-o', '/dev/null', '-L', "$folder/$name.log", '-f', $script);
		select undef, undef, undef, 0.02;		# as long as the server is down
	}
	POSIX::_exit(0);
}

my @clients;
for my $i (1 .. CLIENTS)
{
	my $settings = "SET commit_fault.pause_us = 3000;\nSET commit_fault.error_percent = 3;\nSET prism.publish_buffer = '64kB';\n";
	$settings .= "SET synchronous_commit = off;\n" if $i % 2;
	$settings .= "SET default_transaction_isolation = 'serializable';\n" if $i == CLIENTS;
	push @clients, start_client("writer$i", $settings, "CALL work(20);\n" x 10);
}
push @clients, start_client('consumer', "SET commit_fault.pause_us = 1000;\nSET commit_fault.error_percent = 3;\n", "CALL consume_on(10);\n" x 10);
push @clients, start_client('reader', '', join '',
	map { "SET default_transaction_isolation = '$_';\nCALL read_on(10);\n" } ('read committed', 'repeatable read', 'serializable') x 3);

# An answer, as soon as the server gives one: it may not have noticed yet that it must start anew.
sub ask
{
	my ($query) = @_;
	my @command = ('psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $query);

	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		my $answered = IPC::Run::run \@command, '<', \undef, '>', \my $answer, '2>', \my $error;
		chomp $answer;
		return $answer if $answered;
		select undef, undef, undef, 0.1;
	}
	die "the server does not answer\n";
}

# Something happens each time that some more transactions are through.
my %happens = (
	cancel => sub { ask('SELECT pg_cancel_backend(' . $_[0] . ')') },
	terminate => sub { ask('SELECT pg_terminate_backend(' . $_[0] . ')') },
	kill => sub { kill 'KILL', $_[0] },
	immediate => sub { $node->stop('immediate'); $node->start },
	postmaster => \&kill_postmaster,
	fast => sub { $node->restart });
my @events = (('cancel') x 8, ('terminate') x 8, ('kill') x 6, ('immediate') x 2, 'postmaster', 'fast');
@events = map { $_->[1] } sort { $a->[0] <=> $b->[0] } map { [ rand, $_ ] } @events;

# The server can start again when the last of its processes has noticed.
sub kill_postmaster
{
	my ($pid) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;

	$node->kill9;
	for (1 .. 200)
	{
		select undef, undef, undef, 0.1;
		return if !kill(0, $pid) && $node->start(fail_ok => 1);
	}
	die "the server does not start again\n";
}

sub victim
{
	my $pids = ask(q{SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'random %'});
	my @pids = split /\n/, $pids;
	return $pids[rand @pids];
}

my $through = 0;
for my $event (@events)
{
	my $wanted = $through + 20 + int(rand(60));
	wait_for_value($node, "SELECT count(DISTINCT tx) >= $wanted FROM ledger");
	$through = ask('SELECT count(DISTINCT tx) FROM ledger');
	my $pid = victim();
	next unless $pid;
	note("$event at $through transactions");
	$happens{$event}->($pid);
}
wait_for_value($node, "SELECT count(DISTINCT tx) >= $through + 100 FROM ledger");
append_to_file($stop_file, '');
waitpid $_, 0 for @clients;

# The reader catches up; one more look at everything tells what it should have seen.
$node->safe_psql('postgres', 'CALL read_on(1)')
  until $node->safe_psql('postgres', q{SELECT bool_and(NOT EXISTS (SELECT FROM prism.read(topic, next, 1))) FROM reader}) eq 't';
$node->safe_psql('postgres', q{CREATE TABLE kept AS
	SELECT m.topic, m."position", m.id FROM reader r, prism.read(r.topic, 0, 10000000) m});

# So does the group: nothing is left that it has not finished.
my $end = time + $PostgreSQL::Test::Utils::timeout_default;
while ((my $left = $node->safe_psql('postgres', 'SELECT sum(lag_messages) FROM prism.groups')) > 0)
{
	die "the group has not finished $left messages\n" if time > $end;
	$node->safe_psql('postgres', 'CALL consume_on(20)');
}
$node->safe_psql('postgres', q{CREATE TABLE dead (topic text, "position" bigint, attempts int)});
for my $topic ('random-a', 'random-b')
{
	next unless $node->safe_psql('postgres', "SELECT count(*) FROM prism.topic WHERE name = '$topic.dlq'");
	$node->safe_psql('postgres', qq{INSERT INTO dead
		SELECT headers ->> 'dead_letter_topic', (headers ->> 'dead_letter_position')::bigint, (headers ->> 'dead_letter_attempts')::int
		FROM prism.read('$topic.dlq', 0, 10000000)});
}
# How each message ended for the group.
$node->safe_psql('postgres', q{CREATE TABLE finished AS
	SELECT id, false AS dead FROM consumed UNION ALL
	SELECT s.id, true FROM dead d LEFT JOIN seen s USING (topic, "position")});
note($node->safe_psql('postgres', 'SELECT count(*) FROM dead') . ' dead letters');

sub count_is
{
	my ($query, $name) = @_;
	return is($node->safe_psql('postgres', "SELECT count(*) FROM ($query) x"), 0, $name);
}

my $total = $node->safe_psql('postgres', 'SELECT count(*) FROM ledger');
note("$total messages of " . $node->safe_psql('postgres', 'SELECT count(DISTINCT tx) FROM ledger') . ' transactions, up to position '
	  . $node->safe_psql('postgres', 'SELECT max("position") FROM seen') . ' in '
	  . $node->safe_psql('postgres', 'SELECT count(*) FROM prism.segment') . ' segments');
cmp_ok($total, '>', 1000, 'there is something to look at');
count_is('SELECT id FROM ledger EXCEPT SELECT id FROM seen', 'lost 0');
count_is('SELECT id FROM seen EXCEPT SELECT id FROM ledger', 'phantom 0');
count_is('SELECT id FROM seen GROUP BY id HAVING count(*) > 1', 'twice 0');
count_is('SELECT topic, "position" FROM seen GROUP BY 1, 2 HAVING count(*) > 1', 'no position twice');
count_is('SELECT topic, "position", id FROM kept EXCEPT SELECT topic, "position", id FROM seen', 'skipped 0');
count_is('SELECT FROM seen s JOIN ledger l USING (id) WHERE (s.topic, s.key, s.n, s.tx) IS DISTINCT FROM (l.topic, l.key, l.n, l.tx)', 'changed 0');
count_is('SELECT FROM (SELECT n, lag(n, 1, 0::bigint) OVER (PARTITION BY topic, key ORDER BY "position") AS former FROM seen) s WHERE n <> former + 1',
	'out of order 0');
count_is('SELECT id FROM ledger EXCEPT SELECT id FROM finished', 'finished by the group: lost 0');
count_is('SELECT id FROM finished EXCEPT SELECT id FROM ledger', 'phantom 0');
count_is('SELECT id FROM finished GROUP BY id HAVING count(*) > 1', 'twice 0, or consumed and dead as well');
count_is('SELECT FROM dead WHERE attempts <> 5', 'dead letters before their time 0');
count_is('SELECT topic, tx FROM seen GROUP BY 1, 2 HAVING max("position") - min("position") + 1 <> count(*)', 'the messages of a transaction lie together');
is(log_count($node, 'PANIC|TRAP|was terminated by signal (?!9)'), 0, 'no process crashed of itself');
is(log_count($node, 'commit_fault refuses') > 0, 1, 'commits were refused after their rows were inserted');

done_testing();
