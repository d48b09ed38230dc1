package Patient::Doctor;

# build/patient-doctor on a patient of a suite's own: what it says of lines of
# the log, and what its sayings are worth.

use v5.36;
use File::Temp ();
use FindBin;
use JSON::PP ();

my $program = "$FindBin::Bin/../build/patient-doctor";

sub new ($class, $patient) {
    my $dir = File::Temp->newdir('patient-doctor-XXXXXX', TMPDIR => 1);

    return bless { patient => $patient, dir => $dir, answers => [] }, $class;
}

# Runs it: (exit status, its answer).
sub ask ($self, @args) {
    my ($status, $all, $out) = $self->{patient}->command($program, '--json',
        @args);

    return ($status, eval { JSON::PP->new->utf8->decode($out) }
        // die "patient-doctor @args: $all");
}

# Gives it these lines of the log, as bytes: its diagnosis, with "status".
sub diagnose ($self, @lines) {
    my $file = "$self->{dir}/page.log";

    write_file($file, map { "$_\n" } @lines);
    my ($status, $answer) = $self->ask($file);
    return { %$answer, status => $status };
}

# The labels of a diagnosis, in order.
sub labels ($diagnosis) {
    return join ' ', sort map { $_->{label} }
        @{ $diagnosis->{detected_issues} };
}

# Keeps a diagnosis to be graded.
sub keep ($self, $diagnosis) {
    my $file = "$self->{dir}/" . @{ $self->{answers} } . '.json';

    write_file($file, JSON::PP->new->utf8->encode($diagnosis));
    push @{ $self->{answers} }, $file;
}

# The marks for all that was kept: (exit status, the answer).
sub grade ($self, @options) {
    return $self->grade_with(
        "$self->{patient}{env}{PATIENT_RUN}/ledger.jsonl", @options);
}

# The same by a ledger's text.
sub grade_by ($self, $ledger, @options) {
    my $file = "$self->{dir}/ledger.jsonl";

    write_file($file, $ledger);
    return $self->grade_with($file, @options);
}

sub grade_with ($self, $ledger, @options) {
    my ($status, $all, $out) = $self->{patient}->command($program, 'grade',
        '--json', @options, $ledger, @{ $self->{answers} });

    return ($status, eval { JSON::PP->new->utf8->decode($out) }
        // die "patient-doctor grade: $all");
}

sub write_file ($file, @bytes) {
    open my $out, '>:raw', $file or die "$file: $!\n";
    print $out @bytes;
    close $out or die "$file: $!\n";
}

1;
