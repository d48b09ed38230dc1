# Graceful restarts one after another while requests last that began before
# them: the patient answers all the same, and none of those is lost. Patients
# of its own.

use Patient;
use Patient::Connection;
use Patient::Httpd;
use Patient::Ill;
use Patient::Log;
use Patient::Server;
use Time::HiRes qw(time);

# Bytes a step: enough to stay above the least rate of RequestReadTimeout
# (body=20,MinRate=500) for as long as a step may take.
use constant STEP => 4000;

my $user = do {
    my $patient = Patient::Ill->new;
    sign_in(port => $patient->port);
};

# A request whose body comes slowly: the head and a first piece of it now.
sub begin ($patient, $steps) {
    my $connection = $patient->connection;
    my $text = $connection->compose(POST => '/api/posts',
        token => $user->{token},
        json => { title => 'slow', content => 'x' x (STEP * ($steps + 1)) });
    my $slow = { connection => $connection, rest => $text };

    go_on($slow);
    return $slow;
}

sub go_on ($slow, $bytes = STEP) {
    $slow->{connection}->send(substr $slow->{rest}, 0, $bytes, '');
}

sub finish ($slow) {
    go_on($slow, length $slow->{rest});
    my $answer = eval { $slow->{connection}->read('POST') };
    return $answer ? $answer->status : 'none';
}

# How long it takes, at most so many seconds, until /livez answers on a
# connection that is made now.
sub seconds_to_livez ($patient, $bound) {
    my $start = time;

    wait_until(sub {
        my $answer = eval {
            local $SIG{ALRM} = sub { die "no answer\n" };
            alarm 2;
            my $got = $patient->ask(GET => '/livez');
            alarm 0;
            $got;
        };
        alarm 0;
        return $answer && $answer->status == 200;
    }, $bound);
    return time - $start;
}

sub in_flight ($patient) {
    return $patient->ask(GET => '/api/metrics')->json->{requests}{inFlight};
}

# Restarts so often; before each, a slow request begins on every child, or
# nearly. Returns them all, and the longest time without /livez.
sub restart_amid ($patient, $times) {
    my (@slow, $longest);

    for my $left (reverse 1 .. $times) {
        my $before = in_flight($patient);
        my @more = map { begin($patient, $left) }
            1 .. 2 * $patient->{env}{PATIENT_CHILDREN};
        # All of them are on their way, so none is on a connection that no
        # child has taken yet.
        wait_until(sub { in_flight($patient) >= $before + @more })
            or die 'not all began';
        push @slow, @more;
        $patient->restart;
        my $seconds = seconds_to_livez($patient, 30);
        $longest = $seconds if $seconds > ($longest // 0);
        go_on($_) for @slow;
    }
    return (\@slow, $longest);
}

for my $children (1, 3) {
    subtest "ten restarts amid slow requests, with children: $children" => sub {
        my $patient = Patient::Ill->new(PATIENT_CHILDREN => $children);
        my ($slow, $longest) = restart_amid($patient, 10);

        cmp_ok($longest, '<', 5, '/livez answers soon after each');
        my %ends;
        $ends{ finish($_) }++ for @$slow;
        is_deeply(\%ends, { 201 => 20 * $children }, 'and none is lost');
        ok(wait_until(sub { $patient->children == $children }, 30),
            'who is done goes') || diag(join ' ', $patient->children);
        my @alarms = grep { $_->{level} !~ /\A(?:info|debug)\z/
            && $_->{type} ne 'CONFIGURATION WARNING'
            && !Patient::Log::is_stall($_) } $patient->log->since;
        is(@alarms, 0, 'the log has nothing to complain of')
            || diag(explain(\@alarms));
    };
}

subtest 'when there is no room for more, the oldest make room' => sub {
    my ($copy, $keep) = Patient::Server->copy_project;
    my $file = "$copy/conf/httpd.conf";
    my $text = Patient::Server::slurp($file)
        =~ s/^ServerLimit .*/ServerLimit 4/mr;
    open my $out, '>', $file or die $!;
    print $out $text;
    close $out;
    my $patient = Patient::Ill->new(project => $copy, PATIENT_CHILDREN => 1);
    my ($slow, $longest) = restart_amid($patient, 6);

    cmp_ok($longest, '<', 10, '/livez answers soon after each');
    my @ends = map { finish($_) } @$slow;
    is($ends[0], 'none', 'the first is given up');
    is($ends[-1], '201', 'the last is served');
    like(join(' ', @ends), qr/\A(?:none )+(?:201 ?)+\z/, 'in that order');
    ok($patient->log->wait_for(0, sub ($l) {
        $l->{level} eq 'warning' && $l->{type} eq 'SERVER WARNING'
            && $l->{processes} >= 1 }), 'and the log says so');
    is((grep { $_->{type} eq 'PROCESS ERROR' } $patient->log->since), 0,
        'nobody is said to have died');
};

subtest 'who began before the last restart is never given up' => sub {
    my $httpd = Patient::Httpd->new(<<"END");
PatientEngine On
PatientJwtSecret "$ENV{JWT_SECRET}"
ServerLimit 1
MaxRequestWorkers 32
MaxSpareThreads 64
<Location "/">
    SetHandler patient
</Location>
END
    my $slow = Patient::Connection->new($httpd->port);
    my $body = '{"email":"a@b.example"';
    $slow->send($slow->compose(POST => '/api/auth/login', headers => {
        'Content-Type' => 'application/json', 'Content-Length' => 60 })
        . $body);
    wait_until(sub { request(GET => '/api/metrics', port => $httpd->port)
        ->json->{requests}{inFlight} == 2 }) or die 'it did not begin';
    kill USR1 => $httpd->{pid};
    ok(wait_until(sub { $httpd->text =~ /AH00493/ }), 'it restarts');
    # Nobody else is there to say that it has done what it does at a restart,
    # but that its new configuration holds.
    ok(wait_until(sub { 2 == (() = $httpd->text =~ /AH00489/g) }), 'again');
    $slow->send(',' . ' ' x (59 - length $body));
    is($slow->read('POST')->status, 400, 'and who was in has its answer');
};

done_testing;
