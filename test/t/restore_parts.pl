# Parts of a dump: the schema alone makes an empty prism that works, the data alone says what is missing; of all parts,
# one after the other while prism's workers are at work, comes what was dumped.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PrismTest;

my $node = prism_node('main', conf => "prism.segment_messages = 1024\n");
$node->safe_psql('postgres', q{
	SELECT prism.apply('{name: t, client_api: queue}');
	SELECT prism.publish('t', 'message');
	SELECT count(prism.ack(m)) FROM prism.consume('t', 'g') m});

my $dump = $node->basedir . '/part.dump';
sub restore
{
	my ($database, $part, @extension) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, 'CREATE EXTENSION prism') if @extension;
	system_or_bail('pg_dump', $part, '-Fc', '-f', $dump, '-d', $node->connstr('postgres'));
	system('pg_restore', '-d', $node->connstr($database), $dump);    # of data alone: with errors
	return;
}

restore('schema_alone', '--schema-only');
is( $node->safe_psql('schema_alone', q{
		SET client_min_messages = warning;
		SELECT count(*) FROM prism.apply('{name: fresh, client_api: queue}');
		SELECT count(prism.publish('fresh', 'x')) FROM generate_series(1, 3);
		SELECT count(*) FROM prism.read('fresh')}), "1\n3\n3", 'a namespace is made beside what the schema brought');

restore('data_alone', '--data-only', 'extension');
my ($code, $output, $error) = $node->psql('data_alone', q{SELECT prism.publish('t', 'x')});
like($error, qr/topic "t" has lost its sequence in schema prism_log.*HINT:  Restore the whole dump/s,
	'data without tables: the error says so');

# Indexes come last. Who looks before that learns nothing wrong, and does not make the workers fail.
$node->safe_psql('postgres', q{
	SELECT prism.apply('{name: kept, needs: {retain: consumers, max_backlog: 100, on_full: reject}}');
	SELECT prism.create_group('kept', 'behind', 'earliest');
	SELECT prism.publish('kept', 'x') FROM generate_series(1, 80)});
# Only the progress log says how far this group is, in a segment that is full when the restore is over.
$node->safe_psql('postgres', q{
	SELECT prism.apply('{name: far, client_api: queue}');
	DO $$ BEGIN FOR i IN 1 .. 30 LOOP PERFORM prism.publish('far', 'x'); END LOOP; END $$});
$node->safe_psql('postgres', q{SELECT count(prism.ack(m)) FROM prism.consume('far', 'g', 20) m});
my $position = q{SELECT position FROM prism.groups WHERE topic = 'far' AND consumer_group = 'g'};
is($node->safe_psql('postgres', $position), 20, 'a group is in the midst of a topic');
system_or_bail('pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr('postgres'));
$node->safe_psql('postgres', "DROP DATABASE $_ WITH (FORCE)") for 'schema_alone', 'data_alone';	# their workers have places
$node->safe_psql('postgres', 'CREATE DATABASE parts');
my $lag = q{SELECT lag_messages FROM prism.groups WHERE topic = 'kept' AND consumer_group = 'behind'};
my $jump = q{SELECT min(from_offset) FROM prism.jump j JOIN prism.topic t USING (topic_id) WHERE t.name = 'kept'};
# It is woken, and has come to the end of its round.
sub maintainer_looks
{
	worker_pid($node, 'prism maintainer', database => 'parts');
	my $woken = $node->safe_psql('parts', 'SELECT clock_timestamp()');
	$node->safe_psql('parts', 'SELECT prism.wake_workers()');
	return wait_for_value($node, "SELECT state = 'idle' AND wait_event_type = 'Extension' AND state_change > '$woken' FROM pg_stat_activity WHERE backend_type LIKE 'prism maintainer%' AND datname = 'parts'", 't', 'parts');
}
# Marks, which are sequences, come after all rows.
my %parts;
my ($contents) = run_command([ 'pg_restore', '-l', '--section=data', $dump ]);
push @{ $parts{/ SEQUENCE SET / ? 'data' : 'rows'} }, $_ for grep { !/^;/ } split /\n/, $contents;
append_to_file("$dump.$_", join("\n", @{ $parts{$_} }, '')) for keys %parts;
sub refused
{
	my ($statement, $what) = @_;
	(undef, undef, my $refusal) = $node->psql('parts', "\\set VERBOSITY verbose\nSELECT $statement");
	like($refusal, qr/ERROR:  55000.*HINT:.*restore that is under way/s, "not while $what: $statement");
	return;
}
my $early = $node->background_psql('parts');
for my $section ('pre-data', 'rows', 'data', 'post-data')
{
	system_or_bail('pg_restore', ($parts{$section} ? ('-L', "$dump.$section") : "--section=$section"), '-d', $node->connstr('parts'), $dump);
	if ($section eq 'rows')
	{
		refused(q{* FROM prism.consume('far', 'g')}, 'marks are missing');
		refused(q{prism.publish('far', 'x')}, 'marks are missing');
	}
	maintainer_looks();
	wait_for_value($node, $jump, 80, 'parts') if $section eq 'post-data';
	$early->query_safe(qq{SELECT count(*) FROM prism.topics; $lag; $position}) if $section ne 'pre-data';
	if ($section eq 'data')
	{
		refused("count(*) FROM prism.$_", 'indexes are missing') for q{read('far')}, q{consume('far', 'g')};
	}
}
pass('the maintainer found what was skipped behind the messages');
is($early->query_safe($lag), 80, 'who looked early sees how far the group is behind');
$early->quit;
is($node->safe_psql('parts', $position), 20, 'the position of a group is what it was');
is($node->safe_psql('parts', q{SELECT string_agg(m.position::text, ' ') FROM prism.consume('far', 'g', 100) m}), join(' ', 20 .. 29), 'and its messages come');
is($node->safe_psql('parts', $lag), 80, 'the group is behind by the messages that were restored');
is($node->safe_psql('parts', q{SELECT count(*) FROM prism.read('kept')}), 80, 'which are there');
($code, $output, $error) = $node->psql('parts', q{SELECT prism.publish('kept', 'x') FROM generate_series(1, 21)});
like($error, qr/topic "kept" is full.*has not finished 80 messages/s, 'so max_backlog is enforced');
$node->safe_psql('parts', q{SELECT prism.publish('kept', 'x') FROM generate_series(1, 20)});
$node->restart('immediate');
is($node->safe_psql('parts', $lag), 100, 'also after a crash');
is(log_count($node, 'already exists'), 0, 'the maintainer made no segment that was being restored');

done_testing();
