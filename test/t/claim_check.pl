# Claims beyond one session: delayed ones across a restart, a namespace that changes while they lie in its log, a dump,
# a sink that is added behind them; what publishing a large payload takes of the session's memory, and who is seen at it.
use PrismTest;

shift_clock(0);
my $node = prism_node('main');
sub sql { my ($query, $database) = @_; return $node->safe_psql($database // 'postgres', $query); }
sub topic_id { my ($topic) = @_; return sql("SELECT topic_id FROM prism.topic WHERE name = '$topic'"); }
sub pins { my ($topic) = @_; return 'SELECT count(*) FROM prism.open_payload WHERE topic_id = ' . topic_id($topic); }
sub claims { my ($topic) = @_; return sql('SELECT count(*) FROM prism_log.topic_' . topic_id($topic) . '_0 WHERE messages = -1'); }
sub noise { my ($seed, $bytes) = @_; return "(SELECT substring(string_agg(sha256(('$seed' || i)::bytea), '' ORDER BY i) for $bytes) FROM generate_series(1, $bytes / 32 + 1) i)"; }
my $same = q{SELECT string_agg(key || ' ' || length(payload) || ' ' || encode(sha256(payload), 'hex'), ',' ORDER BY "position") FROM prism.read('%s')};
sub digest { my ($topic, $database) = @_; return sql(sprintf($same, $topic), $database); }
my $with = 'client_api: queue, patterns: [{type: claim-check, threshold: 1000}]';
sub apply { my ($namespace) = @_; return sql("SELECT DISTINCT action FROM prism.apply('$namespace') WHERE action NOT IN ('pattern', 'warning')"); }

# ---------- for later ----------
apply("{name: later, $with}");
sql(q{SELECT prism.publish('later', } . noise('a', 300_000) . q{, 'a', deliver_at => now() + interval '1 hour')});
sql(q{SELECT prism.publish('later', } . noise('b', 5_000) . q{, 'b', deliver_at => now() + interval '3 hours')});
wait_for_value($node, q{SELECT delayed FROM prism.topics WHERE topic = 'later'}, 2);
is(sql(pins('later')), 2, 'what waits is pinned');
for my $bucket (split /\n/, sql(q{SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'prism_log' AND relname ~ '^delayed_\d+$'}))
{
	is(sql("SELECT bool_and(claim AND length(payload) < 120) FROM $bucket"), 't', "as a claim, not as a payload: $bucket");
}
$node->restart;
shift_clock(2 * 3600);
sql('SELECT prism.wake_workers()');
wait_for_value($node, q{SELECT string_agg(key, ' ') FROM prism.read('later')}, 'a');
is(sql(q{SELECT payload = } . noise('a', 300_000) . q{ FROM prism.read('later')}), 't', 'delivered after a restart, whole');
is(sql(pins('later')), 1, 'and not pinned any more');

# ---------- the pattern goes, messages stay ----------
is(apply('{name: later, client_api: queue}'), 'changed', 'the pattern is taken out');
sql(q{SELECT prism.publish('later', } . noise('c', 5_000) . q{, 'c')});
is(claims('later'), 1, 'what is published then is no claim');
shift_clock(4 * 3600);
sql('SELECT prism.wake_workers()');
wait_for_value($node, q{SELECT string_agg(key, ' ' ORDER BY "position") FROM prism.read('later')}, 'a c b');
is(claims('later'), 2, 'what waited is delivered as it waited');
is(sql(pins('later')), 0, '... without a pin that nobody would take away');
is(sql(q{SELECT string_agg(key || (payload = CASE key WHEN 'a' THEN } . noise('a', 300_000) . q{ ELSE } . noise('b', 5_000) . q{ END), ' ' ORDER BY "position") FROM prism.consume('later', 'g') WHERE key <> 'c'}),
	'atrue btrue', 'and consumed whole, though the namespace has no claim check');

# ---------- a dump ----------
apply("{name: dumped, client_api: queue, patterns: [{type: claim-check, threshold: 1000, compression: zstd}]}");
sql(qq{SELECT prism.publish('dumped', CASE WHEN n % 3 = 0 THEN repeat('payload ' || n, 30000)::bytea ELSE n::text::bytea END, 'k' || n) FROM generate_series(1, 20) n});
sql(q{SELECT prism.publish('dumped', } . noise('d', 100_000) . q{, 'later', deliver_at => now() + interval '1 day')});
wait_for_value($node, q{SELECT delayed FROM prism.topics WHERE topic = 'dumped'}, 1);
is(claims('dumped'), 6, 'claims among small messages');
sql('CREATE DATABASE restored');
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'pg_dump');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('restored') ], 'restored into another database');
is(digest($_, 'restored'), digest($_), "the same there: $_") for qw(later dumped);
is(sql(q{SELECT count(*) FROM prism.open_payload}, 'restored'), 1, 'with what is pinned');
sql(q{SELECT prism.publish('dumped', repeat('new ', 30000), 'new')}, 'restored');
is(sql(q{SELECT key || length(payload) FROM prism.read('dumped', 20)}, 'restored'), 'new120000', 'and it goes on');

# ---------- a sink behind them ----------
apply("{name: sent, $with}");
sql(q{SELECT prism.publish('sent', payload, key) FROM (VALUES ('one', 'small'), ('two', repeat('large', 1000)), ('three', 'small')) v(key, payload)});
apply('{name: sent, client_api: queue, backend: {type: memory, topic: sent}}');
wait_for_value($node, q{SELECT lag_messages FROM prism.sinks WHERE topic = 'sent'}, 0);
is(sql(q{SELECT key || ': ' || (headers ->> 'dead_letter_reason') FROM prism.outbox WHERE topic = 'sent.dlq'}),
	'two: its payload lies in this database, where nobody outside of it could fetch it', 'what readers outside could not fetch is a dead letter, and holds up nobody');

# ---------- a page that cannot be read ----------
apply("{name: unread, $with}");
sql(q{SELECT prism.create_group('unread', 'g'), prism.create_group('unread', 'rejects')});
sql(q{SELECT prism.publish('unread', } . noise('u', 300_000) . q{, 'spoilt')});
sql(q{SELECT prism.publish('unread', 'small', 'behind')});
my $file = $node->data_dir . '/' . sql(q{SELECT pg_relation_filepath('prism_log.topic_} . topic_id('unread') . q{_payload_1')});
sql('CHECKPOINT');
$node->stop;
open(my $pages, '+<', $file) or die "$file: $!";
seek $pages, 5 * 8192, 0;
print $pages 'x' x 8192;
close($pages);
$node->start;
is(sql(q{SELECT string_agg(key, ' ' ORDER BY m."position") FROM prism.consume('unread', 'g') m}), 'behind', 'a group is not stuck behind it');
like(sql(q{SELECT headers ->> 'dead_letter_reason' FROM prism.read('unread.dlq')}), qr/^its payload is damaged: invalid page in block 5/, 'its message is a dead letter that says so');
(undef, undef, my $refused) = $node->psql('postgres', q{SELECT * FROM prism.read('unread', 0)});
like($refused, qr/message 0 of topic "unread" is damaged/, 'who reads it is told which message it is');
sql(q{SET prism.max_inline_payload = 0; SELECT prism.reject(m, 'unwanted') FROM prism.consume('unread', 'rejects', 1) m});
is(sql(q{SELECT string_agg(headers ->> 'dead_letter_reason', '; ' ORDER BY "position") FROM prism.read('unread.dlq', 1)}), 'unwanted', 'it can be rejected unseen');

# ---------- memory ----------
sub memory
{
	my ($session) = @_;
	my ($pid) = $session->query_safe('SELECT pg_backend_pid()') =~ /(\d+)/;
	my $status = slurp_file("/proc/$pid/status");
	return $status =~ /^RssAnon:\s+(\d+) kB/m ? $1 / 1024 : die $status;
}
apply("{name: huge, $with, needs: {max_message_size: 500MB}}");
my $session = $node->background_psql('postgres');
sql('CREATE TABLE source (payload bytea); ALTER TABLE source ALTER payload SET STORAGE EXTERNAL');
sql(q{INSERT INTO source SELECT decode(repeat('00ff17', 100000000 / 3), 'hex')});
$session->query_safe(q{SELECT prism.publish('huge', 'x'::text), count(payload) FROM source});
my $before = memory($session);
$session->query_safe(q{SELECT prism.publish('huge', payload) FROM source});
my $after = memory($session);
note(sprintf('%.1f MB before, %.1f MB after 100 MB', $before, $after));
cmp_ok($after - $before, '<', 16, 'a payload that lies out of line is never in memory as a whole');
$session->quit;
is(sql(q{SET prism.max_inline_payload = '200MB'; SELECT m.payload = s.payload FROM prism.read('huge', 1) m, source s}), 't', 'and is read back whole');

# ---------- seen while it is under way ----------
# One session publishes it again and again until another one has seen each kind of work on it.
$session = $node->background_psql('postgres');
$session->query_until(qr/begun/, q{
\echo begun
DO $$ DECLARE letter prism.message; BEGIN
	LOOP
		PERFORM prism.publish('huge', payload, 'again') FROM source;
		COMMIT;
		EXIT WHEN EXISTS (SELECT FROM pg_class WHERE relname = 'seen');
		PERFORM prism.reject(m, 'unwanted') FROM prism.consume('huge', 'rejects', 1) m;
		COMMIT;
	END LOOP;
END $$;
});
wait_for_value($node, q{SELECT true FROM prism.progress WHERE topic = 'huge' AND what = 'publish' AND "position" IS NULL AND bytes_done BETWEEN 0 AND bytes_total AND bytes_total = 99999999}, 't');
wait_for_value($node, q{SELECT true FROM prism.progress WHERE topic = 'huge' AND what = 'copy' AND bytes_done BETWEEN 0 AND bytes_total AND bytes_total = 99999999}, 't');
sql('CREATE TABLE seen ()');
$session->quit;
is(sql('SELECT count(*) FROM prism.progress'), '0', 'who publishes a large payload is seen, and who makes a dead letter of it, and nobody afterwards');

done_testing();
