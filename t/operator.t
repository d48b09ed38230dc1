# What an operator does shows in the ledger alone: no line of the log and no
# figure of the server's tells that somebody was there.

use Patient;
use Patient::Connection;
use Patient::Curl;
use Patient::Ill;
use Patient::Incident qw(TELL_TALE moment);
use Patient::Log;
use Patient::Server;

my $token = 'the operator of this suite';
my %bearer = (token => $token);
my $patient = Patient::Ill->new(CHAOS_TOKEN => $token);
my $port = $patient->port;

sub operator ($method, $path, %with) {
    return $patient->ask($method => $path, %bearer, %with);
}

# The lines that $body leaves, those about requests and httpd's own, but that of
# the user who ends it. A request's line may come after the next one's answer:
# $count of them are waited for first.
sub lines_of ($who, $body, $count = 0) {
    my $mark = $who->log->mark;

    $body->();
    wait_until(sub { $count <= grep { $_->{type} eq 'REQUEST' }
        $who->log->since($mark) });
    my $id = $who->ask(GET => '/api/posts/x')->header('X-Request-Id');
    my $is_last = sub ($l) { $l->{type} eq 'REQUEST'
        && ($l->{request_id} // '') eq $id };
    $who->log->wait_for($mark, $is_last) or die "no line of the user's\n";
    return grep { $_->{type} =~ /\A(?:REQUEST|HTTPD)\z/ && !$is_last->($_) }
        $who->log->since($mark);
}

# Whatever an operator may ask, and what it is answered.
my @ASKED = (
    [200, GET     => '/api/chaos'],
    [200, HEAD    => '/api/chaos'],
    [200, GET     => '/api/chaos/'],
    [200, GET     => '/api/%63haos'],
    [200, GET     => '/api/chaos/incidents'],
    [200, GET     => '/api/chaos/page'],
    [404, GET     => '/api/chaos/incidents/none'],
    [405, PUT     => '/api/chaos/jwt-expiry'],
    [204, OPTIONS => '/api/chaos/jwt-expiry'],
    [401, POST    => '/api/chaos/jwt-expiry', token => undef],
    [401, POST    => '/api/chaos/jwt-expiry', token => 'a wrong one'],
    [400, POST    => '/api/chaos/jwt-expiry', json => { no => 1 }],
    [400, POST    => '/api/chaos/jwt-expiry', json => [],
        headers => { 'X-Request-Id' => 'jwt-expiry' }],
    [415, POST    => '/api/chaos/jwt-expiry', json => {},
        headers => { 'Content-Type' => 'text/plain' }],
    [413, POST    => '/api/chaos/jwt-expiry',
        json => { text => 'x' x 600_000 }],
    [422, POST    => '/api/chaos/high-cpu',
        json => { duration_s => 1, percent => 101 }],
    [202, POST    => '/api/chaos/jwt-expiry', json => { duration_s => 60 }],
    [409, POST    => '/api/chaos/jwt-expiry', json => { duration_s => 60 }],
    [200, DELETE  => '/api/chaos/jwt-expiry'],
    [200, POST    => '/api/chaos/halt'],
    [200, POST    => '/api/chaos/db-fail', json => { mode => 'refused' }],
);

# And what is wrong with a request before anybody knows what it asks for.
my @BROKEN = (
    [404, POST    => '/api/chaos/db-fial'],
    [404, POST    => '/api/chaos/db-fail/x'],
    [404, GET     => '/api/chaos;db-fail'],
    [404, POST    => '/API/Chaos/db-fail'],
    [404, POST    => '/chaos/db-fail'],
    [404, POST    => '/api/db-fail'],
    [404, POST    => '/api/%2563haos/jwt%2dexpiry'],
    [405, PUT     => '//api///chaos//db-fail'],
    [405, PUT     => '/api/posts/../chaos/db-fail'],
    [405, PUT     => 'http://localhost/api/chaos/db-fail'],
    [404, POST    => '/api/chaos%2Fdb-fail'],
    [404, POST    => '/api%2F%63haos/db-fail'],
    [404, POST    => '/api/chaos/db-fail%00'],
    [400, POST    => '/api/chaos/db-fail%zz'],
    [400, POST    => '/api/chaos/../../../db-fail'],
    [400, GET     => '/api/chaos#db-fail'],
    [404, POST    => '/api/chaos/db-fail' . 'x' x 7000],
    [414, POST    => '/api/chaos/db-fail' . 'x' x 9000],
    [400, CONNECT => '/api/chaos/db-fail'],
    [405, BREW    => '/api/chaos/db-fail'],
    map { [$_->[0], POST => '/api/chaos/db-fail', headers => $_->[1]] } (
        [400, { Host => undef }],
        [400, { Cookie => 'x' x 9000 }],
        [400, { map { ("X-$_" => 1) } 1 .. 120 }],
        [400, { 'Content-Length' => 'much' }],
        [400, { 'Transfer-Encoding' => 'chaos' }],
        [417, { Expect => 'db-fail' }],
    ),
);

sub ask_all ($who, @asked) {
    for my $asked (@asked) {
        my ($status, $method, $path, %with) = @$asked;
        my $name = length $path < 60 ? $path
            : substr($path, 0, 20) . '..., ' . length($path) . ' bytes';
        my $answer = $who->ask($method => $path, %bearer, %with);
        is($answer->status, $status, "$method $name: $status")
            || diag($answer->summary);
    }
}

subtest 'a request of an operator leaves no line, whatever its answer' => sub {
    my @lines = lines_of($patient, sub { ask_all($patient, @ASKED) });

    is(@lines, 0, 'none') || diag(explain(\@lines));
};

subtest 'nor does one that is mistyped or malformed' => sub {
    my @lines = lines_of($patient, sub { ask_all($patient, @BROKEN) });

    is(@lines, 0, 'none') || diag(explain(\@lines));
};

subtest 'a user\'s that looks like one does' => sub {
    my @paths = qw(/api/posts/high-cpu /api/chaos/../posts/%63haos
        /api/posts?chaos /api/nowhere?chaos);
    my @lines = lines_of($patient, sub {
        $patient->ask(GET => $_) for @paths }, scalar @paths);

    is(@lines, @paths, 'a line for each') || diag(explain(\@lines));
};

# Those that curl can send, over HTTP/2 as well.
sub sendable () {
    return grep { $_->[1] ne 'CONNECT' && $_->[2] =~ m{\A/api/chaos[^#]*\z}
        && length $_->[2] < 100 && !{ @$_[3 .. $#$_] }->{headers} }
        @ASKED, @BROKEN;
}

subtest 'nor does one over HTTP/2, or one that comes too slowly' => sub {
    my ($copy, $keep) = Patient::Server->copy_project;
    open my $out, '>>', "$copy/conf/httpd.conf" or die $!;
    print $out <<'END';
LoadModule http2_module "${PATIENT_MODULES}/mod_http2.so"
Protocols h2c http/1.1
RequestReadTimeout header=3 body=3
END
    close $out;
    my $other = Patient::Ill->new(project => $copy, CHAOS_TOKEN => $token,
        LOG_LEVEL => 'debug');
    my $curl = Patient::Curl->new('http://localhost:' . $other->port,
        'http2-prior-knowledge');
    my @lines = grep { $_->{type} eq 'REQUEST' } lines_of($other, sub {
        for my $asked (sendable()) {
            my ($status, $method, $path, %with) = @$asked;
            is($curl->request($method => $path, %bearer, %with)->status,
                $status, "$method $path: $status");
        }
        for my $start ("POST /api/chaos/db-fail HTTP/1.1\r\nHost: x\r\n",
            $other->connection->compose(POST => '/api/chaos/db-fail', %bearer,
                headers => { 'Content-Length' => 100,
                    'Content-Type' => 'application/json' })) {
            my $slow = $other->connection;
            $slow->send($start);
            is($slow->read('POST')->status, 408, 'too slowly: 408');
        }
    }, sendable() + 2);

    is(@lines, sendable() + 2, 'one of each');
    is((grep { $_->{level} ne 'debug' } @lines), 0, 'but at debug alone')
        || diag(explain(\@lines));
    unlike(join("\n", $other->log->raw_since(0)), TELL_TALE,
        'and none of the whole log tells');
};

# All figures of requests, by name. A request is counted when all of its answer
# is sent: one that came over the same connection is counted before the next.
sub figures ($connection) {
    my $json = $connection->request(GET => '/api/metrics')->json->{requests};
    my $text = $connection->request(GET => '/metrics')->body;
    my %all = map { $_ => $json->{$_} } qw(total 2xx 3xx 4xx 5xx inFlight);

    $all{$1} = $2 while $text =~ /^(\w+_count\{.*\}) (\S+)$/mg;
    return \%all;
}

subtest 'it counts in no figure' => sub {
    my $connection = Patient::Connection->new($port);
    my ($first, $before) = map { figures($connection) } 1 .. 2;
    my %step = map { $_ => $before->{$_} - ($first->{$_} // 0) }
        keys %$before;
    ask_all($patient, @ASKED, @BROKEN);
    my $after = figures($connection);

    is_deeply({ map { $_ => $after->{$_} - ($before->{$_} // 0) }
        keys %$after }, \%step, 'each grew by what looking at it costs');
    unlike($patient->ask(GET => '/metrics')->body, TELL_TALE,
        'and no name is of an operator\'s route');
};

subtest 'nor while it lasts' => sub {
    my $slow = Patient::Connection->new($port);

    $slow->send($slow->compose(POST => '/api/chaos/api-timeout', %bearer));
    ok($patient->log->wait_for(0, sub ($l) {
        $l->{type} eq 'API TIMEOUT ERROR' }, 0) || wait_until(sub {
        grep { !$_->{endedAt} } @{ operator(GET => '/api/chaos/incidents')
            ->json->{incidents} } }), 'it runs');
    is(figures(Patient::Connection->new($port))->{inFlight}, 1,
        'who asks is the only one');
    is($slow->read->status, 200, 'it is answered');
};

subtest 'nor in the evidence of an incident' => sub {
    my $id = operator(POST => '/api/chaos/jwt-expiry',
        json => { duration_s => 1 })->json->{id};
    my $end;

    ok(wait_until(sub {
        $end = operator(GET => "/api/chaos/incidents/$id")->json;
        return $end->{endedAt};
    }), 'an incident that nobody met but who looked at it');
    is($end->{evidence}{during}{requests}, 0, 'no request');
};

subtest 'what it makes fail does not carry the id that it gave' => sub {
    my $other = Patient::Ill->new;
    my $answer = $other->ask(POST => '/api/chaos/db-fail',
        json => { mode => 'refused' },
        headers => { 'X-Request-Id' => 'now-db-fail' });

    is($answer->header('X-Request-Id'), 'now-db-fail', 'it is answered');
    my $line = $other->log->wait_for(0, sub ($l) {
        $l->{type} eq 'DB CONNECTION ERROR' });
    ok($line, 'the failure has its line');
    unlike(join("\n", $other->log->raw_since(0)), TELL_TALE,
        'which is silent about it');
};

subtest 'at debug there is a line, without what would tell more' => sub {
    my $chatty = Patient::Ill->new(CHAOS_TOKEN => $token,
        LOG_LEVEL => 'debug');
    my @lines = grep { $_->{type} eq 'REQUEST' }
        lines_of($chatty, sub { ask_all($chatty, @ASKED, @BROKEN) },
            @ASKED + @BROKEN);

    is(@lines, @ASKED + @BROKEN, 'one of each');
    is((grep { $_->{level} ne 'debug' } @lines), 0, 'at that level');
    is(join(' ', keys %{ { map { $_->{path} => 1 } @lines } }),
        '/api/operations', 'all of the same path');
    is((grep { exists $_->{bytes} || exists $_->{durationMs} } @lines), 0,
        'neither size nor duration');
    unlike(join("\n", $chatty->log->raw_since(0)), TELL_TALE,
        'nothing of the whole log tells');
};

subtest 'figures in the log come no sooner while somebody is at it' => sub {
    my ($copy, $keep) = Patient::Server->copy_project;
    open my $out, '>>', "$copy/conf/patient.conf" or die $!;
    print $out "PatientMetricsInterval 1\n";
    close $out;
    my $timed = Patient::Ill->new(project => $copy);
    my $median = sub {
        my $mark = $timed->log->mark;
        my @at;
        wait_until(sub {
            @at = map { moment($_->{timestamp}) }
                grep { $_->{type} eq 'METRICS' } $timed->log->since($mark);
            return @at > 6;
        }, 40) or die "no lines\n";
        return (sort { $a <=> $b } map { $at[$_ + 1] - $at[$_] }
            0 .. $#at - 1)[@at / 2 - 1];
    };

    my $healthy = $median->();
    $timed->fall_ill('jwt-expiry', duration_s => 120);
    my $ill = $median->();
    cmp_ok(abs($ill - $healthy), '<', 0.5, "$healthy s, then $ill s");
};

subtest 'a closed route is an unknown path like any other' => sub {
    my $closed = Patient::Ill->new(CHAOS_MODE => 'false');
    my $count = sub {
        my $text = $closed->ask(GET => '/metrics')->body;
        return $text =~ /route="other",status="4xx"\} (\d+)$/m ? $1 : 0;
    };
    my $before = $count->();
    my @lines = lines_of($closed, sub {
        $closed->ask(POST => $_) for '/api/chaos/db-fail', '/api/nowhere';
    }, 2);
    $closed->ask(POST => '/api/chaos/db-fail%zz');

    is(@lines, 2, 'a line for each');
    delete @$_{qw(timestamp pid request_id durationMs bytes path)} for @lines;
    is_deeply($lines[0], $lines[1], 'the same but for its path');
    unlike(join("\n", $closed->log->raw_since(0)), TELL_TALE,
        'which names nothing');
    ok(wait_until(sub { $count->() == $before + 3 }), 'and all count');
};

$patient->stop;
done_testing;
