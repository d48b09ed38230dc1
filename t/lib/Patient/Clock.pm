package Patient::Clock;

# The machine's clock as an operator sets it: a patient that is started with
# this environment sees the time of day shifted, and goes on to run.

use v5.36;
use File::Temp ();
use FindBin;

sub new ($class) {
    my $dir = File::Temp->newdir('patient-clock-XXXXXX', TMPDIR => 1);
    my $self = bless { dir => $dir }, $class;

    system('cc', '-shared', '-fPIC', '-O1', '-o', "$dir/clock_shift.so",
        "$FindBin::Bin/lib/Patient/clock_shift.c", '-ldl') == 0
        or die "no clock to shift\n";
    chmod 0755, $dir;
    $self->set(0);
    return $self;
}

sub environment ($self) {
    return (LD_PRELOAD => "$self->{dir}/clock_shift.so",
        CLOCK_SHIFT => "$self->{dir}/seconds",
        CLOCK_AGE => "$self->{dir}/age");
}

# So many seconds from the true time; negative: back.
sub set ($self, $seconds) { $self->write(seconds => $seconds) }

# So many seconds since it was started pass at once: steady time as well.
sub age ($self, $seconds) {
    $self->set($seconds);
    $self->write(age => $seconds);
}

sub write ($self, $name, $seconds) {
    my $new = "$self->{dir}/new";

    open my $out, '>', $new or die "$new: $!\n";
    print $out "$seconds\n";
    close $out or die "$new: $!\n";
    rename $new, "$self->{dir}/$name" or die "$new: $!\n";
}

1;
