# When large payloads go: when all groups have finished their messages, when they are old, or with their messages; what
# groups, readers and dead letters find then, and that no message that should have its payload has lost it.
use PrismTest;

my $node = prism_node('main', conf => "prism.payload_segment = '64kB'\n");
payload_probe($node);
sub sql { return $node->safe_psql('postgres', shift); }
sub maintain { return maintain_until($node, @_); }
sub apply { my ($topic, $cleanup) = @_; return sql("SELECT DISTINCT action FROM prism.apply('{name: $topic, client_api: queue, patterns: [{type: claim-check, threshold: 1kB, storage: postgres$cleanup}]}')"); }
sub publish { my ($topic, $count) = @_; sql("SELECT prism.publish('$topic', repeat(i::text, 50000)::text) FROM generate_series(1, $count) i"); sql("SELECT prism.publish('$topic', 'small'::text)"); return; }
sub sealed { my ($topic, $count) = @_; return maintain("SELECT count(*) FROM prism.payload_segment JOIN prism.topic USING (topic_id) WHERE name = '$topic' AND sealed_end IS NOT NULL", $count); }
sub consume { my ($topic, $group, $max) = @_; return sql("SELECT coalesce(string_agg(\"position\" || ':' || octet_length(payload) || left(prism.ack(m)::text, 0), ' ' ORDER BY \"position\"), 'nothing') FROM prism.consume('$topic', '$group'" . ($max ? ", $max" : '') . ') m'); }
# Messages of 100,000 bytes, each of which fills a table that is sealed before the next one comes.
sub fill
{
	my ($topic, $count) = @_;
	for my $number (1 .. $count)
	{
		sql("SELECT prism.publish('$topic', repeat('x', 100000)::text)");
		sealed($topic, $number);
	}
	return;
}
my $tables = q{SELECT count(*) FROM prism.payload_segment JOIN prism.topic USING (topic_id) WHERE name = '%s' AND sealed_end IS NOT NULL};

# ---------- on consume ----------
is(apply('eaten', ', cleanup: on_consume'), 'created', 'a namespace that keeps payloads until they are consumed');
sql(q{SELECT prism.create_group('eaten', 'one', start => 'earliest'), prism.create_group('eaten', 'two', start => 'earliest')});
fill('eaten', 3);
publish('eaten', 1);
is(consume('eaten', 'one'), '0:100000 1:100000 2:100000 3:50000 4:5', 'one group has all');
maintain(sprintf($tables, 'eaten'), 3);
is(consume('eaten', 'two', 2), '0:100000 1:100000', 'the other the first ones');
maintain(sprintf($tables, 'eaten') . " AND segment_number < 3", 0);
is(sql(q{SELECT payload_cleaned FROM prism.topic WHERE name = 'eaten'}), 2, 'the payloads of these go');
is(sql(q{SELECT probe.dangling_claims('eaten')}), '0 of 2', 'no other one');
is(consume('eaten', 'two'), '2:100000 3:50000 4:5', 'who is behind gets the others');
is(sql(q{SELECT prism.create_group('eaten', 'late', start => 'earliest') IS NOT NULL}) && consume('eaten', 'late'), '2:100000 3:50000 4:5', 'a group that begins later passes over what has lost its payload');
my ($status, $out, $notice) = $node->psql('postgres', q{SELECT prism.seek('eaten', 'one', 'earliest')});
like($notice, qr/NOTICE:  messages below position 2 whose payloads lay beside the log are passed over/, 'seek() says so');
is(consume('eaten', 'one'), '2:100000 3:50000 4:5', '... and so it is');
is(sql(q{SELECT string_agg("position" || ':' || octet_length(payload) || coalesce(' of ' || (headers ->> 'payload_size'), ''), ', ' ORDER BY "position") FROM prism.read('eaten')}),
	'0:0 of 100000, 1:0 of 100000, 2:100000, 3:50000, 4:5', 'read() says what they were');
is(sql(q{SELECT lag_messages FROM prism.groups WHERE topic = 'eaten' AND consumer_group = 'late'}), 0, 'nobody waits for them');

# ---------- by age ----------
apply('old', ', cleanup: {strategy: ttl, ttl: 4s}');
sql(q{SELECT prism.create_group('old', 'taken', start => 'earliest'), prism.create_group('old', 'behind', start => 'earliest')});
sql('SELECT prism.publish(\'old\', repeat(\'x\', 100000)::text)') for 1 .. 2;
my $taker = $node->background_psql('postgres');
like($taker->query_safe(q{BEGIN; SELECT "position" FROM prism.consume('old', 'taken', 1)}), qr/^0$/m, 'a group has taken the first ones');
maintain(q{SELECT bool_and(sealed_end IS NOT NULL OR segment_number > (SELECT max(segment_number) - 1 FROM prism.payload_segment JOIN prism.topic USING (topic_id) WHERE name = 'old')) AND count(*) > 1 FROM prism.payload_segment JOIN prism.topic USING (topic_id) WHERE name = 'old'}, 't');
wait_for_value($node, q{SELECT max(created_at) < clock_timestamp() - interval '4 s' FROM prism.read('old', 0, 2)});
publish('old', 1);
maintain(sprintf($tables, 'old') . " AND segment_number < 3 OR name = 'old' AND payload_cleaned < 2", 0);
$taker->query_safe('ROLLBACK');
is(sql(q{SELECT probe.dangling_claims('old')}), '0 of 1', 'what is younger stays');
is(consume('old', 'behind'), '2:50000 3:5', 'a group that had not come to them passes over them');
is(consume('old', 'taken'), '2:50000 3:5', 'for one that had them already');
is(sql(q{SELECT string_agg(concat_ws(' ', headers ->> 'dead_letter_position', octet_length(payload), headers ->> 'dead_letter_reason'), ', ' ORDER BY "position") FROM prism.read('old.dlq')}),
	join(', ', map { "$_ 0 its payload was deleted, as the \"cleanup\" of its namespace says" } 0, 1), '... they become dead letters that say why');

# ---------- with their messages ----------
apply('kept', '');
sql(q{SELECT prism.create_group('kept', 'g', start => 'earliest')});
fill('kept', 2);
is(consume('kept', 'g'), '0:100000 1:100000', 'without a cleanup');
apply('witness', ', cleanup: on_consume');
sql(q{SELECT prism.create_group('witness', 'g', start => 'earliest')});
fill('witness', 1);
consume('witness', 'g');
maintain(sprintf($tables, 'witness') . " OR name = 'witness' AND payload_cleaned < 1", 0);
is(sql(q{SELECT probe.dangling_claims('kept')}), '0 of 2', '... payloads stay as long as their messages');

# ---------- dead letters ----------
apply('bad', ', cleanup: on_consume');
sql(q{SELECT prism.create_group('bad', 'g', start => 'earliest')});
fill('bad', 2);
sql(q{SELECT prism.reject(m, 'bad') FROM prism.consume('bad', 'g', 1) m});
consume('bad', 'g');
maintain(sprintf($tables, 'bad'), 0);
is(sql(q{SELECT octet_length(payload) FROM prism.read('bad.dlq')}), 100000, 'a dead letter has its payload when that of its message has gone');
is(sql(q{SELECT prism.redrive('bad')}), 1, 'and goes back with it');
is(consume('bad', 'g') =~ s/^\d+://r, 100000, '... whole');

# ---------- for later ----------
apply('later', ', cleanup: on_consume');
sql(q{SELECT prism.create_group('later', 'g', start => 'earliest')});
sql(q{SELECT prism.publish('later', repeat('x', 100000)::text, deliver_at => now() + interval '6 s')});
sql('SELECT prism.publish(\'later\', repeat(\'y\', 100000)::text)') for 1 .. 2;
is(consume('later', 'g'), '0:100000 1:100000', 'what comes before is consumed');
$node->restart;
wait_for_value($node, q{SELECT count(*) FROM prism.read('later')}, 3);
like(sql(q{SELECT probe.dangling_claims('later')}), qr/^0 of /, 'a message for later keeps its payload');
is(consume('later', 'g') =~ s/^\d+://r, 100000, '... and comes with it');
maintain("SELECT count(*) FROM prism.payload_segment JOIN prism.topic USING (topic_id) WHERE name = 'later'", 1);
is(sql(q{SELECT count(*) FROM prism.open_payload}), 0, 'then all of them go');

# ---------- for much later ----------
apply('waits', ', cleanup: on_consume');
sql(q{SELECT prism.create_group('waits', 'g', start => 'earliest')});
sql(q{SELECT prism.publish('waits', repeat('x', 100000)::text, deliver_at => now() + interval '1 day')});
sql('SELECT prism.publish(\'waits\', repeat(\'y\', 100000)::text)') for 1 .. 3;
is(consume('waits', 'g'), '0:100000 1:100000 2:100000', 'what does not wait is consumed');
maintain("SELECT string_agg(segment_number || CASE WHEN sealed_end IS NULL THEN '' ELSE ' sealed' END, ', ' ORDER BY segment_number) FROM prism.payload_segment JOIN prism.topic USING (topic_id) WHERE name = 'waits'", '1, 5');
pass('a message for another day holds its own table, and none of those behind it');
# as a restore leaves it that brings the pin last
sql(q{UPDATE prism.payload_segment SET sealed_end = 0 FROM prism.topic t WHERE t.topic_id = payload_segment.topic_id AND name = 'waits' AND segment_number = 1});
maintain(q{SELECT count(*) FROM prism.payload_segment JOIN prism.topic USING (topic_id) WHERE name = 'waits' AND segment_number = 1 AND sealed_end IS NULL}, 1);
pass('... also when it was sealed before its pin was there');

# ---------- by size ----------
sub apply_with { my ($topic, $needs) = @_; return sql("SELECT DISTINCT action FROM prism.apply('{name: $topic, client_api: queue, needs: {$needs}, patterns: [{type: claim-check, threshold: 1kB, storage: postgres, cleanup: on_consume}]}')"); }
apply_with('sized', 'retention: {time: forever, size: 1MB}');
sql(q{SELECT prism.publish('sized', repeat('x', 100000)::text, deliver_at => now() + interval '1 day') FROM generate_series(1, 12)});
my $log_tables = q{SELECT string_agg(segment_number::text, ', ' ORDER BY segment_number) FROM prism.segment JOIN prism.topic USING (topic_id) WHERE name = 'sized'};
sql(q{SELECT prism.publish('sized', md5(i::text) || md5((-i)::text)) FROM generate_series(1, 3000) i});
maintain(q{SELECT prism.publish('sized', 'on') IS NOT NULL AND max("position") > 4000 FROM prism.read('sized', 3000)}, 't');
maintain(q{SELECT true}, 't') for 1 .. 2;
is(sql(q{SELECT min("position") FROM prism.read('sized', 0, 1)}), 0, 'what waits for its time drives no message out of a log that is kept by size');

# ---------- refused ----------
apply_with('full', 'retain: consumers, max_backlog: 2, on_full: reject');
sql(q{SELECT prism.create_group('full', 'g', start => 'earliest')});
sql('SELECT prism.publish(\'full\', repeat(\'z\', 100000)::text)') for 1 .. 2;
my $written = q{SELECT sum(pg_table_size(format('prism_log.topic_%s_payload_%s', topic_id, segment_number)::regclass)) FROM prism.payload_segment JOIN prism.topic USING (topic_id) WHERE name = 'full'};
my $before = sql($written);
$node->psql('postgres', '\set VERBOSITY verbose' . "\n" . q{SELECT prism.publish('full', repeat('z', 100000)::text)}, stderr => \my $refused);
like($refused, qr/ERROR:  53400/, 'what is refused because groups are behind');
is(sql($written), $before, '... takes no space');
$taker->quit;
done_testing();
