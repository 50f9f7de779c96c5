# The specification's configurations as they are written there (test/rfc): which are taken today, and what is said of the others.
use PrismTest;

use File::Basename qw(basename dirname);

# What a file gives: its patterns and its back end; or the error, the same of plan and apply, with its place.
my %gives = (
	'01_durable_queue.yaml' => 'wal -> postgres',
	'02_large_payload.yaml' => lacks_store('it is named', 'patterns [claim-check], backends [postgres, s3]', 7, 24),
	'03_transactional.yaml' => 'outbox -> postgres',
	'04_change_capture.yaml' => waits('cdc', 'named in cdc', 'patterns [cdc], backends [postgres, kafka]', 6, 5),
	'05_outbox_and_claim_check.yaml' => 'outbox, claim-check -> postgres',
	'06_cache_and_capture.yaml' => waits('cache', 'named in cache', 'patterns [cdc, cache], backends [postgres, redis]', 6, 5) . also('cdc', 11, 5),
	'07_needs.yaml' => lacks_store('messages go to kafka, and their readers have to reach the payloads', 'patterns [wal, outbox, claim-check, tiered-storage], backends [kafka, s3, postgres], 10 partitions', 6, 25),
	'08_three_layers.yaml' => lacks_store('it is named', 'patterns [outbox, claim-check], backends [kafka, s3, postgres]', 11, 18),
	'09_claim_check.yaml' => lacks_store('it is named', 'patterns [claim-check], backends [kafka, s3, postgres]', 9, 20),
	'10_outbox_then_claim_check.yaml' => lacks_store('it is named', 'patterns [outbox, claim-check], backends [kafka, s3, postgres]', 18, 20),
	'11_cache_invalidation.yaml' => waits('cache', 'named in patterns', 'patterns [cdc, cache], backends [postgres, kafka, redis]', 7, 15) . also('cdc', 14, 15),
	'12a_asked.yaml' => lacks_store('messages go to kafka, and their readers have to reach the payloads', 'patterns [outbox, claim-check, tiered-storage], backends [kafka, s3, postgres], 20 partitions', 5, 21),
	'12b_generated.yaml' => lacks_store('messages go to kafka, and their readers have to reach the payloads', 'patterns [outbox, claim-check, tiered-storage], backends [kafka, s3, postgres], 20 partitions', 7, 15) . also('tiered-storage', 8, 15),
	'13_schema.yaml' => lacks_store('it is named', 'patterns [outbox, claim-check], backends [kafka, s3, postgres], 10 partitions', 23, 22),
	'14a_before.yaml' => ' -> kafka',
	'14b_phase_1.yaml' => lacks_store('messages go to kafka, and their readers have to reach the payloads', 'patterns [claim-check], backends [kafka, s3, postgres]', 4, 11),
	'15_phase_2.yaml' => lacks_store('messages go to kafka, and their readers have to reach the payloads', 'patterns [outbox, claim-check], backends [kafka, s3, postgres]', 4, 11),
	'16_phase_3.yaml' => lacks_store('messages go to kafka, and their readers have to reach the payloads', 'patterns [outbox, claim-check, tiered-storage, cdc], backends [kafka, s3, postgres]', 4, 11) . also('tiered-storage', 5, 11) . also('cdc', 6, 11),
	'17_end_to_end.json' => lacks_store('it is named', 'patterns [outbox, claim-check], backends [kafka, s3, postgres]', 6, 68),
);

# Of these check() says nothing: where their messages go is chosen by the servers of the database.
my %chosen_there = map { $_ => 1 } qw(07_needs.yaml 12a_asked.yaml);

my $folder = dirname(__FILE__) . '/../rfc';
is_deeply([ map { basename($_) } sort glob "$folder/*.{yaml,json}" ], [ sort keys %gives ], 'each file has a line here');

# Nothing is sent anywhere: the back ends are names.
my $node = prism_node('main', conf => "prism.enabled = off\n", extension => 0);
$node->safe_psql('postgres', 'CREATE DATABASE users_db');
$node->safe_psql('users_db', q{
	CREATE EXTENSION prism;
	CREATE SERVER kafka FOREIGN DATA WRAPPER prism_kafka OPTIONS (bootstrap_servers 'kafka-1:9092');
	CREATE SERVER s3 FOREIGN DATA WRAPPER prism_s3 OPTIONS (endpoint 'https://s3.eu-central-1.amazonaws.com', region 'eu-central-1');
	CREATE SERVER redis FOREIGN DATA WRAPPER prism_redis OPTIONS (endpoints 'redis-1:6379');
	CREATE TABLE user_profiles (id bigint PRIMARY KEY);
	CREATE FUNCTION outcome(verb text, document text) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		detail text;
		context text;
		others text;
	BEGIN
		EXECUTE format('SELECT FROM prism.%I($1)', verb) USING document;
		RETURN 'taken';
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, context = PG_EXCEPTION_CONTEXT;
		others := substring(detail FROM E'All mistakes[^\n]*\n[^\n]*\n(.*)');
		RETURN concat_ws('; ', SQLSTATE || ' ' || SQLERRM, nullif(regexp_replace(detail, E'\n?All mistakes.*', ''), ''),
			substring(context FROM 'line \d+, column \d+'), replace(others, E'\n', '; '));
	END
	$$;
});

for my $file (sort keys %gives)
{
	my $document = slurp_file("$folder/$file");
	my $planned = outcome('plan', $document);
	my $applied = outcome('apply', $document);

	$applied = $node->safe_psql('users_db', q{SELECT array_to_string(patterns, ', ') || ' -> ' || backend FROM prism.namespaces}) if $applied eq 'taken';
	is($applied, $gives{$file}, "$file: $gives{$file}");
	is($planned, $applied =~ / -> / ? 'taken' : $applied, 'plan says so too');
	is(checked($document), $applied =~ / -> / || $chosen_there{$file} ? '' : first_of($applied), 'and check, of the first mistake');
	$node->safe_psql('users_db', 'SELECT prism.drop_namespace(namespace) FROM prism.namespaces');
}

done_testing();

# The first row of prism.check(), as an outcome says it.
sub checked
{
	my $document = shift;
	return $node->safe_psql('users_db', qq{SELECT concat_ws('; ', code || ' ' || message, format('line %s, column %s', line, "column")) FROM prism.check(\$d\$$document\$d\$) LIMIT 1});
}

# Without the detail, and what else there is.
sub first_of { return shift =~ s/^([^;]*;)(?:.*?;)?? (line \d+, column \d+)(?:;.*)?$/$1 $2/sr }

# The mistakes after the first one.
sub also
{
	my ($pattern, $line, $column) = @_;
	return qq{; line $line, column $column: pattern "$pattern" is not available yet};
}

# The text of what waits for a pattern: why that is in the chain, and the whole as it will be.
sub waits
{
	my ($pattern, $reason, $whole, $line, $column) = @_;
	return qq{0A000 pattern "$pattern" is not available yet; It is $reason. The whole would be: $whole.; line $line, column $column};
}

# Likewise of one whose payloads have to go where nothing is built yet.
sub lacks_store
{
	my ($why, $whole, $line, $column) = @_;
	return qq{0A000 backend "s3" is not available yet as a store; Pattern "claim-check" would keep there what is large: $why. The whole would be: $whole.; line $line, column $column};
}

sub outcome
{
	my ($verb, $document) = @_;
	return $node->safe_psql('users_db', "SELECT outcome('$verb', \$document\$$document\$document\$)");
}
