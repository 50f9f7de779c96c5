# Consumers that come all at once behind a restart: one of them reads what the group has done, the others wait for it,
# also when what it reads is a large record, which lies out of line, or cannot be fetched any more.
use PrismTest;

use constant CONSUMERS => 6;
use constant MESSAGES => 8000;

my $node = prism_node('main');

sub sql { return $node->safe_psql('postgres', $_[0]) }

sql(q{SELECT prism.apply('{name: work, client_api: queue}')});
sql("SELECT count(prism.publish('work', 'x')) FROM generate_series(1, @{[MESSAGES]})");
sql(q{SELECT prism.create_group('work', 'g', 'earliest'), prism.create_group('work', 'small', 'earliest')});

# 1,600 of 4,000, here and there: that makes a record too large for a row; what comes after it takes its time to be read.
sql(q{
	DO $$
	DECLARE p bigint[];
	BEGIN
		SELECT array_agg(m.position ORDER BY m.position) INTO p FROM prism.consume('work', 'g', 4000, '1 hour') m;
		PERFORM prism.ack('work', 'g', ARRAY(SELECT x FROM unnest(p) WITH ORDINALITY u (x, n) WHERE n % 3 <> 0 AND (n * 7919) % 5 < 3));
	END $$;
	DO $$ BEGIN FOR i IN 1 .. 4000 LOOP PERFORM prism.ack(m) FROM prism.consume('work', 'small', 1) m; COMMIT; END LOOP; END $$;
});
sub segment { return sql("SELECT format('prism_log.topic_%s_0', topic_id) FROM prism.topic WHERE name = '$_[0]'") }
my $toast = sql(sprintf "SELECT reltoastrelid FROM pg_class WHERE oid = '%s'::regclass", segment('__prism_progress'));
my $file = $node->data_dir . '/' . sql("SELECT pg_relation_filepath($toast)");
cmp_ok(sql("SELECT pg_relation_size($toast)"), '>', 0, 'a record of the progress log lies out of line');

# (rows, positions among them, what each is told) of sessions that consume at once
sub consume_at_once
{
	my $out = $node->basedir . '/out';
	my @pids = map {
		my $number = $_;
		my $pid = fork // die "fork: $!";
		if ($pid == 0)
		{
			open STDERR, '>', "$out.$number.err";
			exec 'psql', '-XqAt', '-o', "$out.$number", '-d', $node->connstr('postgres'), '-c', q{SELECT m.position FROM prism.consume('work', 'g', 300, '1 hour') m};
		}
		$pid;
	} 1 .. CONSUMERS;
	waitpid $_, 0 for @pids;
	my @rows = map { split /\n/, slurp_file("$out.$_") } 1 .. CONSUMERS;
	my %positions = map { $_ => 1 } @rows;
	return (scalar @rows, scalar keys %positions, map { slurp_file("$out.$_.err") } 1 .. CONSUMERS);
}

my $all = 300 * CONSUMERS;
for my $round (1 .. 2)
{
	$node->restart;
	my ($rows, $positions, @errors) = consume_at_once();
	is("$rows $positions " . join('', @errors), "$all $all ", "restart $round: no message is handed to two sessions");
}

# Only its chunks are damaged, so that it is fetching them what fails. Then the reader looks for the group's messages: there
# it has to wait for a lock, so that the others come in the meantime.
$node->stop;
open(my $page, '+<', $file) or die "$file: $!";
print $page 'x' x 8192;
close($page);
$node->start;
my $holder = $node->background_psql('postgres');
$holder->query_safe("BEGIN; LOCK TABLE " . segment('work'));
my @consumers = map { $node->background_psql('postgres') } 1 .. 3;
for my $consumer (@consumers)
{
	$consumer->query_until(qr/begun/, qq{\\echo begun\nSELECT m.position FROM prism.consume('work', 'g', 300, '1 hour') m;\n\\echo ended\n});
}
my $waits = q{FROM pg_stat_activity WHERE backend_type = 'client backend' AND query ~ 'prism.consume' AND pid <> pg_backend_pid()};
wait_for_value($node, "SELECT count(wait_event_type) = 3 AND bool_or(wait_event_type = 'Lock') $waits");
is(sql("SELECT string_agg(CASE wait_event_type WHEN 'Lock' THEN 'reads' ELSE 'waits' END, ' ' ORDER BY wait_event_type DESC) $waits"), 'reads waits waits', 'a record that cannot be fetched is no reason to read it twice');
$holder->query_safe('COMMIT');
my %seen;
for my $consumer (@consumers)
{
	$seen{$_}++ for grep { /^\d+$/ } split /\n/, $consumer->query_until(qr/ended/, '');
}
$_->quit for $holder, @consumers;
is(join(' ', scalar keys %seen, grep { $seen{$_} > 1 } keys %seen), 900, 'nor to hand out a message twice');
is(log_count($node, 'message \d+ of topic "__prism_progress" is damaged'), 1, 'the log is told of it');

done_testing();
