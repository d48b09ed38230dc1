package Patient::Lateness;

# How late the machine is: a process that wants to wake every 10 ms writes down
# when it could not. So a bound that a test sets for the patient need not hold
# for a machine that stands still meanwhile, and is no looser on any other.

use v5.36;
use File::Temp ();
use POSIX ();
use Time::HiRes qw(sleep time);

use constant { EVERY => 0.01, WORTH_A_WORD => 0.02 };

# Begins to look. Whoever begins it before he opens connections can close them.
sub new ($class) {
    my $book = File::Temp->new(TEMPLATE => 'patient-late-XXXXXX', TMPDIR => 1);
    my $owner = $$;
    my $pid = fork // die "fork: $!\n";

    if (!$pid) {
        while (getppid == $owner) {
            my $start = time;
            sleep EVERY;
            my $late = time - $start - EVERY;
            syswrite $book, sprintf "%.3f %.3f\n", $start, $late
                if $late > WORTH_A_WORD;
        }
        POSIX::_exit(0);
    }
    return bless { book => $book, pid => $pid, owner => $owner }, $class;
}

# The seconds that were lost since then, in all.
sub since ($self, $moment) {
    my $lost = 0;

    open my $book, '<', $self->{book}->filename or die "its book: $!\n";
    for (readline $book) {
        my ($start, $late) = split ' ';
        $lost += $late if $start + $late + EVERY > $moment;
    }
    return $lost;
}

sub DESTROY ($self) {
    return if $self->{owner} != $$;
    local $?;
    kill KILL => $self->{pid};
    waitpid $self->{pid}, 0;
}

1;
