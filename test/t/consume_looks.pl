# Who only looks at groups takes no place (prism.max_groups) from those who consume, also when the look comes to nothing.
use PrismTest;

my $node = prism_node('main', conf => "prism.max_groups = 4\n");
sub sql { return $node->safe_psql('postgres', $_[0]); }

sql(q{SELECT prism.apply('namespaces: [{name: t, client_api: queue}, {name: u, client_api: queue}]')});
sql(q{SELECT count(prism.publish(t, 'm' || i)) FROM unnest('{t,u}'::text[]) AS t, generate_series(1, 10) AS i});
# What they have not finished lies before what they have: to know it, somebody has to read the log.
sql("SELECT count(prism.ack(m)) FROM (SELECT m FROM prism.consume('t', 'g$_', 5) m OFFSET 3) x") for 1 .. 4;
$node->restart;
my $locker = $node->background_psql('postgres');
$locker->query_safe('BEGIN; LOCK TABLE prism_log.topic_' . sql(q{SELECT topic_id FROM prism.topic WHERE name = 't'}) . '_0 IN ACCESS EXCLUSIVE MODE');
is(sql('SELECT count(*) FROM prism.groups'), 4, 'groups are looked at whose log somebody has locked');
is(sql(q{SELECT count(*) FROM prism.consume('u', 'x', 1)}), 1, 'a consumer gets a place all the same');
$locker->query_safe('ROLLBACK');
$locker->quit;
is(sql(q{SELECT count(*) FROM prism.consume('t', 'g1', 10)}), 8, 'and so does one of theirs');

# Groups that have more unfinished messages than the window holds now.
sql("SELECT prism.drop_group('u', 'x')");
sql("SELECT count(prism.publish('t', 'm')) FROM generate_series(1, 40)");
sql("SELECT count(prism.ack(m)) FROM (SELECT m FROM prism.consume('t', 'g$_', 50) m OFFSET 45) x") for 2 .. 4;
$node->append_conf('postgresql.conf', "prism.group_window = 16\n");
$node->restart;
sql('SELECT count(*) FROM prism.groups; SELECT count(*) FROM prism.groups');
is(sql("SELECT count(*) FROM prism.consume('u', 'x$_', 1)"), 1, "those that cannot be loaded are in nobody's way: $_") for 1 .. 4;
done_testing();
