# Transactions that take hours: retention counts from commits, and a time is found in a log whose times do not ascend.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PrismTest;

shift_clock(0);
my $node = prism_node('main', conf => "prism.segment_messages = 1024\nprism.retention = 0\n");

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub publish
{
	my ($topic, $count) = @_;
	sql("SELECT count(prism.publish('$topic', 'fresh')) FROM generate_series(1, $count)");
	return;
}

sub oldest { return sql("SELECT min(segment_number) FROM prism.segment JOIN prism.topic USING (topic_id) WHERE name = '$_[0]'"); }

# The maintainer goes through the topics in the order in which they were made: when the witness has lost its oldest
# segment twice, it has looked at all others since.
sub maintain
{
	for (1 .. 2)
	{
		my $before = oldest('witness');
		publish('witness', 1024) for 1 .. 2;
		wait_for_value($node, "SELECT min(segment_number) > $before FROM prism.segment JOIN prism.topic USING (topic_id) WHERE name = 'witness'");
	}
	return;
}

# Nothing goes by a policy that is not in force any more when it is to go. The maintainer has decided, and is held up by
# prism.sink before it takes the row of the topic.
sql(q{SELECT prism.apply('{name: changed, client_api: queue, needs: {retention: 1h}}'); SELECT prism.apply('{name: witness, client_api: queue}')});
publish('changed', 1100);
maintain();
my $applier = $node->background_psql('postgres');
$applier->query_safe(q{BEGIN; SELECT prism.apply('{name: changed, client_api: queue, needs: {retention: forever}}'); LOCK TABLE prism.sink IN ACCESS EXCLUSIVE MODE});
shift_clock(2 * 3600);
publish('witness', 1024) for 1 .. 2;
wait_for_value($node, q{SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND l.relation = 'prism.sink'::regclass AND a.backend_type = 'prism maintainer'}, 1);
$applier->query_safe('COMMIT');
$applier->quit;
maintain();
is(oldest('changed'), 0, 'what a longer retention keeps does not go while it comes into force');
shift_clock(0);

sql(q{SELECT prism.apply('{name: kept, client_api: queue, needs: {retention: 1h}}');
	SELECT prism.apply('{name: sought, client_api: queue, needs: {retention: forever}}')});

# A segment that is full of what was just published, and its last message, of hours ago, is committed last.
my $slow = $node->background_psql('postgres');
$slow->query_safe(q{BEGIN; SELECT prism.publish('kept', 'slow'); SELECT count(prism.publish('sought', 'slow')) FROM generate_series(1, 100)});
sql(q{SELECT prism.publish('sought', 'before') FROM generate_series(1, 5)});
shift_clock(2 * 3600);
publish('kept', 1023);
publish('sought', 1) for 1 .. 30;
$slow->query_safe('COMMIT');
$slow->quit;
publish('sought', 1) for 1 .. 30;
publish('kept', 10);
is(sql(q{SELECT max("position") FILTER (WHERE payload = 'slow') FROM prism.read('kept', 0, 2000)}), 1023, 'what is oldest was committed last');
maintain();
is(oldest('kept'), 0, 'fresh messages are not dropped with one that was published long ago');
is(sql(q{SELECT count(*) FROM prism.read('kept', 0, 2000)}), 1034, 'not one of them');
shift_clock(3.5 * 3600);
maintain();
is(oldest('kept'), 1, 'they are when they are as old themselves');
is(sql(q{SELECT dropped_until > clock_timestamp() - interval '2 h' FROM prism.topics WHERE topic = 'kept'}), 't', 'and it is told until when');

# Half of a log is one transaction that took hours.
sql(q{SELECT prism.create_group('sought', 'g')});
is(sql(q{SELECT prism.seek('sought', 'g', (min(created_at) - interval '1 min')::text) FROM prism.read('sought', 0, 1000) WHERE payload = 'fresh'}), 5,
	'a time is found before a transaction that began before it and ended behind it');

# A page that cannot be read keeps nothing for ever: what is past goes, unread. What came two hours later is fresh.
sql(q{SELECT prism.apply('{name: torn, client_api: queue, needs: {retention: 2h}}')});
publish('torn', 1024);
maintain();
shift_clock(5.4 * 3600);
publish('torn', 76);
my $torn = sql(q{SELECT format('%s|%s', topic_id, pg_relation_filepath(format('prism_log.topic_%s_0', topic_id))) FROM prism.topic WHERE name = 'torn'});
$node->stop;
open(my $page, '+<', $node->data_dir . '/' . (split /\|/, $torn)[1]) or die "$torn: $!";
print $page 'x' x 8192;
close($page);
$node->start;
shift_clock(6 * 3600);
maintain();
is(oldest('torn'), 1, 'a segment that cannot be read is dropped when it is past');
is(sql(q{SELECT dropped_end = 1024 AND dropped_until BETWEEN clock_timestamp() - interval '3 h' AND clock_timestamp() - interval '2 h' FROM prism.topic WHERE name = 'torn'}), 't',
	'and all of it is told as lost, until when it was settled');
is(sql(q{SELECT count(*) FROM prism.read('torn', NULL, 2000)}), 76, 'what is behind it is there');

done_testing();
