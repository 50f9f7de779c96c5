# Claims from the namespace's side: counted, listed and removed as it says; a change of it keeps what is there readable, and
# forgets a place when nothing names it any more.
use PrismTest;

my $node = prism_node('main', conf => "prism.payload_segment = '64kB'\nprism.segment_messages = 1024\n");
sub sql { return $node->safe_psql('postgres', shift); }
sub metric { my ($name, $namespace) = @_; return "SELECT value FROM prism.metrics WHERE name = 'prism_pattern_claim_check_$name' AND labels = '{\"namespace\": \"$namespace\"}'"; }
my $days = 100;
sub maintain
{
	sql('ALTER SYSTEM SET prism.retention = \'' . ++$days . 'd\'');
	$node->reload;
	return wait_for_value($node, shift, shift);
}
sql(q{CREATE FUNCTION noise(seed text, bytes int) RETURNS bytea LANGUAGE sql IMMUTABLE AS
	$$ SELECT substring(string_agg(sha512((seed || i)::bytea), '' ORDER BY i) FOR bytes) FROM generate_series(1, bytes / 64 + 1) i $$});

# ---------- on_consume: removed when all groups have them ----------
sql(q{SELECT prism.apply('{name: eaten, patterns: [{type: claim-check, threshold: 10kB, cleanup: on_consume}], consumers: [{group: first}, {group: second}]}')});
sql(q{SELECT prism.publish('eaten', noise('a' || i, 100000)) FROM generate_series(1, 3) i});
sql(q{BEGIN; SELECT prism.publish('eaten', noise('kept', 50000)); SAVEPOINT s; SELECT prism.publish('eaten', noise('never', 50000)); ROLLBACK TO s; COMMIT});
sql(q{BEGIN; SELECT prism.publish('eaten', noise('never', 50000)); ROLLBACK});
is(sql(metric('stored_total', 'eaten')), 4, 'what is committed is counted as stored');
is(sql(q{SELECT count(*), min(size), max(size), bool_and(stored_size = size AND state = 'stored' AND storage = 'postgres' AND compression = 'none') FROM prism.claims WHERE topic = 'eaten'}), '4|50000|100000|t', 'and listed');
cmp_ok(sql(metric('storage_bytes', 'eaten')), '>=', 350_000, 'with what it takes');
is(sql(metric('storage_bytes', 'eaten')), sql(q{SELECT payload_bytes FROM prism.topics WHERE topic = 'eaten'}), '... as prism.topics has it');
is(sql(q{SELECT count(*), bool_and(payload = noise('a' || ordinality, 100000)) FROM (SELECT payload, row_number() OVER () AS ordinality FROM (SELECT m.payload, prism.ack(m) FROM prism.consume('eaten', 'first', 3) m) x) y}), '3|t', 'one group has them');
is(sql(metric('retrieved_total', 'eaten')), 3, 'what was handed over is counted');
is(sql(metric('cleanup_success', 'eaten')), 0, 'nothing is removed');
sql(q{SELECT count(prism.ack(m)) FROM prism.consume('eaten', 'second', 4) m});
# another payload leaves the table that the last one lies in
maintain(metric('cleanup_success', 'eaten') =~ s/SELECT value/SELECT value >= 2/r, 't');
is(sql(q{SELECT bool_and(state = CASE WHEN position < (SELECT payload_cleaned FROM prism.topic WHERE name = 'eaten') THEN 'removed' ELSE 'stored' END), bool_or(state = 'stored' AND size = 50000) FROM prism.claims WHERE topic = 'eaten'}), 't|t', 'prism.claims says which ones are gone; what the first group has not yet is not');
cmp_ok(sql(metric('storage_bytes', 'eaten')), '<', 350_000, 'and their space has come back');

# ---------- what is removed is passed over, and can be looked at ----------
my $cleaned = sql(q{SELECT payload_cleaned FROM prism.topic WHERE name = 'eaten'});
is(sql(q{SELECT string_agg(length(payload)::text, ' ' ORDER BY position) FROM prism.consume('eaten', 'newcomer')}), join(' ', (100000) x (3 - $cleaned), 50000), 'a new group gets what is there');
$node->psql('postgres', q{SELECT prism.seek('eaten', 'second', 'earliest')}, stderr => \my $notice);
like($notice, qr/NOTICE:  messages below position $cleaned whose payloads lay beside the log are passed over/, 'seek says so');
is(sql(q{SELECT count(*) FROM prism.consume('eaten', 'second')}), 4 - $cleaned, '... and they are passed over');
is(sql(q{SELECT count(*) FROM prism.topics WHERE topic = 'eaten.dlq'}), 0, 'none becomes a dead letter');
is(sql(qq{SELECT count(*), bool_and(payload = '' AND headers ->> 'payload_size' = '100000' AND headers ? 'claim_check_id') FROM prism.read('eaten') WHERE position < $cleaned}), "$cleaned|t", 'read shows their messages without');
$node->restart;
is(sql(q{SELECT count(*) FROM prism.consume('eaten', 'second')}), 4 - $cleaned, 'likewise when a window is made anew');
is(sql(metric('stored_total', 'eaten')), 0, 'totals begin with the server');

# ---------- ttl: one that is taken when its time comes becomes a dead letter ----------
sql(q{SELECT prism.apply('{name: old, patterns: [{type: claim-check, threshold: 10kB, cleanup: {strategy: ttl, ttl: 1s}}], consumers: [{group: g}]}')});
sql(q{SELECT prism.publish('old', noise('taken', 100000))});
is(sql(q{BEGIN; SELECT length(payload) FROM prism.consume('old', 'g'); ROLLBACK}), 100000, 'a consumer has it, and gives it back');
sql(q{SELECT prism.publish('old', noise('late', 100000))});
wait_for_value($node, q{SELECT min(created_at) < clock_timestamp() - interval '1 s' FROM prism.claims WHERE topic = 'old'}, 't');
maintain(q{SELECT state FROM prism.claims WHERE topic = 'old' ORDER BY position LIMIT 1}, 'removed');
is(sql(q{SELECT count(*) FROM prism.consume('old', 'g') WHERE position = 0}), 0, 'its payload is gone when it is handed out again');
is(sql(q{SELECT headers ->> 'dead_letter_reason' FROM prism.read('old.dlq')}), q{its payload was deleted, as the "cleanup" of its namespace says}, '... which its dead letter says');

# ---------- also between what is finished and what is not ----------
sql(q{SELECT prism.apply('{name: gap, patterns: [{type: claim-check, threshold: 10kB, cleanup: {strategy: ttl, ttl: 1s}}], consumers: [{group: g}]}')});
sql(q{SELECT prism.publish('gap', 'small'::text)});
sql(q{SELECT prism.publish('gap', noise('large', 100000))});
sql(q{SELECT prism.publish('gap', 'behind'::text)});
wait_for_value($node, q{SELECT min(created_at) < clock_timestamp() - interval '1 s' FROM prism.claims WHERE topic = 'gap'}, 't');
maintain(q{SELECT state FROM prism.claims WHERE topic = 'gap'}, 'removed');
is(sql(q{SELECT string_agg(convert_from(payload, 'UTF8') || prism.ack(m), ' ' ORDER BY position) FROM prism.consume('gap', 'g') m WHERE convert_from(payload, 'UTF8') = 'behind'}), 'behind1', 'the last one is acknowledged, the first one is not');
$node->restart;
wait_for_value($node, q{SELECT in_flight FROM prism.groups WHERE topic = 'gap'}, 0);
is(sql(q{SELECT string_agg(convert_from(payload, 'UTF8'), ' ') FROM prism.consume('gap', 'g')}), 'small', 'the first one comes again, and nothing of what is removed');
is(sql(q{SELECT count(*) FROM prism.topics WHERE topic = 'gap.dlq'}), 0, 'none becomes a dead letter');

# ---------- switched off: what is there stays readable; its place is forgotten when nothing names it ----------
sql(q{SELECT prism.apply('{name: off, patterns: [{type: claim-check, threshold: 10kB}], consumers: [{group: g}]}')});
sql(q{SELECT prism.publish('off', noise('large', 100000))});
sql(q{SELECT prism.apply('{name: off, patterns: [], consumers: [{group: g}]}')});
sql(q{SELECT prism.publish('off', noise('plain', 100000))});
is(sql(q{SELECT count(*) FILTER (WHERE payload = noise('large', 100000)), count(*) FILTER (WHERE payload = noise('plain', 100000)) FROM prism.read('off')}), '1|1', 'claims are read when the pattern is gone');
is(sql(q{SELECT count(*) FROM prism.claims WHERE topic = 'off'}), 1, 'new payloads go through the log');
is(sql(q{SELECT count(*), count(retired_at) FROM prism.store JOIN prism.topic USING (topic_id) WHERE name = 'off'}), '1|1', 'the place is given up, and stays as long as a message names it');
is(sql(metric('stored_total', 'off')), 1, 'metrics stay as long as payloads are there');
sql(q{SELECT prism.apply('{name: off, patterns: [{type: claim-check, threshold: 10kB}], needs: {retention: 1s}, consumers: [{group: g}]}')});
sql(q{SELECT prism.publish('off', noise('again', 100000))});
is(sql(q{SELECT count(DISTINCT store_id) FROM prism.payload_segment JOIN prism.topic USING (topic_id) WHERE name = 'off' AND store_id = (chain -> 0 ->> 'store')::int}), 1, 'switched on again, they go to another place');
sql(q{SELECT prism.publish_batch('off', array_fill('fill'::text, ARRAY[3000]))});
maintain(q{SELECT count(*) > 0 FROM prism.segment JOIN prism.topic USING (topic_id) WHERE name = 'off' AND settled_at < clock_timestamp() - interval '1 s'}, 't');
maintain(q{SELECT dropped_end > 2 FROM prism.topic WHERE name = 'off'}, 't');
maintain(q{SELECT count(*) FROM prism.payload_segment s JOIN prism.store USING (store_id) JOIN prism.topic t ON t.topic_id = s.topic_id WHERE name = 'off' AND retired_at IS NOT NULL}, 0);
maintain(q{SELECT count(*) FROM prism.store JOIN prism.topic USING (topic_id) WHERE name = 'off'}, 1);
is(sql(q{SELECT count(*) FILTER (WHERE retired_at IS NULL) FROM prism.store JOIN prism.topic USING (topic_id) WHERE name = 'off'}), 1, 'the former one is forgotten with its messages');

# ---------- who sees them; what a dump has ----------
sql(q{CREATE ROLE reader LOGIN; CREATE ROLE stranger LOGIN; CREATE ROLE monitor LOGIN; GRANT pg_monitor TO monitor; SELECT prism.grant('eaten', 'read', 'reader')});
is(sql('SET ROLE reader; SELECT count(DISTINCT topic) FROM prism.claims'), 1, 'who may read sees the claims of his namespaces');
is(sql('SET ROLE monitor; SELECT count(DISTINCT topic) FROM prism.claims'), 4, 'so does who watches');
$node->psql('postgres', 'SET ROLE stranger; SELECT * FROM prism.claims', stderr => \my $error);
like($error, qr/permission denied for view claims/, 'nobody else');
$node->psql('postgres', 'SET ROLE reader; SELECT * FROM prism.store', stderr => \$error);
like($error, qr/permission denied for table store/, 'and nobody sees the catalogue');
sql('CREATE DATABASE copy');
$node->command_ok([ 'sh', '-c', '"$0" -d postgres | "$1" -X -q -v ON_ERROR_STOP=1 -d copy', $node->installed_command('pg_dump'), $node->installed_command('psql') ], 'a dump is restored');
my $stores = q{SELECT string_agg(s.store_id || ' ' || s.backend || ' ' || coalesce(s.retired_at::text, '-') || ' ' || (t.chain -> 0 ->> 'store'), ', ' ORDER BY store_id) FROM prism.store s JOIN prism.topic t USING (topic_id)};
is($node->safe_psql('copy', $stores), sql($stores), 'with the places of payloads and their numbers');

done_testing();
