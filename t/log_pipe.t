# 64 visitors at once write what they like into the log of three children,
# and whoever reads the log is slow: every line arrives, whole and alone.

use Patient;
use Patient::Log;
use Patient::Server;
use POSIX ();
use Time::HiRes qw(sleep);

use constant { WRITERS => 64, REQUESTS => 12 };

my $patient = Patient::Server->prepare(PATIENT_LOG => 'stderr',
    PATIENT_CHILDREN => 3, CHAOS_MODE => 'false');

# The patient in the foreground: (its pid, the pipe that is its stderr).
sub run_patient () {
    pipe my $in, my $out or die $!;
    my $pid = fork // die "fork: $!";

    if (!$pid) {
        close $in;
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', '/dev/null';
        open STDERR, '>&', $out or POSIX::_exit(127);
        $ENV{$_} = $patient->{env}{$_} for keys %{ $patient->{env} };
        { exec "$patient->{project}/conf/patientctl", 'run' }
        POSIX::_exit(127);
    }
    close $out;
    return ($pid, $in);
}

my $all_bytes = join '', map { chr } grep { !/\A(?:0|10|13)\z/ } 1 .. 255;

# What visitors choose: the path, the query, the agent, any header, the body.
sub visit ($number) {
    for my $round (1 .. REQUESTS) {
        my $connection = $patient->connection;
        my $kind = ($number + $round) % 6;
        my $agent = $kind == 0 ? '"}' . "\x7f" . '{"level":"fatal"}'
            : $kind == 1 ? "\xff\xfe\xed\xa0\x80" x 500
            : $kind == 2 ? '\\' x 7000
            : $kind == 3 ? "\xed\x95\x9c" x 2000
            : $kind == 4 ? 'ERROR error Exception WARNING ' x 200
            : join '', grep { !/[\x01-\x08\x0b-\x1f\x7f]/ }
                split //, $all_bytes;
        my $body = $kind == 3 ? "{\"title\":\"\\n\\\"}{\x01\"" : 'x' x 100_000;

        $connection->send("POST /api/auth/login?a=%0a{\"level\":\"fatal\"}"
            . "&$kind HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            . "X-Request-Id: visit-$number-$round\r\nUser-Agent: $agent\r\n"
            . "X-Amzn-Trace-Id: Root=\"}\r\n"
            . "Content-Type: application/json\r\nContent-Length: "
            . length($body) . "\r\n\r\n$body");
        eval { $connection->read };
        $connection->close;
    }
    POSIX::_exit(0);
}

my ($pid, $pipe) = run_patient();
my $text = '';
my @visitors;
my $asked_to_stop = 0;

wait_until(sub { eval { $patient->connection->request(GET => '/livez') } }, 60)
    or die 'the patient does not start';
for my $number (1 .. WRITERS) {
    my $visitor = fork // die "fork: $!";
    visit($number) unless $visitor;
    push @visitors, $visitor;
}

# A page at a time, and a pause: the pipe is full all the while.
while (1) {
    my $n = sysread $pipe, $text, 4096, length $text;
    last unless $n;
    sleep 0.001;
    @visitors = grep { waitpid($_, POSIX::WNOHANG()) == 0 } @visitors;
    if (!@visitors && !$asked_to_stop++) {
        kill 'TERM', $pid;
    }
}
waitpid $pid, 0;

subtest 'every line arrives, whole and alone' => sub {
    my @lines = split /\n/, $text;
    my @unsound = map { my $line = $_; my @f = Patient::Log::faults($line);
        @f ? "@f: " . substr $line, 0, 300 : () } @lines;
    my %seen;

    is(substr($text, -1), "\n", 'the last one too');
    is(scalar @unsound, 0, 'each is a JSON object of at most 4,000 bytes')
        || diag(join "\n", @unsound[0 .. ($#unsound > 4 ? 4 : $#unsound)]);
    my @sound = grep { defined } map { eval { Patient::Log::decode($_) } }
        @lines;
    $seen{ $_->{request_id} }++ for grep { $_->{type} eq 'REQUEST'
        && ($_->{request_id} // '') =~ /\Avisit/ } @sound;
    is(scalar(keys %seen), WRITERS * REQUESTS, 'one for each request');
    is(scalar(grep { $_ != 1 } values %seen), 0, 'and not two');
    my %pids = map { $_->{pid} => 1 } grep { $_->{type} eq 'REQUEST' } @sound;
    is(scalar(keys %pids), 3, 'from three children');
    # Such a crowd does burn the CPUs, and a reader so slow does hold up all
    # workers (AH00484): the patient says so.
    my @alarms = grep { !/"CPU ERROR"|"AH00484"/ && /ERROR|Error|error|CRITICAL|FATAL
        |Exception|WARNING|Warning|warning|WARN/x } @lines;
    is(join("\n", @alarms), '', 'none looks like a failure');
    is(scalar(grep { $_->{level} eq 'fatal' } @sound), 0,
        'nobody has made one up');
};

done_testing;
