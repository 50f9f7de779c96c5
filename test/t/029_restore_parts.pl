# Parts of a dump: the schema alone makes an empty prism that works, the data alone says what is missing.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PrismTest;

my $node = prism_node('main');
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

done_testing();
