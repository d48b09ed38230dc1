# The log is a patient history: from the lines of one run alone, and with no
# word of chaos in them, build/patient-doctor finds which of the seven there
# were: none, each alone, each pair. A patient of its own, with as many
# children as this round has; ordinary users all the time.

use Patient;
use Patient::Doctor;
use Patient::Ill;
use Patient::Incident qw(TELL_TALE);
use Patient::Log;
use Patient::Traffic;
use Time::HiRes qw(sleep);

# Small enough for every failure to show within seconds, on a busy machine,
# too: the CPUs are burnt with what others leave. Before the others
# come those that users must log in or read for, which the later ones make
# impossible; a leak comes last, for it ends by itself.
my @SEVEN = (
    [ 'jwt-expiry'      => 'jwt-expiry',      { } ],
    [ 'slow-query'      => 'slow-query',      { rows => 20_000 } ],
    [ 'high-cpu'        => 'high-cpu',        { percent => 20 } ],
    [ 'api-timeout'     => 'api-timeout',     { timeout_ms => 300 } ],
    [ 'pool-exhaustion' => 'pool-exhaustion', { hold_s => 1 } ],
    [ 'db-fail'         => 'db-failure',      { timeout_ms => 1000 } ],
    [ 'memory-leak'     => 'memory-leak',     { limit_mb => 48,
                                                duration_s => 4 } ],
);
my %LABEL = map { $_->[0] => $_->[1] } @SEVEN;
my %BODY = map { $_->[0] => { duration_s => 60, %{ $_->[2] } } } @SEVEN;

# Nobody who gets no connection can be sent to a wrong place: the first of
# these two has to go for the second to be felt.
my %HIDES = ('pool-exhaustion' => 'db-fail');

my $patient = Patient::Ill->new(DB_POOL_MAX => 3, DB_POOL_ACQUIRE_MS => 1000);
my $port = $patient->port;
my $log = $patient->log;
my $doctor = Patient::Doctor->new($patient);

# For the list to be a long one.
my $author = sign_in(port => $port);
new_post($author, port => $port, title => "Post $_") for 1 .. 60;

sub ask ($method, $path, %with) { return $patient->ask($method, $path, %with) }

# What the log says since then; but for a machine that stalled, which is nobody
# of the seven.
sub page_since ($mark) {
    return grep { !/"type":"PERFORMANCE ERROR"/
        || !Patient::Log::is_stall(Patient::Log::decode($_)) }
        $log->raw_since($mark);
}

# ---- ordinary users

# One who signs up, logs in, writes, reads, looks whether the session still
# holds, and takes the post away again; a request each time it is called.
sub a_user () {
    my (%who, $token, $post, @plan);
    my $list = sub { ask(GET => '/api/posts?limit=60') };
    my $glance = sub { ask(GET => '/api/posts?limit=2') };
    my $verify = sub { ask(GET => '/api/auth/verify', token => $token) };
    my @session = (
        sub {
            %who = (email => new_email(), password => password());
            ask(POST => '/api/auth/register', json => { %who });
        },
        sub {
            my $answer = ask(POST => '/api/auth/login', json => { %who });
            $token = $answer->json->{token} if $answer->status == 200;
            return $answer;
        },
        sub {
            my $answer = ask(POST => '/api/posts', token => $token,
                json => { title => 'An error of mine', content => 'FATAL' });
            $post = $answer->json->{id} if $answer->status == 201;
            return $answer;
        },
        $verify, $list, ($glance) x 3,
        sub { ask(GET => '/api/posts/' . ($post // 1)) },
        $list, ($glance) x 3, $verify,
        sub { ask(DELETE => '/api/posts/' . ($post // 1), token => $token) },
    );

    return sub ($number) {
        @plan = @session unless @plan;
        sleep 0.08;
        return (shift @plan)->();
    };
}

my $SESSION = 15;

# Waits until so many sessions were held.
sub is_used ($traffic, $sessions) {
    return wait_until(sub {
        my @answers = $traffic->answers;
        return @answers > $sessions * $SESSION;
    }) || die "no traffic\n";
}

# ---- one run

# Whoever lists the machine's processes must learn nothing either.
my %seen;
sub look_at_processes () {
    for my $pid ($patient->httpd, $patient->children) {
        for my $file ("/proc/$pid/cmdline", glob "/proc/$pid/task/*/comm") {
            $seen{ Patient::Server::slurp($file) =~ tr/\0/ /r }++;
        }
    }
}

sub begin ($name) { return $patient->fall_ill($name, %{ $BODY{$name} }) }

sub is_witnessed ($name, $id) {
    my $now = $patient->wait_for_state($id, 'witnessed|recovered|invalid')
        // $patient->incident($id);
    return like($now->{state}, qr/\A(?:witnessed|recovered)\z/,
        "$name is felt") || diag(explain($now));
}

# They overlap, each of the pair having begun before the other ended.
sub overlap (@incidents) {
    my ($start) = sort { $b cmp $a } map { $_->{armedAt} // '' } @incidents;
    my ($end) = sort { $a cmp $b } map { $_->{endedAt} // '' } @incidents;
    return $start lt $end;
}

# Makes the patient ill with these while it is used, and shows the doctor the
# lines of just that time.
sub fall_ill (@names) {
    my $mark = $log->mark;
    my $traffic = Patient::Traffic->new(a_user());
    my $expected = join ' ', sort map { $LABEL{$_} } @names;
    my (%id, $diagnosis);

    is_used($traffic, 1);
    # Who was still being served as the run before ended has been told by now.
    $mark = $log->mark;
    for my $name (@names) {
        my $hidden_by = (grep { ($HIDES{$_} // '') eq $name } @names)[0];
        $id{$name} = begin($name);
        ask(DELETE => "/api/chaos/$hidden_by") if $hidden_by;
        is_witnessed($name, $id{$name});
    }
    look_at_processes();
    wait_until(sub {
        $diagnosis = $doctor->diagnose(page_since($mark));
        return Patient::Doctor::labels($diagnosis) eq $expected;
    }, 15);
    ask(POST => '/api/chaos/halt');
    my @ended = map { $patient->wait_for_end($id{$_}) // {} } @names;
    $traffic->stop;
    is(join(' ', map { $_->{state} // 'endless' } @ended),
        join(' ', ('recovered') x @names), 'and over');
    ok(overlap(@ended), 'they overlapped') || diag(explain(\@ended))
        if @ended > 1;

    $diagnosis = $doctor->diagnose(page_since($mark));
    is(Patient::Doctor::labels($diagnosis), $expected,
        'the page tells of exactly that')
        || diag(explain($diagnosis));
    is($diagnosis->{status}, 1, 'ill');
    is($diagnosis->{page}{more}, 0, 'one page is enough');
    is_deeply($diagnosis->{page}{skipped}, { not_json => 0,
        without_timestamp => 0, too_long => 0 }, 'every line is read');
    $doctor->keep($diagnosis);
}

# ---- the proof

subtest 'healthy: no illness, whatever visitors send' => sub {
    my $traffic = Patient::Traffic->new(a_user());
    my $pattern = 'SequelizeConnectionError ResourceRequest timed out '
        . 'ETIMEDOUT TokenExpiredError CPU usage: 98% Query execution time: '
        . '9999ms JavaScript heap out of memory';
    my $path = '/api/' . $pattern =~ tr/ %/+./r;

    for my $method (qw(GET POST TokenExpiredError)) {
        ask($method, $path, headers => { 'User-Agent' => $pattern });
    }
    connection(port => $port)->send("TokenExpiredError ETIMEDOUT\r\n\r\n")
        ->finish;
    ask(GET => '/api/auth/verify', token => 'TokenExpiredError');
    is_used($traffic, 4);
    my %tally = %{ $traffic->tally };
    $traffic->stop;
    is(join(' ', sort keys %tally), '200 201', 'and well');
    my $diagnosis = $doctor->diagnose(page_since(0));
    is(Patient::Doctor::labels($diagnosis), '', 'no false alarm')
        || diag(explain($diagnosis));
    is($diagnosis->{status}, 0, 'healthy');
    is($diagnosis->{severity}, 'none', 'nothing severe');
    cmp_ok($diagnosis->{page}{events}, '<=', 1,
        'nothing on the page but how it was started')
        || diag(explain($diagnosis));
    $doctor->keep($diagnosis);
};

my @names = map { $_->[0] } @SEVEN;

for my $name (@names) {
    subtest "$name alone" => sub { fall_ill($name) };
}
for my $i (0 .. $#names) {
    for my $j ($i + 1 .. $#names) {
        subtest "$names[$i] and $names[$j]" =>
            sub { fall_ill($names[$i], $names[$j]) };
    }
}

subtest 'the ledger says so, too: precision 1, recall 1' => sub {
    my $runs = 7 + 2 * 21;
    my ($status, $marks);

    wait_until(sub {
        ($status, $marks) = $doctor->grade('--tolerance', 2);
        return @{ $marks->{incidents} } == $runs;
    }, 5);
    is(@{ $marks->{incidents} }, $runs, 'all that was done is in it');
    is(join(', ', map { "$_->{label} $_->{start}" }
        grep { !$_->{detected} } @{ $marks->{incidents} }), '',
        'nothing is missed');
    is_deeply($marks->{false_alarms}, [], 'no false alarm');
    cmp_ok($marks->{$_}, '==', 1, $_) for qw(precision recall f1);
    is($status, 0, 'perfect');
    my @late = grep { $_->{onset_error_s} < -2 } @{ $marks->{incidents} };
    is(scalar @late, 0, 'nothing is dated before it began')
        || diag(explain(\@late));
};

subtest 'neither the log nor a list of processes names what it was' => sub {
    my $telling = qr/${\TELL_TALE}|db-failure|n\+1/i;
    my @lines = grep { $_ =~ $telling } $log->raw_since(0);
    my @processes = grep { $_ =~ $telling } sort keys %seen;

    is(scalar @lines, 0, 'the log') || diag($lines[0]);
    cmp_ok(keys %seen, '>', 1, 'processes were seen');
    is("@processes", '', 'processes and threads');
};

undef $_ for $doctor, $patient;
done_testing;
