# At least once to a real broker: what arrives, in which order, and what operators see and do.
use PrismTest;
use Time::HiRes qw(time);

my $node = prism_node('main');
my $kafka = PrismTest::Kafka->new;
my $sink = "FROM prism.sinks WHERE topic = 'orders'";

sub apply
{
	my ($name, %param) = @_;
	my $guarantee = $param{guarantee} // 'at_least_once';
	my $partitions = $param{partitions} // 1;
	$node->safe_psql('postgres', <<"SQL");
SELECT * FROM prism.apply(\$\$
name: $name
client_api: queue
patterns: [outbox]
needs: { delivery_guarantee: $guarantee }
backend: { type: kafka, topic: $name, partitions: $partitions }
\$\$)
SQL
	return;
}

# Numbered messages of a few keys, in transactions of their own.
sub publish
{
	my ($topic, $first, $last, $keys) = @_;
	$keys //= 10;
	$node->safe_psql('postgres', <<"SQL");
DO \$\$ BEGIN FOR i IN $first .. $last LOOP
	PERFORM prism.publish('$topic', i::text, key => 'k' || i % $keys); COMMIT;
END LOOP; END \$\$
SQL
	return;
}

sub is_sent { my ($topic) = @_; wait_for_value($node, "SELECT lag_messages = 0 AND state = 'running' FROM prism.sinks WHERE topic = '$topic'"); return; }

# Numbers of each key in the order of their first arrival.
sub order_errors
{
	my (%seen, %last);
	my $errors = 0;
	for (@_)
	{
		my ($key, $number) = split / /;
		next if $seen{$number}++;
		$errors++ if $number < ($last{$key} // -1);
		$last{$key} = $number;
	}
	return $errors;
}

# The broker is not there from the start.
use_kafka($node, $kafka->address);
apply('orders', partitions => 2);
publish('orders', 1, 100);
wait_for_value($node, "SELECT state IN ('waiting', 'backoff') AND error IS NOT NULL $sink");
is($node->safe_psql('postgres', "SELECT lag_messages, \"position\" IS NULL OR \"position\" = 0 $sink"), '100|t',
	'without a broker publishing goes on, and prism.sinks shows what waits and why');
is($node->safe_psql('postgres', "SELECT count(*) FROM prism.outbox WHERE topic = 'orders' AND published_at IS NULL"),
	100, 'nothing is shown as published');

$kafka->start;
is_sent('orders');
my @lines = $kafka->lines('orders');
is(scalar @lines, 100, 'when it comes, all arrive');
is(order_errors(@lines), 0, 'in order of each key');
wait_for_value($node, "SELECT count(*) = 0 FROM prism.outbox WHERE topic = 'orders' AND published_at IS NULL");
pass('and are shown as published');

# A record is what was published.
$node->safe_psql('postgres', q{SELECT prism.publish('orders', '{"a": 1}'::jsonb, key => 'k', headers => '{"h": "x"}')});
is_sent('orders');
my ($record) = grep { ($_->{key} // '') eq 'k' } $kafka->records('orders');
is($record->{payload}, '{"a": 1}', 'value');
is($record->{headers}{h}, 'x', 'header');
is($record->{headers}{id}, $node->safe_psql('postgres', q{SELECT id FROM prism.outbox WHERE key = 'k'}), 'id');
is($record->{ts}, $node->safe_psql('postgres',
	q{SELECT floor(extract(epoch FROM created_at) * 1000) FROM prism.outbox WHERE key = 'k'}), 'timestamp');

# A lone message does not wait for an interval or a timer.
wait_for_value($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'prism forwarder' AND state = 'active'");
my $messages = $node->safe_psql('postgres', "SELECT messages_total $sink");
my $start = time;
publish('orders', 101, 101);
wait_for_value($node, "SELECT messages_total = $messages + 1 $sink");
cmp_ok(time - $start, '<', 2, 'a lone message wakes the forwarder');

# Pause, skip, resume.
$node->safe_psql('postgres', q{SELECT prism.pause('orders')});
wait_for_value($node, "SELECT state = 'paused' $sink");
publish('orders', 102, 104);
is($node->safe_psql('postgres', "SELECT lag_messages $sink"), 3, 'paused: messages wait');
my ($result, $out, $err) = $node->psql('postgres', q{BEGIN; SELECT prism.resume('orders'); SELECT prism.skip('orders')});
like($err, qr/sink "kafka" is about to be resumed\n.*pause/s, 'one that the same transaction lets go on is not skipped');
$node->safe_psql('postgres', q{SELECT prism.skip('orders')});
$node->safe_psql('postgres', q{SELECT prism.resume('orders')});
is_sent('orders');
is_deeply([ grep { $_ > 101 } map { (split / /)[1] =~ /^(\d+)$/ } $kafka->lines('orders') ], [ 103, 104 ],
	'the skipped message is left out, the others follow');
($result, $out, $err) = $node->psql('postgres', q{SELECT prism.skip('orders')}, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
like($err, qr/55000.*sink "kafka" is running.*pause/s, 'a sink at work is not skipped');
($result, $out, $err) = $node->psql('postgres', q{SELECT prism.pause('orders', 'nats')}, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
like($err, qr/42704.*no sink "nats".*prism\.sinks/s, 'an unknown sink is refused');

# The broker refuses some records: they alone are dead letters.
sub bad_number { return $_[0] % 250 == 7; }
apply('sized');
publish('sized', 0, 0);
is_sent('sized');
$kafka->tool('kafka.admin.ConfigCommand', '--alter', '--entity-type', 'topics', '--entity-name', 'sized',
	'--add-config', 'max.message.bytes=5000');
$node->safe_psql('postgres', <<'SQL');
SELECT count(prism.publish('sized', CASE WHEN i % 250 = 7 THEN repeat(md5(i::text), 160) ELSE i::text END, key => 'k' || i % 10))
FROM generate_series(1, 1000) i
SQL
is_sent('sized');
@lines = $kafka->lines('sized');
my %arrived = map { (split / /)[1] => 1 } @lines;
is(scalar(grep { !$arrived{$_} } grep { !bad_number($_) } 0 .. 1000), 0, 'refused records take no others along');
is(order_errors(@lines), 0, 'nor change the order of a key');
is($node->safe_psql('postgres', <<'SQL'),
SELECT count(*), count(DISTINCT headers ->> 'dead_letter_position'), min(headers ->> 'dead_letter_topic'),
       bool_and(length(payload) = 5120), bool_and(headers ->> 'dead_letter_reason' <> '')
FROM prism.outbox WHERE topic = 'sized.dlq'
SQL
	'4|4|sized|t|t', 'they are dead letters, once each, with origin and reason');
is($node->safe_psql('postgres', "SELECT dead_letters_total FROM prism.sinks WHERE topic = 'sized'"), 4, 'and counted');

# The limit is raised, which nobody tells us.
$kafka->tool('kafka.admin.ConfigCommand', '--alter', '--entity-type', 'topics', '--entity-name', 'sized',
	'--add-config', 'max.message.bytes=1000000');
my $large;
for (my $end = time + 60; !$large && time < $end;)
{
	my $dead = $node->safe_psql('postgres', q{SELECT dead_letters_total FROM prism.sinks WHERE topic = 'sized'; SELECT prism.publish('sized', repeat('y', 20000))});
	is_sent('sized');
	$large = $node->safe_psql('postgres', q{SELECT dead_letters_total FROM prism.sinks WHERE topic = 'sized'}) == (split /\n/, $dead)[0];
}
ok($large, 'a limit that was raised at the broker is found');

# An orderly restart in the middle of a load repeats nothing.
apply('restarted', partitions => 3);
for my $round (0 .. 2)
{
	$node->safe_psql('postgres', "SELECT count(prism.publish('restarted', i::text, key => 'k' || i % 100))"
		. " FROM generate_series($round * 30000 + 1, ($round + 1) * 30000) i");
	$node->restart;
}
is_sent('restarted');
@lines = $kafka->lines('restarted');
%arrived = map { (split / /)[1] => 1 } @lines;
is(scalar(@lines) . ' ' . scalar(keys %arrived), '90000 90000', 'an orderly restart loses and repeats nothing');

# kill -9 of the forwarder in the middle of a load (the server restarts, so the load comes in pieces).
apply('killed', partitions => 3);
for my $round (0 .. 2)
{
	$node->safe_psql('postgres', "SELECT count(prism.publish('killed', i::text, key => 'k' || i % 100))"
		. " FROM generate_series($round * 20000 + 1, ($round + 1) * 20000) i");
	wait_for_value($node, "SELECT messages_total > 0 FROM prism.sinks WHERE topic = 'killed'");
	kill_worker($node, 'prism forwarder');
	wait_for_value($node, 'SELECT true');
}
is_sent('killed');
@lines = $kafka->lines('killed');
%arrived = map { (split / /)[1] => 1 } @lines;
is(scalar keys %arrived, 60000, 'forwarder killed three times: none is lost');
is(order_errors(@lines), 0, 'and the order of each key is kept');

# A topic that Kafka refuses, as its name collides with another one's, says so; others that share the connection do not.
apply('collides.here');
is_sent('collides.here');
apply('collides_here');
wait_for_value($node, q{SELECT state = 'stopped' AND error ~ 'collides' FROM prism.sinks WHERE topic = 'collides_here'});
apply('neighbour');
publish('neighbour', 1, 3);
is_sent('neighbour');
is($node->safe_psql('postgres', q{SELECT string_agg(topic, ' ') FROM prism.sinks WHERE error IS NOT NULL OR error_at IS NOT NULL}), 'collides_here',
	'the error of a topic is shown with no other');
$node->safe_psql('postgres', q{SELECT prism.drop_namespace(n, true) FROM unnest(ARRAY['collides.here', 'collides_here', 'neighbour']) AS n});

# Packets vanish: the server still stops at once.
use_kafka($node, $kafka->proxied_address);
publish('orders', 200, 210);
is_sent('orders');
$kafka->proxy->swallow;
publish('orders', 211, 2000);
wait_for_value($node, "SELECT state = 'waiting' $sink");
$start = time;
$node->stop('fast');
cmp_ok(time - $start, '<', 5, 'a fast stop takes less than 5 s while packets vanish');
$kafka->proxy->pass;
$node->start;
is_sent('orders');
%arrived = map { (split / /)[1] => 1 } $kafka->lines('orders');
is(scalar(grep { !$arrived{$_} } 200 .. 2000), 0, 'and nothing is lost by it');

# A topic that takes less than a batch wants the connection opened anew, with smaller ones: what others have under way is
# awaited before, so that it does not go out twice.
$kafka->tool('org.apache.kafka.tools.TopicCommand', '--create', '--topic', 'small', '--config', 'max.message.bytes=2000');
apply('flowing');
$node->safe_psql('postgres', q{SELECT prism.pause('flowing')});
wait_for_value($node, q{SELECT state FROM prism.sinks WHERE topic = 'flowing'}, 'paused');
$node->safe_psql('postgres', q{SELECT count(prism.publish_batch('flowing', messages)) FROM (SELECT array_agg(convert_to(i::text, 'UTF8')) FROM generate_series(1, 200000) i GROUP BY i / 1000) chunks(messages)});
$node->safe_psql('postgres', q{BEGIN; SELECT prism.resume('flowing'); SELECT prism.apply('{name: small, backend: {type: kafka, topic: small}}'); COMMIT});
is_sent($_) for 'small', 'flowing';
is(scalar($kafka->lines('flowing')), 200000, 'a topic with smaller batches has nothing of others sent twice');

# What leaves a database is UTF-8, whatever its encoding: payloads of text and JSON, keys, names and values of headers. What comes
# back from there, as a dead letter, is as it was.
$node->safe_psql('postgres', q{CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'});
$node->safe_psql('latin', 'CREATE EXTENSION prism');
use_kafka($node, $kafka->address, database => 'latin');
for my $guarantee (qw(at_least_once exactly_once))
{
	my $topic = "latin_$guarantee";
	$node->safe_psql('latin', qq{
		SELECT prism.apply('{name: $topic, client_api: queue, patterns: [outbox], needs: {delivery_guarantee: $guarantee, max_message_size: 20MB}, backend: {type: kafka}}');
		SELECT prism.publish('$topic', U&'{"name": "J\\00fcrgen"}'::jsonb, key => U&'Zo\\00eb', headers => U&'{"caf\\00e9": "cr\\00e8me"}');
		SELECT prism.publish('$topic', U&'\\00dcber', key => U&'Zo\\00eb');
		SELECT prism.publish('$topic', string_agg(md5(i::text), ''), key => U&'gro\\00df', headers => U&'{"caf\\00e9": "x"}') FROM generate_series(1, 100000) i});
	$kafka->wait_for_records($topic, 2);
	my @records = $kafka->records($topic);
	is($records[0]{payload}, qq({"name": "J\x{fc}rgen"}), "$topic: JSON");
	is($records[0]{key}, "Zo\x{eb}", "$topic: a key");
	is($records[0]{headers}{"caf\x{e9}"}, "cr\x{e8}me", "$topic: a header");
	is($records[0]{headers}{'content-type'}, 'application/json', "$topic: it says that it is JSON");
	is($records[1]{payload}, "\x{dc}ber", "$topic: text");
	wait_for_value($node, "SELECT dead_letters_total = 1 AND lag_messages = 0 FROM prism.sinks WHERE topic = '$topic'", 't', 'latin');
	is($node->safe_psql('latin', qq{SELECT encode(convert_to(key, 'LATIN1'), 'hex') || ' ' || (headers ->> U&'caf\\00e9') FROM prism.read('$topic.dlq')}),
		'67726fdf x', "$topic: a dead letter has its key and headers in the database's encoding");
}

done_testing();
