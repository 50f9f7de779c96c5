# needs.durability: a commit that publishes to a durable topic is on disk when it returns, also where the session
# would not have waited for that; any other commit is left as it is.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PrismTest;

use constant COMMITS => 20;

my $node = prism_node('main', conf => <<'CONF');
synchronous_commit = off
prism.max_workers = 1
autovacuum = off
checkpoint_timeout = 1h
CONF

for my $needs ('durability: strong', 'durability: relaxed', 'replay: enabled')
{
	my ($word) = $needs =~ /(\w+)$/;
	$node->safe_psql('postgres', "SELECT prism.apply('{name: $word, needs: {$needs}}')");
}
$node->safe_psql('postgres', q{SELECT prism.apply('{name: queue, pattern: durable-queue}')});
# The first message of a topic moves its counter's mark, which is flushed; so does the journal of delayed ones.
$node->safe_psql('postgres', q{SELECT prism.publish('enabled', 'x', deliver_at => now() + interval '1 day')});
$node->safe_psql('postgres', "SELECT prism.publish('$_', 'x')") for qw(strong relaxed enabled queue);
$node->safe_psql('postgres', 'CREATE TABLE plain (n integer)');

# The WAL writer would flush by itself now and then.
my $walwriter = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'});
kill STOP => $walwriter or die $!;

# How many of the commits were flushed when they returned.  What is flushed is beyond the place at which the
# transaction's last row was written only if its commit record is.
sub flushed
{
	my ($work, $end) = @_;
	my $commit = "BEGIN; $work; INSERT INTO plain VALUES (1);"
	  . " SELECT pg_current_wal_insert_lsn() AS lsn \\gset\n" . ($end // 'COMMIT') . ";\n"
	  . "SELECT pg_current_wal_flush_lsn() > :'lsn';\n";
	my $answers = $node->safe_psql('postgres', "\\pset tuples_only on\n" . $commit x COMMITS);
	return scalar(() = $answers =~ /^t$/mg);
}

sub publish { return "SELECT prism.publish('$_[0]', 'x') IS NULL" }

is(flushed('SELECT 1'), 0, 'a commit that publishes nothing is not flushed');
is(flushed(publish('enabled')), 0, 'nor is one to a topic that says nothing');
is(flushed(publish('relaxed')), 0, 'nor one to a topic that is relaxed');
is(flushed(publish('strong')), COMMITS, 'one to a durable topic is');
is(flushed(publish('queue')), COMMITS, 'one to a durable queue is');
is(flushed(q{SELECT prism.publish('strong', 'x', deliver_at => now() + interval '1 day') IS NULL}), COMMITS,
	'so is one that will be delivered later');
is(flushed(publish('enabled') . '; ' . publish('strong')), COMMITS, 'one of two topics is enough');
is(flushed('SAVEPOINT s; ' . publish('strong') . '; ROLLBACK TO s'), 0, 'what a savepoint took back does not count');
is(flushed(publish('strong'), 'ROLLBACK'), 0, 'nor what was rolled back');

# Changed while sessions have it in their caches.
my $session = $node->background_psql('postgres');
$session->query_safe(publish('enabled'));
$node->safe_psql('postgres', q{SELECT prism.apply('{name: enabled, needs: {durability: strong}}')});
$session->query_safe('BEGIN; ' . publish('enabled') . '; INSERT INTO plain VALUES (2)');
my $lsn = $session->query_safe('SELECT pg_current_wal_insert_lsn()');
$session->query_safe('COMMIT');
is($session->query_safe("SELECT pg_current_wal_flush_lsn() > '$lsn'"), 't', 'a change of the namespace counts at once');
$session->quit;

kill CONT => $walwriter or die $!;
done_testing();
