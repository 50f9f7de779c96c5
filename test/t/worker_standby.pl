# Workers run on a primary only, and start upon promotion.
use PrismTest;

my $primary = prism_node('primary', streaming => 1);
my $workers = q{SELECT string_agg(backend_type, ', ' ORDER BY backend_type) FROM pg_stat_activity WHERE backend_type LIKE 'prism %'};
my $all = 'prism launcher, prism maintainer, prism manager';

wait_for_value($primary, $workers, $all);
$primary->backup('backup');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
$primary->safe_psql('postgres', 'CREATE DATABASE later');
$primary->safe_psql('later', 'CREATE EXTENSION prism');
$primary->wait_for_catchup($standby);

wait_for_value($standby, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walreceiver'}, 1);
is($standby->safe_psql('postgres', $workers), '', 'a standby that follows has no workers');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM prism.workers'), 0, 'and its prism.workers is empty');
is($standby->safe_psql('postgres', q{SELECT line, "column", message FROM prism.check('{nme: a}')}), '1|2|unknown key "nme"', 'a configuration can be checked there');
is(log_count($standby, 'prism'), log_count($standby, 'statement: .*prism'), 'its log does not speak of prism');

$standby->promote;
wait_for_value($standby, $workers, "prism launcher, prism maintainer, prism maintainer, prism manager, prism manager");
pass('promoted, it has workers in both databases');
wait_for_value($standby, q{SELECT count(*) = 5 AND bool_and(state = 'running') FROM prism.workers});
is(log_count($standby, 'ERROR|PANIC|background worker'), 0, 'without an error');
is($primary->safe_psql('postgres', q{SELECT count(*) FROM prism.workers WHERE state = 'running'}), 5, 'the primary keeps its own');

done_testing();
