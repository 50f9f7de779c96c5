# A million messages in one transaction: bounded memory, all or nothing, and the topic goes on.
use PrismTest;

my $node = prism_node('main', conf => "shared_buffers = 16MB\nprism.max_topics_per_transaction = 4\n");
$node->safe_psql('postgres', q{SELECT prism.apply('namespaces: [{name: large, client_api: queue}]')});

my $session = $node->background_psql('postgres', on_error_stop => 0);
my $pid = $session->query_safe('SELECT pg_backend_pid()');

# The most memory that the session has used since the last call, in MB.
sub peak_mb
{
	my ($kb) = slurp_file("/proc/$pid/status") =~ /^VmHWM:\s+(\d+) kB/m or die;
	append_to_file("/proc/$pid/clear_refs", '5');
	return int($kb / 1024);
}

sub publish_many
{
	my ($count, $tag) = @_;
	return "SELECT count(prism.publish('large', repeat('x', 200) || i, (i % 1000)::text, '{\"tag\": \"$tag\"}')) FROM generate_series(1, $count) i";
}

sub seen { return $node->safe_psql('postgres', q{SELECT coalesce(string_agg(tag || ' ' || count, ', ' ORDER BY tag), 'nothing') FROM
	(SELECT headers ->> 'tag' AS tag, count(*) FROM prism.read('large', 0, 10000000) GROUP BY 1) s}); }

$session->query_safe(publish_many(1000, 'a'));
note('a thousand messages: ' . peak_mb() . ' MB');

# In memory they would take some 400 MB.
$session->query_safe('BEGIN');
$session->query_safe(publish_many(1_000_000, 'b'));
my $peak = peak_mb();
cmp_ok($peak, '<', 80, "a million pending messages: at most $peak MB");
is(seen(), 'a 1000', 'nobody sees them');
$session->query_safe('COMMIT');
$peak = peak_mb();
cmp_ok($peak, '<', 80, "their commit: at most $peak MB");
is(seen(), 'a 1000, b 1000000', 'all of them are there');
is($node->safe_psql('postgres', q{SELECT count(*) FROM (SELECT substr(convert_from(payload, 'UTF8'), 201)::int AS i, row_number() OVER (ORDER BY "position") AS nth
	FROM prism.read('large', 0, 10000000) WHERE headers ->> 'tag' = 'b') m WHERE i <> nth}), 0, 'in their order');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_ls_tmpdir()}), 0, 'no temporary file is left');

# Batches, and as many savepoints as messages.
$session->query_safe('BEGIN');
$session->query_safe(q{SELECT sum(prism.publish_batch('large', ARRAY(SELECT convert_to(repeat('y', 200) || i, 'UTF8') FROM generate_series(1, 1000) i), NULL,
	ARRAY(SELECT '{"tag": "c"}'::jsonb FROM generate_series(1, 1000)))) FROM generate_series(1, 200)});
$session->query_safe(q{DO $$ BEGIN
	FOR i IN 1 .. 30000 LOOP
		BEGIN
			PERFORM prism.publish('large', repeat('z', 500) || i, headers => '{"tag": "d"}');
			IF i % 3 = 0 THEN RAISE division_by_zero; END IF;
		EXCEPTION WHEN division_by_zero THEN NULL;
		END;
	END LOOP; END $$});
$session->query_safe('COMMIT');
$peak = peak_mb();
cmp_ok($peak, '<', 80, "200 batches of a thousand and 30,000 savepoints: at most $peak MB");
is(seen(), 'a 1000, b 1000000, c 200000, d 20000', 'what was not rolled back is there');

# What each message has of its own adds up to nothing either: headers are made anew, rows halved, spilled ones read.
$node->safe_psql('postgres', q{SELECT prism.apply('namespaces: [{name: headed, client_api: queue}]')});
$session->query_safe('BEGIN');
$session->query_safe(q{SELECT count(prism.publish('headed', repeat(md5(i::text), 2), (i % 10)::text, jsonb_build_object('trace', i::text))) FROM generate_series(1, 200000) i});
$peak = peak_mb();
cmp_ok($peak, '<', 80, "200,000 messages with headers of their own: at most $peak MB");
is($session->query_safe(q{SELECT count(*) FROM prism.outbox WHERE topic = 'headed'}), 200000, 'the outbox shows them');
$peak = peak_mb();
cmp_ok($peak, '<', 80, "at most $peak MB");
$session->query_safe('COMMIT');
$peak = peak_mb();
cmp_ok($peak, '<', 80, "their commit: at most $peak MB");
is($session->query_safe(q{SELECT count(*), count(DISTINCT headers) FROM prism.read('headed', 0, 10000000)}), '200000|200000', 'all of them are there');
$peak = peak_mb();
cmp_ok($peak, '<', 80, "reading them: at most $peak MB");

$session->quit;

# A commit of many messages can be cancelled.
my $big = $node->background_psql('postgres', on_error_stop => 0);
my $big_pid = $big->query_safe('SELECT pg_backend_pid()');
$big->query_safe('BEGIN');
$big->query_safe(publish_many(1_000_000, 'e'));
# One session sees it and cancels it, in one statement: how long a commit takes is nothing to count on.
my $canceller = $node->background_psql('postgres');
$canceller->query_until(qr/watching/, "\\echo watching\nDO \$\$ BEGIN
	WHILE NOT EXISTS (SELECT FROM prism.status WHERE namespace = 'large' AND committing_pid = $big_pid) LOOP END LOOP;
	PERFORM pg_cancel_backend($big_pid); END \$\$;\n");
$big->query('COMMIT');
like($big->{stderr}, qr/canceling statement due to user request/, 'a commit that inserts can be cancelled');
$canceller->query_safe('SELECT 1');
$canceller->quit;
is(seen(), 'a 1000, b 1000000, c 200000, d 20000', 'and leaves nothing');
$node->safe_psql('postgres', publish_many(10, 'f'));
is(seen(), 'a 1000, b 1000000, c 200000, d 20000, f 10', 'and the topic goes on');
$big->quit;

# No room for the temporary file.
my ($status, $out, $err) = $node->psql('postgres', '\set VERBOSITY verbose
	SET temp_file_limit = 100; SET prism.publish_buffer = 64; BEGIN; ' . publish_many(10000, 'g') . '; COMMIT;', on_error_stop => 0);
like($err, qr/53400: temporary file size exceeds temp_file_limit/, 'no room for the temporary file: an error of publish()');
($status, $out, $err) = $node->psql('postgres', '\set VERBOSITY verbose
	SET temp_file_limit = 100; SET prism.publish_buffer = 64; BEGIN; ' . publish_many(10, 'h') . '; SAVEPOINT s; ' . publish_many(10000, 'h') . '; ROLLBACK TO s; '
	. publish_many(10, 'h') . '; ROLLBACK TO s; COMMIT;', on_error_stop => 0);
like($err, qr/55000: an earlier error makes it impossible to publish in this transaction\n.*\nHINT:  Roll back/, 'caught by a savepoint: the transaction can only be rolled back');
is(() = $err =~ /55000: an earlier error/g, 2, 'COMMIT says so as well');
is(seen(), 'a 1000, b 1000000, c 200000, d 20000, f 10', 'nothing of them is there');

$node->safe_psql('postgres', q{SELECT prism.apply('namespaces: [' || string_agg(format('{name: topic-%s, client_api: queue}', i), ', ') || ']') FROM generate_series(1, 5) i});

# The same while another topic is published to, which has the largest one written out again.
sub publish_noise { my ($topic, $kb) = @_; return "SELECT count(prism.publish('$topic', (SELECT string_agg(sha512(convert_to((20 * i + j)::text, 'UTF8')), '') FROM generate_series(1, 16) j))) FROM generate_series(1, $kb) i"; }
($status, $out, $err) = $node->psql('postgres', '\set VERBOSITY verbose
	SET prism.publish_buffer = 1024; BEGIN; ' . publish_noise('topic-1', 700) . '; SAVEPOINT s; SET LOCAL temp_file_limit = 0; ' . publish_noise('topic-2', 400)
	. '; ROLLBACK TO s; ' . publish_noise('topic-2', 400) . '; ROLLBACK TO s; COMMIT;', on_error_stop => 0);
like($err, qr/53400: temporary file size.*55000: an earlier error.*55000: an earlier error/s, 'what another topic has written out is not half a topic');
is($node->safe_psql('postgres', q{SELECT count(*) FROM prism.read('topic-1', 0, 10000)}), 0, 'no part of it is there');

# Too many topics
($status, $out, $err) = $node->psql('postgres', q{\set VERBOSITY verbose
	SELECT prism.publish('topic-' || i, 'x') FROM generate_series(1, 5) i});
like($err, qr/54000: transaction publishes to too many topics\nDETAIL:  The limit is 4.\nHINT:  Raise prism.max_topics_per_transaction/, 'too many topics in a transaction');
is($node->safe_psql('postgres', q{SELECT count(prism.publish('topic-' || i, 'x')) FROM generate_series(1, 4) i}), 4, 'as many as allowed');
is($node->safe_psql('postgres', q{SELECT count(*) FROM generate_series(1, 4) i, prism.read('topic-' || i)}), 4, 'arrive');

is(log_count($node, 'PANIC|TRAP|terminated by signal'), 0, 'without an accident');
done_testing();
