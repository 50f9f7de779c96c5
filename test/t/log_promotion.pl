# A standby is promoted under load: the log goes on at positions that the lost tail can never have had.
use PrismTest;

use constant TIMELINE_STEP => 2**32;

my $primary = prism_node('primary', streaming => 1, conf => "prism.segment_messages = 1500\n");
$primary->safe_psql('postgres', q{SELECT prism.apply('namespaces: [{name: promoted, client_api: queue}, {name: quiet, client_api: queue}]')});
$primary->safe_psql('postgres', q{SELECT prism.apply('{name: sunk, client_api: queue, backend: memory}')});
wait_for_value($primary, q{SELECT state FROM prism.sinks}, 'running');
$primary->safe_psql('postgres', q{SELECT prism.publish('quiet', 'before')});
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;

sub last_position
{
	my ($node, $topic) = @_;
	return $node->safe_psql('postgres', "SELECT coalesce(max(\"position\"), -1) FROM prism.read('$topic', 0, 10000000)");
}

# What a standby can do.
$primary->safe_psql('postgres', q{SELECT prism.publish('promoted', 'first', 'k')});
$primary->wait_for_catchup($standby);
for (
	[ q{SELECT prism.publish('promoted', 'x')}, qr/25006: cannot publish during recovery\nHINT:  Connect to the primary/ ],
	[ q{SELECT prism.publish_batch('promoted', '{1}'::jsonb[])}, qr/25006: cannot publish during recovery\nHINT:  Connect to the primary/ ],
	[ q{INSERT INTO prism.outbox (topic, payload) VALUES ('promoted', 'x')}, qr/25006: / ],
	[ q{SELECT * FROM prism.read('promoted')}, qr/25006: .*\n.*\nHINT:  Connect to the primary/ ],
	[ q{SELECT * FROM prism.consume('promoted', 'g')}, qr/25006: / ],
	[ q{SELECT prism.publish('promotde', 'x')}, qr/42704: topic "promotde" does not exist/ ])
{
	my ($query, $error) = @$_;
	my ($status, $out, $err) = $standby->psql('postgres', "\\set VERBOSITY verbose\n$query");
	like($err, $error, "on a standby: $query");
}
is($standby->safe_psql('postgres', q{SELECT count(*) FROM prism.topics}), 3, 'on a standby the views answer');

# Load on the primary, written by two sessions all the time; the standby misses the end of it.
my $script = PostgreSQL::Test::Utils::tempdir() . '/load.sql';
append_to_file($script, "SELECT prism.publish('promoted', 'load', (random() * 9)::int::text);\n");
my $load = IPC::Run::start([ 'pgbench', '-n', '-T', 120, '-c', 2, '-f', $script, $primary->connstr('postgres') ], '>', \my $out, '2>', \my $err);
wait_for_value($primary, q{SELECT count(*) > 500 FROM prism.read('promoted', 0, 100000)});
wait_for_value($standby, 'SELECT pg_last_wal_replay_lsn() IS NOT NULL');
$standby->safe_psql('postgres', 'ALTER SYSTEM SET primary_conninfo = $$$$');
$standby->reload;
wait_for_value($standby, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walreceiver'}, 0);
my $cut_off_at = last_position($primary, 'promoted');
wait_for_value($primary, qq{SELECT count(*) > 200 FROM prism.read('promoted', $cut_off_at, 100000)});
$standby->promote;
wait_for_value($standby, 'SELECT NOT pg_is_in_recovery()');

# Publishers go on there at once, while the old primary is still being written to.
$standby->safe_psql('postgres', q{SELECT prism.publish('promoted', 'after the promotion', 'k')});
$load->kill_kill;
my $lost_up_to = last_position($primary, 'promoted');
my $kept_up_to = $standby->safe_psql('postgres', q{SELECT max("position") FROM prism.read('promoted', 0, 10000000) WHERE convert_from(payload, 'UTF8') <> 'after the promotion'});
my $new = last_position($standby, 'promoted');

note("kept up to $kept_up_to, lost up to $lost_up_to, goes on at $new");
cmp_ok($kept_up_to, '<', $lost_up_to, 'the end of the log is lost');
cmp_ok($new, '>', $lost_up_to, 'the new message has a position that the lost ones cannot have had');
cmp_ok($new, '>=', TIMELINE_STEP, 'one timeline step further');
cmp_ok($new, '<', TIMELINE_STEP + 1_000_000, 'and not more');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM prism.read('promoted', 0, 10000000)}),
	$primary->safe_psql('postgres', qq{SELECT count(*) + 1 FROM prism.read('promoted', 0, 10000000) WHERE "position" <= $kept_up_to}),
	'what the standby had received is there, without a gap');
is(log_count($standby, 'topic "promoted" goes on at a new timeline'), 1, 'the log says so once');

# A reader outside, whose position is that of a lost message, misses nothing that comes.
is($standby->safe_psql('postgres', qq{SELECT string_agg(convert_from(payload, 'UTF8'), ',') FROM prism.read('promoted', $lost_up_to + 1)}),
	'after the promotion', 'a reader that had read the lost end gets what comes');
# So does a topic that nobody wrote to meanwhile.
$standby->safe_psql('postgres', q{SELECT prism.publish('quiet', 'after')});
is($standby->safe_psql('postgres', q{SELECT string_agg(convert_from(payload, 'UTF8'), ',') FROM prism.read('quiet')}), 'before,after', 'a quiet topic goes on as well');
cmp_ok(last_position($standby, 'quiet'), '>=', TIMELINE_STEP, 'one step further');

# The lag counts messages. A restart does not step again.
$standby->safe_psql('postgres', q{SELECT prism.create_group('quiet', 'g', start => 'earliest')});
$standby->restart;
$standby->safe_psql('postgres', q{SELECT prism.publish('quiet', 'restarted')});
cmp_ok(last_position($standby, 'quiet'), '<', TIMELINE_STEP + 1_000_000, 'a restart does not step again');
wait_for_value($standby, q{SELECT lag_messages FROM prism.groups WHERE consumer_group = 'g'}, 3);
pass('the lag of a group counts messages, not the positions that were skipped');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM prism.consume('quiet', 'g')}), 3, 'and it gets them');
is(log_count($standby, 'PANIC|TRAP'), 0, 'without an accident');

# The same again: a standby of the promoted server.
$standby->safe_psql('postgres', 'ALTER SYSTEM RESET primary_conninfo');
$standby->backup('second');
my $third = PostgreSQL::Test::Cluster->new('third');
$third->init_from_backup($standby, 'second', has_streaming => 1);
$third->start;
$standby->wait_for_catchup($third);
$third->promote;
wait_for_value($third, 'SELECT NOT pg_is_in_recovery()');
$third->safe_psql('postgres', q{SELECT prism.publish('quiet', 'third')});
cmp_ok(last_position($third, 'quiet'), '>=', 2 * TIMELINE_STEP, 'a second promotion steps again');

# Its sinks go on where a promotion after the other has led, and stop where any of the timelines since was a recovery to a point in time.
my $history = $third->data_dir . '/pg_wal/00000003.history';
my $promotions = slurp_file($history);
sub state_with
{
	my ($recorded, $text) = @_;
	$third->append_conf('postgresql.conf', 'prism.enabled = off');
	$third->restart;
	$third->safe_psql('postgres', "UPDATE prism.installation SET timeline = $recorded");
	unlink $history;
	append_to_file($history, $text);
	$third->append_conf('postgresql.conf', 'prism.enabled = on');
	$third->restart;
	wait_for_value($third, q{SELECT state <> 'starting' FROM prism.sinks}, 't');
	return $third->safe_psql('postgres', q{SELECT state FROM prism.sinks});
}
wait_for_value($third, q{SELECT state FROM prism.sinks}, 'running');
is($third->safe_psql('postgres', 'SELECT timeline FROM prism.installation'), 3, 'a sink goes on after promotions');
is(state_with(1, $promotions), 'running', 'after two of them as well');
my ($first, $second) = $promotions =~ /^(1\t.*\t)no recovery target specified\n+(2\t.*\t)no recovery target specified\n/ or die $promotions;
is(state_with(1, "${first}before 2026-01-01 00:00:00+00\n\n${second}no recovery target specified\n"), 'paused: rewound', 'a promotion after a recovery to a time hides nothing');
is(state_with(2, "${first}before 2026-01-01 00:00:00+00\n\n${second}no recovery target specified\n"), 'running', 'but what was before counts no more');
is(state_with(1, "${first}no recovery target specified\n\n${second}at restore point \"no recovery target specified\"\n"), 'paused: rewound', 'nor does the name of a restore point');
is(state_with(1, "${second}no recovery target specified\n"), 'paused: rewound', 'a timeline that is not in the history is not ours');

done_testing();
