# Brokers whose partitions can lose their leader: test/module/kafka_mock as an object.
package PrismTest::KafkaMock;

use strict;
use warnings;

use IO::Handle;
use IPC::Open2;

# PrismTest::KafkaMock->new(program, topic, ...): it ends when the object, and with it its input, is gone.
sub new
{
	my ($class, $program, @topics) = @_;
	my $self = bless {}, $class;

	$self->{pid} = open2($self->{out}, $self->{in}, $program, @topics);
	$self->{in}->autoflush(1);
	$self->{address} = readline $self->{out} // die "the mock did not start\n";
	chomp $self->{address};
	return $self;
}

sub address { return $_[0]{address}; }

# leader(topic, broker): 1 or 2; -1: nobody leads it
sub leader
{
	my ($self, $topic, $broker) = @_;

	print "# mock: leader $topic $broker\n";
	print { $self->{in} } "leader $topic $broker\n";
	my $answer = readline $self->{out};
	die "the mock did not obey\n" unless defined $answer && $answer eq "ok\n";
	return;
}

sub DESTROY
{
	my ($self) = @_;
	local ($?, $!);
	close $self->{in};
	waitpid $self->{pid}, 0;
	return;
}

1;
