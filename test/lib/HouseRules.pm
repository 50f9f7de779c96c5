# What the scripts of test/lint know in common: the files of the project, its floors, and how a rule is told.
package HouseRules;
use strict;
use warnings;

use Exporter 'import';
use Test::More;

our @EXPORT = qw(project_files places rule folder_of may_use on_a_floor);

# The floors: which folders a folder may use, besides itself and base.  main.c is the roof, and uses all.
my @stores = map { "store/$_" } qw(log group delay sink handler);
my @below_workers = (@stores, 'bgworker');
my %may_use = (
	'base'              => [],
	'backend'           => [],
	'backend/postgres'  => ['backend'],
	'backend/memory'    => ['backend'],
	'backend/kafka'     => ['backend'],
	'store/log'         => [],
	'store/group'       => ['store/log'],
	'store/delay'       => ['store/log'],
	'store/sink'        => ['store/log'],
	'store/handler'     => [ 'store/log', 'store/group' ],
	'pattern'           => [ 'backend', 'store/log' ],
	'namespace'         => [ 'backend', 'pattern', 'store/log', 'store/group' ],
	'bgworker'          => \@stores,
	'bgworker/forward'  => [ @below_workers, 'backend' ],
	'bgworker/schedule' => [ @below_workers, 'pattern' ],
	'bgworker/handle'   => \@below_workers,
	'logical_decoding'  => ['store/log'],
	'observe'           => \@below_workers,
	'api'               => [ @below_workers, qw(pattern namespace) ]);

# The files of the project, name => text: those that ./dev copied here, or in a checkout those that git knows.
my %text;
sub project_files
{
	my $list = -e '.staged' ? 'cat .staged' : 'git ls-files';
	for my $path (map { chomp; s{^\./}{}r } `$list`)
	{
		next unless -f $path;
		open my $in, '<', $path or die "$path: $!";
		local $/;
		$text{$path} = <$in> // '';
	}
	return %text;
}

# The folder of a source, below src; '' is src itself.
sub folder_of
{
	my ($file) = @_;
	return ($file =~ m{^src/(?:(.*)/)?[^/]+$})[0] // '';
}

sub on_a_floor { return exists $may_use{ $_[0] }; }

# may_use(folder, folder): the first one may include and call what the second one has.
sub may_use
{
	my ($user, $used) = @_;
	return scalar grep { $_ eq $used } $user, 'base', @{ $may_use{$user} // [] };
}

# places(files, pattern): "file:line: text" for each line that matches
sub places
{
	my ($files, $pattern) = @_;
	my @found;
	for my $file (@$files)
	{
		my $number = 0;
		for my $line (split /\n/, $text{$file})
		{
			$number++;
			push @found, "$file:$number: $line" if $line =~ $pattern;
		}
	}
	return @found;
}

# A rule holds when nothing was found against it; what was found is shown.
sub rule
{
	my ($name, @found) = @_;
	ok(@found == 0, $name);
	diag($_) for @found;
	return;
}

1;
