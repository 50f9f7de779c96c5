# A pattern is a file and a row: two of them, built into a copy of the sources, show in which order the links of a chain
# are called, down when a message is published and up when it is handed over or sent, and what their answers come to.
use PrismTest;
use PrismTest::Install;

use File::Basename qw(dirname);

my $own = PrismTest::Install->new;
my $sources = $own->sources;
my $lib = dirname(__FILE__) . '/../lib';

sub edit
{
	my ($file, $pattern, $with) = @_;
	my $text = slurp_file("$sources/$file");
	my $found = $text =~ s/$pattern/$with->()/e;
	is($found, 1, "$file takes a line more");
	unlink "$sources/$file";
	append_to_file("$sources/$file", $text);
	return;
}
system_or_bail('cp', "$lib/pattern_example/example.c", "$sources/src/pattern/example.c");
edit('src/pattern/pattern.h', qr/^extern const PrismPattern prism_pattern_wal;$/m, sub { "$&\nextern const PrismPattern prism_pattern_upper, prism_pattern_lower;" });
edit('src/pattern/pattern.c', qr/^static const PrismPattern \*const patterns\[\] = \{$/m, sub { "$&\n\t&prism_pattern_upper, &prism_pattern_lower," });
system_or_bail('cp', '-r', "$lib/backend_example", "$sources/src/backend/file");
edit('src/backend/registry.c', qr/^\tline\((\w+)\)$/m, sub { "\tline($1) \\\n\tline(file)" });
$own->install;

my $node = prism_node('main', install => $own->path);
sub sql { return $node->safe_psql('postgres', shift); }
sub apply { my ($topic, $more) = @_; return sql("SELECT DISTINCT action FROM prism.apply('{name: $topic$more}')"); }
# A session that begins later reads the row; others hear of what apply() changes.
sub chain { my ($topic, $chain) = @_; return sql("UPDATE prism.topic SET chain = '$chain' WHERE name = '$topic'"); }
sub publish { my ($topic, $payload) = @_; return sql("SELECT prism.publish('$topic', '$payload'::text) IS NOT NULL"); }
sub stored { return sql("SELECT string_agg(convert_from(substring(payload for 99), 'UTF8'), ' ' ORDER BY \"position\") FROM prism.read('$_[0]')"); }
my $both = '[{"type": "lower"}, {"type": "outbox"}, {"type": "upper"}]';

# ---------- one row: it can be named ----------
is(apply('named', ', patterns: [upper]'), 'created', 'a pattern that the registry has can be named');
publish('named', 'x');
is(stored('named'), 'x<upper>upper', '... and runs');

# ---------- down and up ----------
apply('order', ', patterns: [outbox]');
chain('order', $both);
publish('order', 'x');
is(stored('order'), 'x<upper<lower>lower>upper', 'down by depth, whatever the order in the catalogue; read() goes up');
is(sql(q{SELECT convert_from(payload, 'UTF8') FROM prism.consume('order', 'from')}), 'x<upper<lower>lower>upper', 'so does consume() in FROM');
is(sql(q{SELECT convert_from((m).payload, 'UTF8') FROM (SELECT prism.consume('order', 'list') AS m) c}), 'x<upper<lower>lower>upper', '... and in a SELECT list');
is(sql(q{SELECT value FROM prism.metrics WHERE name = 'prism_pattern_outbox_inserted_total' AND labels ->> 'namespace' = 'order'}), 1, 'the outbox between them has counted it');
sql(q{SELECT prism.publish_batch('order', ARRAY['a', 'b']::text[])});
is(sql(q{SELECT string_agg(convert_from(payload, 'UTF8'), ' ' ORDER BY "position") FROM prism.read('order', 1)}), 'a<upper<lower>lower>upper b<upper<lower>lower>upper', 'each of a batch');
sql(q{CREATE ROLE seer LOGIN; CREATE TABLE seen (payload text); GRANT INSERT ON seen TO seer; GRANT CREATE ON SCHEMA public TO seer; SELECT prism.grant('order', 'consume', 'seer')});
sql(q{CREATE FUNCTION see(m prism.message) RETURNS void LANGUAGE sql AS $$ INSERT INTO public.seen VALUES (convert_from((m).payload, 'UTF8')) $$});
sql(q{SELECT prism."on"('order', 'handled', 'public.see(prism.message)', role => 'seer')});
wait_for_value($node, q{SELECT string_agg(payload, ' ' ORDER BY payload) FROM seen},
	'a<upper<lower>lower>upper b<upper<lower>lower>upper x<upper<lower>lower>upper');
pass('a handler is handed the same');

# ---------- delayed ----------
apply('delayed', ', patterns: [outbox]');
chain('delayed', $both);
sql(q{SELECT prism.publish('delayed', 'x'::text, deliver_at => clock_timestamp() + interval '200 ms')});
wait_for_value($node, q{SELECT count(*) FROM prism.read('delayed')}, 1);
is(stored('delayed'), 'x~upper~lower<upper<lower>lower>upper', 'one for later is prepared at once, and goes down when it is delivered');

# ---------- a stored message says by itself how it is read ----------
is(apply('order', ', patterns: [outbox]'), 'changed', 'the patterns go');
publish('order', 'c');
is(stored('order'), 'x<upper<lower>lower>upper a<upper<lower>lower>upper b<upper<lower>lower>upper c', 'what was published through them is read through them');
chain('order', '"nothing"');
is(stored('order'), 'x<upper<lower>lower>upper a<upper<lower>lower>upper b<upper<lower>lower>upper c', '... also when the chain cannot be read');

# ---------- options ----------
chain('order', '[{"type": "upper", "stamps": 3}, {"type": "lower", "stamp": false}]');
publish('order', 'd');
is(sql(q{SELECT convert_from(payload, 'UTF8') FROM prism.read('order', 4)}), 'd<upper<upper<upper>upper', 'each link has its options');
for my $bad (['{"type": "upper", "stamps": 4}', 'option "stamps" of pattern "upper" is no whole number from 1 to 3'],
	['{"type": "upper", "stamps": 1.5}', 'option "stamps" of pattern "upper" is no whole number from 1 to 3'],
	['{"type": "upper", "stamps": 1e1000}', 'option "stamps" of pattern "upper" is no whole number from 1 to 3'],
	['{"type": "upper", "stamps": "2"}', 'option "stamps" of pattern "upper" is no whole number from 1 to 3'],
	['{"type": "upper", "stamp": null}', 'option "stamp" of pattern "upper" is neither true nor false'],
	['{"type": "upper", "stamp": true, "ink": "blue"}', 'pattern "upper" has an option that it does not know'])
{
	chain('order', "[$bad->[0]]");
	my ($ret, $out, $err) = $node->psql('postgres', q{SELECT prism.publish('order', 'e'::text)});
	like($err, qr/ERROR:  the chain of topic "order" in prism.topic is damaged\nDETAIL:  What is wrong with it: \Q$bad->[1]\E\./, "$bad->[0] is told");
}

# ---------- gone ----------
apply('lost', ', client_api: queue');
chain('lost', $both);
publish('lost', $_) for qw(one gone two);
is(sql(q{SELECT string_agg(convert_from(payload, 'UTF8'), ' ') FROM prism.consume('lost', 'g', 10)}),
	'one<upper<lower>lower>upper two<upper<lower>lower>upper', 'what is gone is not handed over');
is(sql(q{SELECT count(*) || ' ' || (SELECT count(*) FROM prism.consume('lost', 'g', 10)) FROM prism.topics WHERE topic = 'lost.dlq'}), '1 0', 'but a dead letter, once');
is(sql(q{SELECT chain FROM prism.topics WHERE topic = 'lost.dlq'}), '[{"type": "upper"}]', 'whose topic has the links that fit there');
my ($ret, $out, $err) = $node->psql('postgres', q{SELECT count(*) FROM prism.read('lost')});
like($err, qr/its payload is nowhere, says "lower"/, 'read() tells of it');
is(sql(q{SELECT count(*) FROM prism.read('lost', 2)}), 1, '... and goes on behind it');
sql(q{SELECT prism.grant('lost', 'consume', 'seer')});
sql(q{SELECT prism."on"('lost', 'handled', 'public.see(prism.message)', role => 'seer')});
wait_for_value($node, q{SELECT string_agg(payload, ' ' ORDER BY payload) FROM seen WHERE payload ~ '^(one|two|gone)'},
	'one<upper<lower>lower>upper two<upper<lower>lower>upper');
wait_for_value($node, q{SELECT messages_total FROM prism.topics WHERE topic = 'lost.dlq'}, 2);
pass('a handler is not handed it either');

# ---------- a transaction keeps the chain with which it began ----------
apply('kept', ', client_api: queue');
chain('kept', $both);
my $session = $node->background_psql('postgres');
$session->query_safe(q{BEGIN; SELECT prism.publish('kept', 'a'::text)});
is(apply('kept', ', client_api: queue, patterns: [outbox]'), 'changed', 'the chain changes meanwhile');
$session->query_safe(q{SAVEPOINT s; SELECT prism.publish('kept', 'b'::text); ROLLBACK TO s; SELECT prism.publish('kept', 'c'::text); COMMIT; SELECT prism.publish('kept', 'd'::text)});
is(stored('kept'), 'a<upper<lower>lower>upper c<upper<lower>lower>upper d', 'the next transaction has the new one');
chain('kept', $both);
apply('other', ', client_api: queue');
$session->query_safe(q{BEGIN; SAVEPOINT s; SELECT prism.publish('kept', 'e'::text); ROLLBACK TO s});
is(apply('kept', ', client_api: queue, patterns: [outbox]'), 'changed', 'it changes again');
$session->query_safe(q{SELECT prism.publish('kept', 'f'::text); COMMIT});
$session->quit;
like(stored('kept'), qr/ d f$/, 'what was rolled back has begun nothing');

# ---------- to another server ----------
my $file = $node->data_dir . '/prism_file.out';
sub written { my ($topic) = @_; return join ' ', map { s/^$topic \d+ //r } grep { /^$topic / } -e $file ? split /\n/, slurp_file($file) : (); }
sub sink { my ($what, $topic) = @_; return "SELECT $what FROM prism.sinks WHERE topic = '$topic'"; }
apply('sent', ', backend: {type: file, topic: sent}');
chain('sent', $both);
publish('sent', $_) for qw(one never two);
wait_for_value($node, sink('lag_messages = 0', 'sent'));
is(written('sent'), 'one<upper<lower^lower^upper two<upper<lower^lower^upper', 'up, and what is refused does not go out');
is(sql(q{SELECT headers ->> 'dead_letter_reason' FROM prism.consume('sent.dlq', 'g')}), 'not to go out, says "lower"', '... but is a dead letter');
is(sql(q{SELECT convert_from(payload, 'UTF8') FROM prism.read('sent.dlq')}), 'never<upper<lower>lower>upper', '... as it is stored');
publish('sent', $_) for qw(three later four);
wait_for_value($node, sink(q{state = 'waiting' AND error = 'not to go out, says "lower"'}, 'sent'));
is(written('sent'), 'one<upper<lower^lower^upper two<upper<lower^lower^upper three<upper<lower^lower^upper', 'one that has to wait keeps those behind it');
append_to_file($node->data_dir . '/pattern_example.open', '');
wait_for_value($node, sink(q{state = 'running' AND lag_messages = 0}, 'sent'));
like(written('sent'), qr/ later<upper<lower\^lower\^upper four<upper<lower\^lower\^upper$/, '... until it may go, with each link asked once');
unlink $node->data_dir . '/pattern_example.open';

# With exactly once nothing is begun at the other side meanwhile.
apply('once', ', backend: {type: memory, topic: once}, needs: {delivery_guarantee: exactly_once}');
chain('once', $both);
publish('once', $_) for qw(one never);
wait_for_value($node, sink('lag_messages = 0 AND dead_letters_total = 1', 'once'));
publish('once', $_) for qw(two later);
wait_for_value($node, sink(q{state = 'waiting' AND error = 'not to go out, says "lower"'}, 'once'));
append_to_file($node->data_dir . '/pattern_example.open', '');
wait_for_value($node, sink(q{state = 'running' AND lag_messages = 0}, 'once'));
is(sql(sink('messages_total, dead_letters_total', 'once')), '4|1', 'all are settled, the one that was refused as a dead letter');

# ---------- redrive ----------
is(sql(q{SELECT prism.redrive('lost')}), 0, 'what is gone is not redriven');
is(sql(q{SELECT prism.redrive('sent')}), 1, 'what was refused can be');

# ---------- cleaning up ----------
my $swept = $node->data_dir . '/pattern_example.swept';
sub swept { my ($pid) = @_; return join ', ', map { s/^$pid //r } grep { /^$pid \w+ swept/ } -e $swept ? split /\n/, slurp_file($swept) : (); }
sub wait_for_sweeps
{
	my ($pid, $until) = @_;
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		my $found = swept($pid);
		return $found if $found =~ $until;
		select undef, undef, undef, 0.1;
	}
	return 'waited in vain: ' . swept($pid);
}
apply("swept_$_", ', patterns: [outbox]') for qw(first without damaged fails again gone endless last);
chain('swept_first', '[{"type": "lower"}, {"type": "outbox"}, {"type": "upper"}]');
chain('swept_damaged', '[{"type": "upper"}, {"type": "nothing"}]');
chain('swept_fails', '[{"type": "upper", "sweeps": -1}, {"type": "lower"}]');
chain('swept_again', '[{"type": "upper", "sweeps": 2}, {"type": "lower", "sweeps": 1}]');
chain("swept_$_", '[{"type": "upper"}]') for qw(gone last);
kill_worker($node, 'prism maintainer');
my $maintainer = worker_pid($node, 'prism maintainer');
my $rest = 'upper swept_fails, lower swept_fails, upper swept_again, upper swept_again, upper swept_again, lower swept_again, lower swept_again';
is(wait_for_sweeps($maintainer, qr/ swept_last$/), "upper swept_first, lower swept_first, $rest, upper swept_gone, upper swept_last",
	'topics in their order, links down, again while there is more; what fails keeps nobody from it');
$node->wait_for_log(qr/ERROR:  nothing to sweep with\n.*CONTEXT:  pattern "upper" cleaning up topic "swept_fails"/);
pass('... and is told');

# The next round, which another setting of retention begins, by the same process.
sql(q{SELECT prism.drop_namespace('swept_gone')});
apply('swept_without', ', patterns: [upper]');
apply('swept_first', ', patterns: [outbox]');
$node->append_conf('postgresql.conf', 'prism.retention = 10000');
$node->reload;
like(wait_for_sweeps($maintainer, qr/ swept_last, .* swept_last$/),
	qr/^.* swept_last, upper swept_without, upper swept_fails, lower swept_fails, upper swept_again, lower swept_again, upper swept_last$/,
	'a topic that was dropped is swept no more, nor one that has no such pattern any more; one that got it is');

# Who never comes to an end is left to the next round after a second, which comes at once.
chain('swept_endless', '[{"type": "upper", "sweeps": -2}]');
kill_worker($node, 'prism maintainer');
$maintainer = worker_pid($node, 'prism maintainer');
like(wait_for_sweeps($maintainer, qr/swept_endless, upper swept_last, .*swept_endless, upper swept_last/) =~ s/(upper swept_endless, )+/$1/gr,
	qr/^upper swept_without, .* lower swept_again, upper swept_endless, upper swept_last, upper swept_without, .* lower swept_again, upper swept_endless, upper swept_last/,
	'one that always has more to do does not keep the others from their turn');

# ---------- gone, while the topic of dead letters has no place ----------
$node->stop;
$node = prism_node('full', install => $own->path, conf => "prism.max_topics = 12\n");
apply('lost', ', client_api: queue, consumers: [{group: g, lease: 100ms}]');
chain('lost', '[{"type": "lower"}]');
publish('lost', $_) for qw(gone two);
my ($filled, $full) = (0, '');
while ($full eq '' && $filled++ < 12)
{
	apply("fill$filled", '');
	(undef, undef, $full) = $node->psql('postgres', "SELECT prism.publish('fill$filled', 'x'::text)");
}
like($full, qr/too many topics in use/, 'all places are taken');
is(sql(q{SELECT string_agg(convert_from(payload, 'UTF8'), ' ') FROM prism.consume('lost', 'g', 10)}), 'two<lower>lower', 'what is gone keeps nobody from the others');
is(sql(q{SELECT count(*) FROM prism.topics WHERE topic = 'lost.dlq'}), 0, '... and waits');
$node->append_conf('postgresql.conf', 'prism.max_topics = 40');
$node->restart;
wait_for_value($node, q{SELECT t.messages_total FROM (SELECT count(*) FROM prism.consume('lost', 'g', 10)) c LEFT JOIN prism.topics t ON t.topic = 'lost.dlq'}, 1);
sql(q{SELECT count(*) FROM prism.consume('lost', 'g', 10)});
is(sql(q{SELECT messages_total FROM prism.topics WHERE topic = 'lost.dlq'}), 1, 'then it becomes a dead letter, once');

done_testing();
