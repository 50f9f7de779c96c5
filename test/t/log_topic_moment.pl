# What is seen of a topic while it is made or dropped: a commit is visible a moment before others hear of what it did
# to the catalogue, and whoever looks just then must not take the topic for gone, nor keep a place for one that is.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PrismTest;

my $node = prism_node('main', preload => commit_fault_library() . ', prism');

sub sql { return $node->safe_psql('postgres', $_[0]); }

# A session that has made a topic; its commit is visible for a while before it ends.
sub make
{
	my ($name) = @_;
	my $maker = $node->background_psql('postgres');

	$maker->query_safe(q{BEGIN; SET LOCAL commit_fault.settled_ms = 3000});
	$maker->query_safe("SELECT prism.apply('{name: $name, client_api: queue}')");
	return $maker;
}

sub commit_slowly
{
	my ($maker, $name) = @_;

	$maker->query_until(qr/^/, "COMMIT;\n");
	wait_for_value($node, "SELECT count(*) FROM prism.topic WHERE name = '$name'", 1);
	return;
}

# ---------- the scheduler ----------

sql(q{SELECT prism.apply('{name: far, client_api: queue}')});
my $maker = make('made');
$maker->query_safe(q{SELECT prism.publish('made', 'soon', deliver_at => clock_timestamp() + interval '100 ms')});
commit_slowly($maker, 'made');
$maker->query_safe('SELECT 1');
$maker->quit;
wait_for_value($node, q{SELECT string_agg(convert_from(payload, 'UTF8'), ' ') FROM prism.read('made', 0)}, 'soon');
pass('a delayed message whose topic was made in its transaction is delivered');

# Half of a topic, as a restore leaves it for a while: who has messages for it keeps them.
sql(q{SELECT prism.apply('{name: half, client_api: queue}')});
my $mark = sql(q{SELECT format('topic_%s_mark', topic_id) FROM prism.topic WHERE name = 'half'});
sql(qq{BEGIN; SELECT prism.publish('half', 'kept', deliver_at => clock_timestamp() + interval '100 ms');
	ALTER SEQUENCE prism_log.$mark RENAME TO elsewhere; COMMIT});
sql(q{SELECT prism.publish('far', 'later', deliver_at => clock_timestamp() + interval '200 ms')});
wait_for_value($node, q{SELECT count(*) FROM prism.read('far', 0)}, 1);
sql("ALTER SEQUENCE prism_log.elsewhere RENAME TO $mark");
wait_for_value($node, q{SELECT string_agg(convert_from(payload, 'UTF8'), ' ') FROM prism.read('half', 0)}, 'kept');
pass('a delayed message waits for a topic that is not complete yet');

# ---------- a session ----------

$maker = make('young');
my $session = $node->background_psql('postgres');
$session->query_safe(q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT prism.publish('far', 'x')});
commit_slowly($maker, 'young');
is($session->query_safe(q{SELECT prism.publish('young', 'x') IS NOT NULL}), 't', 'a topic is there as soon as it is seen');
$session->query_safe('COMMIT');
$session->quit;
$maker->quit;
is(sql(q{SELECT count(*) FROM prism.read('young', 0)}), 1, 'and has its message');

# ---------- places in shared memory ----------

# Who looks a topic up has read its row when its drop commits.
sql(q{SELECT prism.apply('{name: brief, client_api: queue}')});
my $used = sql(q{SELECT substring(hint, '^[0-9]+') FROM prism.doctor() WHERE item = 'prism.max_topics'});
my $dropper = $node->background_psql('postgres');
$dropper->query_safe('BEGIN; LOCK TABLE prism.namespace IN ACCESS EXCLUSIVE MODE');
my $seeker = $node->background_psql('postgres', on_error_stop => 0);
$seeker->query_until(qr/^/, "SELECT prism.publish('brief', 'x');\n");
wait_for_value($node, q{SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'prism.namespace'::regclass}, 1);
$dropper->query_safe(q{SELECT prism.drop_namespace('brief')});
$dropper->query_safe('COMMIT');
$dropper->quit;
$seeker->query(q{SELECT 1});
like($seeker->{stderr}, qr/topic "brief" does not exist/, 'who finds it dropped is told');
$seeker->quit;
is(sql(q{SELECT substring(hint, '^[0-9]+') FROM prism.doctor() WHERE item = 'prism.max_topics'}), $used - 1,
	'a look-up that meets a drop keeps no place');

done_testing();
