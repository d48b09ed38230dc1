# The figures in the log that CloudWatch reads as metrics: one line every so
# often (two seconds on the common server), from one child for all.

use Patient;
use Patient::Log;
use Patient::Server;
use POSIX ();

my @COUNTS = qw(Requests Faults4xx Faults5xx PoolInUse PoolWaiting
    PoolTimeouts MemoryRSS CPUUtilization);
my @LATENCIES = qw(LatencyP50 LatencyP99);
my %UNIT = map { $_ => 1 } qw(Seconds Microseconds Milliseconds Bytes
    Kilobytes Megabytes Gigabytes Terabytes Bits Kilobits Megabits Gigabits
    Terabits Percent Count Bytes/Second Kilobytes/Second Megabytes/Second
    Gigabytes/Second Terabytes/Second Bits/Second Kilobits/Second
    Megabits/Second Gigabits/Second Terabits/Second Count/Second None);

sub is_text ($value, $max) {
    return defined $value && !ref $value && length $value
        && length $value <= $max;
}

# Which rules of the Embedded Metric Format a line breaks.
sub emf_faults ($line) {
    my $meta = $line->{_aws};
    my @faults;

    return '_aws' unless ref $meta eq 'HASH';
    push @faults, 'Timestamp' unless INT->($meta->{Timestamp});
    my $all = $meta->{CloudWatchMetrics};
    return @faults, 'CloudWatchMetrics' unless ref $all eq 'ARRAY' && @$all;
    for my $set (@$all) {
        push @faults, 'Namespace' unless is_text($set->{Namespace}, 1024);
        push @faults, 'Dimensions' unless ref $set->{Dimensions} eq 'ARRAY'
            && @{ $set->{Dimensions} };
        for my $dimensions (@{ $set->{Dimensions} }) {
            push @faults, 'a dimension set' unless @$dimensions <= 30;
            push @faults, "dimension $_" for grep {
                !is_text($_, 250) || !is_text($line->{$_}, 1024)
                    || !is_string($line->{$_}) } @$dimensions;
        }
        push @faults, 'Metrics' unless @{ $set->{Metrics} } <= 100;
        for my $metric (@{ $set->{Metrics} }) {
            push @faults, 'a metric name' unless is_text($metric->{Name}, 1024);
            push @faults, "the unit of $metric->{Name}"
                unless $UNIT{ $metric->{Unit} };
            push @faults, "the value of $metric->{Name}"
                unless NUMBER->($line->{ $metric->{Name} });
        }
    }
    return @faults;
}

sub is_string ($value) { return Patient::Check::is_string($value) }

sub lines ($log, $mark) {
    return grep { $_->{type} eq 'METRICS' } $log->since($mark);
}

# Waits for the next line, and returns the mark after it.
sub next_line ($log) {
    my $mark = $log->mark;
    my $line = $log->wait_for($mark, sub ($l) { $l->{type} eq 'METRICS' })
        or die 'no line came';
    return $log->mark;
}

sub total ($name, @lines) {
    my $sum = 0;
    $sum += $_->{$name} for @lines;
    return $sum;
}

my $log = Patient::Log->new;

subtest 'a line is what CloudWatch takes for metrics' => sub {
    my $mark = $log->mark;
    request(GET => '/');
    my $line = $log->wait_for($mark, sub ($l) {
        $l->{type} eq 'METRICS' && $l->{Requests} });
    my ($raw) = grep { /"METRICS"/ } $log->raw_since($mark);

    is(join(', ', emf_faults($line)), '', 'by all of its rules');
    is($line->{level}, 'info', 'at info');
    is($line->{_aws}{CloudWatchMetrics}[0]{Namespace}, 'Patient',
        'the namespace');
    is(join(' ', map { $_->{Name} }
        @{ $line->{_aws}{CloudWatchMetrics}[0]{Metrics} }),
        "@COUNTS @LATENCIES", 'the metrics');
    unlike($raw, qr/error|warn|critical|fatal|exception/i,
        'no word that looks like a failure');
    cmp_ok(abs($line->{_aws}{Timestamp} / 1000 - time), '<', 30,
        'the time is now, in milliseconds');
    cmp_ok($line->{LatencyP50}, '<=', $line->{LatencyP99}, 'p50 <= p99');
};

subtest 'the lines add up to what happened, one child speaking for all' => sub {
    my $mark = next_line($log);

    request(GET => '/api/posts/x') for 1 .. 7;
    request(GET => '/livez') for 1 .. 12;
    ok(wait_until(sub { total('Requests', lines($log, $mark)) >= 19 }),
        'they come');
    my @lines = lines($log, $mark);
    is(total('Requests', @lines), 19, 'all requests');
    is(total('Faults4xx', @lines), 7, 'what users did wrong');
    is(total('Faults5xx', @lines), 0, 'no failure');
    is(scalar(grep { emf_faults($_) } @lines), 0, 'each is sound');
    $mark = next_line($log);
    next_line($log);
    my ($idle) = lines($log, $mark);
    ok(!exists $idle->{LatencyP50}, 'without a request there is no latency');
    is(join(', ', emf_faults($idle)), '', 'and the line is sound');
};

# Hashing takes long enough to fall far from the ends of its bucket.
subtest 'no latency is above the longest request' => sub {
    my $mark = next_line($log);

    request(POST => '/api/auth/login', json => { email => 'no@example.org',
        password => 'whatever' }) for 1 .. 3;
    ok(wait_until(sub { total('Requests', lines($log, $mark)) >= 3 }),
        'they are counted');
    my ($longest) = sort { $b <=> $a } map { $_->{durationMs} }
        grep { $_->{type} eq 'REQUEST' } $log->since($mark);
    my @above = grep { ($_->{LatencyP99} // 0) > $longest + 0.01 }
        lines($log, $mark);
    is(scalar @above, 0, 'p99') || diag("$above[0]{LatencyP99} > $longest");
};

subtest 'when its child dies, another goes on where it was' => sub {
    plan(skip_all => 'once is enough') if $ENV{PATIENT_CHILDREN} != 1;
    my ($copy, $keep) = Patient::Server->copy_project;
    open my $conf, '>>', "$copy/conf/patient.conf" or die $!;
    print {$conf} "PatientMetricsInterval 1\n";
    close $conf or die $!;
    my $patient = Patient::Server->new(project => $copy,
        PATIENT_CHILDREN => 3);
    my $own = $patient->log;
    my @port = (port => $patient->port);
    my $mark = next_line($own);
    my ($line) = lines($own, 0);

    request(GET => '/api/posts/x', @port) for 1 .. 5;
    wait_until(sub { request(GET => '/api/metrics', @port)
        ->json->{requests}{'4xx'} == 5 }) or die 'they are not counted';
    kill 'KILL', $line->{pid};
    ok(wait_until(sub { grep { $_->{pid} != $line->{pid} }
        lines($own, $mark) }), 'another one writes');
    request(GET => '/api/posts/x', @port) for 1 .. 5;
    ok(wait_until(sub { total('Faults4xx', lines($own, $mark)) >= 10 }),
        'and counts on');
    is(total('Faults4xx', lines($own, $mark)), 10, 'nothing is lost');
    $patient->stop;
};

subtest 'it comes at the start, and whatever the log\'s level' => sub {
    plan(skip_all => 'once is enough') if $ENV{PATIENT_CHILDREN} != 1;
    for my $level (qw(warning error)) {
        my $patient = Patient::Server->new(LOG_LEVEL => $level);
        my $line = $patient->log->wait_for(0,
            sub ($l) { $l->{type} eq 'METRICS' }, 20);

        # The next one would come after a minute.
        ok($line, "within seconds, at $level") or next;
        is(join(', ', emf_faults($line)), '', 'sound');
        is($line->{level}, 'info', 'still at info');
        is((grep { $_->{level} eq 'info' && $_->{type} !~ /METRICS|HTTPD/ }
            $patient->log->since(0)), 0, 'and nothing else at info');
    }
};

done_testing;
