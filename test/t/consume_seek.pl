# Where a group was sent to is part of its state: it survives a crash, and nothing of before counts after it.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PrismTest;

my $node = prism_node('main');
$node->safe_psql('postgres', q{SELECT prism.apply('{name: moved, client_api: queue}')});
$node->safe_psql('postgres', q{SELECT count(prism.publish('moved', n::text)) FROM generate_series(1, 2000) n});
$node->safe_psql('postgres', q{SELECT count(prism.ack(m)) FROM prism.consume('moved', 'g', 1500) AS m});

$node->safe_psql('postgres', q{SELECT prism.seek('moved', 'g', 1000)});
is($node->safe_psql('postgres', q{SELECT array_agg("position") FROM prism.consume('moved', 'g', 2)}),
	'{1000,1001}', 'it goes on there');
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', q{SELECT "position" FROM prism.consume('moved', 'g', 1)}), '1000', 'after a crash too');

# Records of the time before it do not count, in whichever order checkpoints and acknowledgements come.
$node->safe_psql('postgres', q{SELECT count(prism.ack(m)) FROM prism.consume('moved', 'g', 10000) AS m});
$node->safe_psql('postgres', q{BEGIN; SELECT prism.seek('moved', 'g', 7); ROLLBACK; SELECT prism.seek('moved', 'g', 5)});
$node->safe_psql('postgres', q{SELECT count(prism.ack(m)) FROM prism.consume('moved', 'g', 3) AS m});
$node->restart;
is($node->safe_psql('postgres', q{SELECT "position" FROM prism.groups WHERE topic = 'moved'}), '8', 'the acknowledgements since then count, no others');
is($node->safe_psql('postgres', q{SELECT min("position"), count(*) FROM prism.consume('moved', 'g', 10000)}),
	'8|1992', 'and everything behind them comes again');

done_testing();
