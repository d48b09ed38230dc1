package Patient::Traffic;

# Users who ask one thing after the other, each in a process of its own, and
# write down what they got.

use v5.36;
use File::Temp ();
use POSIX ();
use Time::HiRes qw(time);

# Begins: each of $workers processes calls $ask again and again. It gets the
# worker's number and returns a response.
sub new ($class, $ask, $workers = 2) {
    my $dir = File::Temp->newdir('patient-traffic-XXXXXX', TMPDIR => 1);
    my $self = bless { dir => $dir, owner => $$, pids => [] }, $class;

    for my $number (1 .. $workers) {
        my $pid = fork // die "fork: $!\n";
        if (!$pid) {
            $self->work($ask, $number);
            POSIX::_exit(0);
        }
        push @{ $self->{pids} }, $pid;
    }
    return $self;
}

sub work ($self, $ask, $number) {
    open my $book, '>>', "$self->{dir}/book" or return;
    srand $number;
    until (-e "$self->{dir}/stop") {
        my $start = time;
        my $answer = eval { $ask->($number) };
        my $status = $answer ? $answer->status : 0;
        syswrite $book, sprintf "%.3f %d %.3f\n", $start, $status,
            time - $start;
    }
}

# What came so far: {at, status, seconds} each; status 0: no answer at all.
sub answers ($self) {
    open my $book, '<', "$self->{dir}/book" or return;
    return map {
        my %answer;
        @answer{qw(at status seconds)} = split ' ';
        \%answer;
    } grep { /\n\z/ } readline $book;
}

# How many came of each status.
sub tally ($self, $since = 0) {
    my %count;
    $count{ $_->{status} }++ for grep { $_->{at} >= $since } $self->answers;
    return \%count;
}

# Ends it, and returns what came.
sub stop ($self) {
    if (open my $stop, '>', "$self->{dir}/stop") {
        close $stop;
    }
    local $?;
    waitpid $_, 0 for splice @{ $self->{pids} };
    return $self->answers;
}

sub DESTROY ($self) {
    $self->stop if $self->{owner} == $$ && @{ $self->{pids} };
}

1;
