# A PostgreSQL of a test's own, into which it installs what it likes: programs are copied, all else is linked.
package PrismTest::Install;

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Copy qw(copy);
use File::Path qw(make_path);
use PostgreSQL::Test::Utils;

# Find their files by where they are, and so cannot be links.
my @programs = qw(postgres initdb pg_ctl pg_config);

sub new
{
	my ($class) = @_;
	my $self = bless { root => PostgreSQL::Test::Utils::tempdir, config => $ENV{PG_CONFIG} // 'pg_config' }, $class;

	for my $what (qw(bindir pkglibdir sharedir))
	{
		chomp($self->{$what} = `$self->{config} --$what`);
		mirror($self->{$what}, $self->{root} . $self->{$what});
	}
	return $self;
}

# Nothing of prism goes along.
sub mirror
{
	my ($from, $to) = @_;

	make_path($to);
	for my $path (glob "$from/*")
	{
		my $name = substr $path, length("$from/");
		if ($name eq 'extension') { mirror($path, "$to/$name"); }
		elsif (grep { $name eq $_ } @programs)
		{
			copy($path, "$to/$name") && chmod 0755, "$to/$name" or die "$to/$name: $!\n";
		}
		elsif ($name !~ /^prism/) { symlink $path, "$to/$name" or die "$to/$name: $!\n"; }
	}
	return;
}

# For PostgreSQL::Test::Cluster.
sub path { my ($self) = @_; return $self->{root} . dirname($self->{bindir}); }

# The library of this name, as a path.
sub library { my ($self, $name) = @_; return "$self->{root}$self->{pkglibdir}/$name.so"; }

# A copy of the sources, with what has been compiled of them.
sub sources
{
	my ($self) = @_;
	my $project = abs_path(dirname(__FILE__) . '/../../..');

	$self->{sources} = "$self->{root}/sources";
	make_path($self->{sources});
	system_or_bail('cp', '-a', map({ "$project/$_" } qw(Makefile prism.control sql src)), $self->{sources});
	return $self->{sources};
}

sub install
{
	my ($self) = @_;
	system_or_bail('make', '-s', '-C', $self->{sources}, $_, "PG_CONFIG=$self->{config}", "DESTDIR=$self->{root}")
	  for qw(all install);
	return;
}

# Replace a text in a library by one as long.  The file is made anew: the old one may be in use.
sub patch
{
	my ($self, $name, $old, $new) = @_;
	my $path = $self->library($name);
	my $content = slurp_file($path);

	die "\"$old\" and \"$new\" differ in length\n" if length $old != length $new;
	die "$path has no \"$old\"\n" unless $content =~ s/\Q$old\E/$new/g;
	rename $path, "$path.whole" or die "$path: $!\n";
	open my $file, '>', $path or die "$path: $!\n";
	binmode $file;
	print $file $content;
	close $file or die "$path: $!\n";
	chmod 0755, $path;
	return;
}

sub mend
{
	my ($self, $name) = @_;
	my $path = $self->library($name);
	rename "$path.whole", $path or die "$path: $!\n";
	return;
}

1;
