# POST /api/chaos/db-fail, the one-shot: a real connection to a wrong place,
# over HTTP and from the command line, and who may ask for it.

use Patient;
use Patient::Log;
use Patient::Server;

my $log = Patient::Log->new;

sub db_fail ($body = undef, %with) {
    return request(POST => '/api/chaos/db-fail',
        defined $body ? (json => $body) : (), %with);
}

my %MODE = (
    timeout => {
        code => 'ETIMEDOUT', host => '127.0.0.1',
        error => qr/\ASequelizeConnectionError: connect ETIMEDOUT\z/,
    },
    refused => {
        code => 'ECONNREFUSED', host => '127.0.0.1',
        error => qr/\ASequelizeConnectionRefusedError:
            [ ]connect[ ]ECONNREFUSED[ ]127\.0\.0\.1:\d+\z/x,
    },
    dns => {
        code => 'ENOTFOUND', host => qr/\w/,
        error => qr/\ASequelizeHostNotFoundError: getaddrinfo ENOTFOUND \S+\z/,
    },
);

subtest 'with an empty body the connection times out' => sub {
    my $mark = $log->mark;
    my $answer = db_fail();

    is_json($answer, 200, 'it is JSON');
    has_shape($answer->json, {
        scenario => 'DB Connection Failure', code => 'ETIMEDOUT',
        error    => $MODE{timeout}{error}, incident => qr/\A\S+\z/,
    }, 'with the seed\'s keys and the incident');
    cmp_ok($answer->seconds, '>=', 0.9, 'and it has really waited');
    ok($log->wait_for($mark, sub ($l) {
        $l->{type} eq 'DB CONNECTION ERROR'
            && $l->{request_id} eq $answer->header('X-Request-Id') }),
        'the log has a line of this request');
};

for my $mode (sort keys %MODE) {
    subtest "mode $mode really fails in that way, and the log says so" => sub {
        # One request's line may be held back if the same failure was logged
        # just before; of another process it never is.
        my $patient = Patient::Server->new(CHAOS_MODE => 'true');
        my $port = $patient->port;
        my $answer = db_fail({ mode => $mode }, port => $port);

        is_json($answer, 200, 'it is JSON');
        has_shape($answer->json, {
            scenario => 'DB Connection Failure',
            error => $MODE{$mode}{error}, code => $MODE{$mode}{code},
            incident => STRING,
        }, 'the answer');
        my $line = $patient->log->wait_for(0, sub ($l) {
            $l->{type} eq 'DB CONNECTION ERROR' });
        has_shape($line // {}, {
            timestamp => TIME, level => 'error',
            type => 'DB CONNECTION ERROR', pid => INT,
            request_id => scalar $answer->header('X-Request-Id'),
            error => $MODE{$mode}{error}, code => $MODE{$mode}{code},
            host => $MODE{$mode}{host}, port => INT, mysql_errno => INT,
            '...' => 1,
        }, 'the line');
        is($line->{error}, $answer->json->{error}, 'says the same');
        like(join(' ', map { $line->{$_} // '' } qw(error parent)),
            qr/SequelizeConnectionError/, 'in it stands the seed\'s pattern');
        is_json(request(GET => '/health', port => $port), 200,
            'and the patient itself is well');
    };

    subtest "build/patient-chaos prints the same line: $mode" => sub {
        my $patient = Patient::Server->prepare;
        my ($status, undef, $out, $err) = $patient->command(
            "$FindBin::Bin/../build/patient-chaos", 'db-fail', '--mode', $mode);
        my @lines = split /\n/, $err;

        is($status, 0, 'the failure happened') || diag($err);
        is(@lines, 1, 'one line on stderr') || diag($err);
        is(join(', ', Patient::Log::faults($lines[0] // '')), '', 'sound');
        has_shape(eval { Patient::Log::decode($lines[0]) } // {}, {
            timestamp => TIME, level => 'error',
            type => 'DB CONNECTION ERROR', pid => INT,
            error => $MODE{$mode}{error}, code => $MODE{$mode}{code},
            host => $MODE{$mode}{host}, port => INT, mysql_errno => INT,
            '...' => 1,
        }, 'with the same fields');
        has_shape(eval { Patient::Response::decode($out) } // {}, {
            scenario => 'DB Connection Failure',
            error => $MODE{$mode}{error}, code => $MODE{$mode}{code},
            '...' => 1,
        }, 'the report is on stdout');
    };
}

subtest 'the command line refuses what it does not know' => sub {
    my $patient = Patient::Server->prepare;
    for my $args ([], ['no-such-thing'], ['db-fail', '--mode', 'perhaps'],
        ['db-fail', '--nonsense', '1']) {
        my ($status, undef, $out, $err) = $patient->command(
            "$FindBin::Bin/../build/patient-chaos", @$args);
        isnt($status, 0, "patient-chaos @$args");
        is($out, '', 'no report') if @$args;
    }
};

subtest 'a parameter that nobody knows, or a wrong value, is 400' => sub {
    for my $body ({ mode => 'perhaps' }, { mode => 17 }, { nonsense => 1 },
        { timeout_ms => 'long' }, { mode => undef }) {
        is_error(db_fail($body), 400, qr/./, JSON::PP->new->encode($body));
    }
    is_error(db_fail(undef, body => '{', type => 'application/json'), 400,
        qr/./, 'malformed');
};

subtest 'a value over its cap is 422' => sub {
    is_error(db_fail({ timeout_ms => 3_600_000 }), 422, qr/timeout_ms/,
        'an hour');
};

subtest 'other methods are 405' => sub {
    for my $method (qw(PUT PATCH)) {
        my $answer = request($method => '/api/chaos/db-fail');
        is_error($answer, 405, qr/./, $method);
        like(scalar $answer->header('Allow'), qr/\bPOST\b/, 'Allow');
    }
};

subtest 'no line of it says that it was done on purpose' => sub {
    my $mark = $log->mark;
    db_fail({ mode => 'refused' });
    my $id = request(GET => '/api/posts')->header('X-Request-Id');

    ok($log->wait_for($mark, sub ($l) { $l->{type} eq 'REQUEST'
        && $l->{request_id} eq $id }), 'the next request has its line');
    unlike(join("\n", $log->raw_since($mark)),
        qr/chaos|scenario|incident|db-fail/i, 'what came before is silent');
};

# ---- who may

# The answer that a path gets that is really not there.
sub is_not_there ($port, $sentence, %with) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $unknown = request(POST => '/api/nowhere', port => $port, %with);

    # OPTIONS is answered on every path alike.
    for my $method (qw(POST GET DELETE)) {
        my $path = '/api/chaos/db-fail';
        my $answer = request($method => $path, port => $port, %with);
        next if is_error($answer, 404, 'Not Found', "$sentence: $method")
            && is_deeply($answer->json, { %{ $unknown->json },
                path => $path, method => $method }, 'like any other');
    }
}

subtest 'without CHAOS_MODE it is not there' => sub {
    for my $mode (undef, 'false') {
        my $patient = Patient::Server->new(CHAOS_MODE => $mode);
        is_not_there($patient->port, $mode // 'unset');
        is((grep { /operator routes/ } $patient->log->raw_since), 0,
            'and nothing is said of it');
    }
};

subtest 'without CHAOS_MODE not even for who has the token' => sub {
    my $patient = Patient::Server->new(CHAOS_MODE => 'false',
        CHAOS_TOKEN => 'operator');
    is_not_there($patient->port, 'with the token', token => 'operator');
};

subtest 'with its toggle off it is not there' => sub {
    my ($copy, $keep) = Patient::Server->copy_project;
    my $conf = Patient::Server::slurp("$copy/conf/chaos.conf");

    $conf =~ s{(<Location "/api/chaos/db-fail">\s*PatientChaos )On}{$1Off}
        or die 'no toggle for db-fail in conf/chaos.conf';
    open my $out, '>', "$copy/conf/chaos.conf" or die $!;
    print $out $conf;
    close $out;
    my $patient = Patient::Server->new(project => $copy, CHAOS_MODE => 'true');
    is_not_there($patient->port, 'PatientChaos Off');
};

subtest 'with CHAOS_TOKEN it is for who has it' => sub {
    my $patient = Patient::Server->new(CHAOS_MODE => 'true',
        CHAOS_TOKEN => 'operator "token" %$\\');
    my $port = $patient->port;
    my %refused = (
        'no token' => undef, 'a wrong one' => 'operator',
        'one letter more' => 'operator "token" %$\\x',
        'one letter less' => 'operator "token" %$',
        'a user\'s' => sign_in(port => $port)->{token},
    );
    for my $kind (sort keys %refused) {
        my $answer = db_fail({ mode => 'refused' }, port => $port,
            token => $refused{$kind});
        is_error($answer, 401, qr/./, $kind);
        like(scalar $answer->header('WWW-Authenticate'), qr/\ABearer\b/,
            'with a challenge');
    }
    is_json(db_fail({ mode => 'refused' }, port => $port,
        token => 'operator "token" %$\\'), 200, 'the right one opens');
    is((grep { /operator routes are open/ } $patient->log->raw_since), 0,
        'nothing is open to all, so nothing is said');
    is(index($patient->log_text, 'operator "token"'), -1,
        'the token is not in the log');
};

subtest 'open to all, the start says so once, in neutral words' => sub {
    my $patient = Patient::Server->new(CHAOS_MODE => 'true', CHAOS_TOKEN => '');
    my @lines = grep { ($_->{message} // $_->{error} // '')
        =~ /operator routes are open/ } $patient->log->since;

    is(@lines, 1, 'one line');
    is($lines[0]{level}, 'warning', 'a warning');
    unlike($patient->log_text, qr/chaos/i, 'and not the word');
};

done_testing;
