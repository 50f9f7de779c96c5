# What the scripts of test/lint know in common: the files of the project, its floors, and how a rule is told.
package HouseRules;
use strict;
use warnings;

use Exporter 'import';
use Test::More;

our @EXPORT = qw(project_files places rule folder_of may_use on_a_floor);

# The floors, as src/README.md has them: which folders a folder may use, besides itself and base.  main.c is the roof.
my (%text, %may_use);
sub read_floors
{
	my ($table) = ($text{'src/README.md'} // '') =~ /^## The floors\n(.*?)^## /ms or die 'src/README.md has no floors';
	my %stores = map { m{^src/(store/\w+)/} ? ($1 => 1) : () } keys %text;
	while ($table =~ /^\| `([\w\/]+)` \|[^|\n]*\|([^|\n]*)\|$/mg)
	{
		my ($folder, $others) = ($1, $2);
		$may_use{$folder} = [ map { $_ eq 'store' ? sort keys %stores : $_ } $others =~ /`([\w\/]+)`/g ];
	}
	return;
}

# The files of the project, name => text: those that ./dev copied here, or in a checkout those that git knows.
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
	read_floors();
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
