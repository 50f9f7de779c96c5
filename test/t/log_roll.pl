# A segment left because of its age: the counter jumps to the next one, and no restart goes back before the jump.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PrismTest;

my $segment_messages = 1048576;    # far more than a step of the mark
my $node = prism_node('main', conf => "prism.retention = -1\nprism.segment_messages = $segment_messages\n");

$node->safe_psql('postgres', q{SELECT prism.apply('{name: slow, client_api: queue}')});
$node->safe_psql('postgres', q{SELECT prism.publish('slow', 'old') FROM generate_series(1, 3)});

# What was published hours ago into a segment that was there: VACUUM, as its age is read from the rows as they came.
my $segment = $node->safe_psql('postgres',
	q{SELECT 'prism_log.topic_' || topic_id || '_0' FROM prism.topic WHERE name = 'slow'});
$node->safe_psql('postgres', "UPDATE $segment SET created_at = created_at - interval '3 hours'");
$node->safe_psql('postgres', "VACUUM $segment");
$node->safe_psql('postgres', q{UPDATE prism.segment SET created_at = created_at - interval '3 hours'});
$node->append_conf('postgresql.conf', "prism.retention = '8h'");
$node->restart;
wait_for_value($node, q{SELECT next_position FROM prism.topics WHERE topic = 'slow'}, $segment_messages);

# A position derived from the end of the log lies at the jump.
$node->safe_psql('postgres', q{SELECT prism.create_group('slow', 'late', 'latest')});

# Without a maintainer, who finds no place beside the manager, nobody rolls again after the crash.
$node->append_conf('postgresql.conf', 'prism.max_workers = 1');
$node->stop('immediate');
$node->start;
$node->safe_psql('postgres', q{SELECT prism.publish('slow', 'new')});
cmp_ok($node->safe_psql('postgres', q{SELECT max("position") FROM prism.read('slow')}),
	'>=', $segment_messages, 'a restart goes on behind the jump');
is($node->safe_psql('postgres', q{SELECT convert_from(payload, 'UTF8') FROM prism.consume('slow', 'late')}),
	'new', 'so a consumer that waits at the end gets what comes');

done_testing();
