# The same answers however they travel: HTTP/2 in the clear and over TLS,
# HTTP/1.1 over TLS, compressed by mod_deflate. Every status of the API, errors
# that httpd makes by itself included. A patient of its own.

use Patient;
use Patient::Authority;
use Patient::Curl;
use Patient::Incident qw(arm halt metrics);
use Patient::Log;
use Patient::Port;
use Patient::Server;

my $authority = Patient::Authority->new;
my ($certificate, $key) = $authority->certify('127.0.0.1');
my ($copy, $keep) = Patient::Server->copy_project;
my %port = map { $_ => free_port() } qw(h2 tls);

open my $out, '>>', "$copy/conf/httpd.conf" or die $!;
print $out <<"END";
LoadModule http2_module "\${PATIENT_MODULES}/mod_http2.so"
LoadModule ssl_module "\${PATIENT_MODULES}/mod_ssl.so"
LoadModule deflate_module "\${PATIENT_MODULES}/mod_deflate.so"
Listen 127.0.0.1:$port{h2}
Listen 127.0.0.1:$port{tls}
Protocols h2c http/1.1
H2StreamTimeout 3
SSLCertificateFile "$certificate"
SSLCertificateKeyFile "$key"
<Location "/">
    SetOutputFilter DEFLATE
    Header always set X-Was-Bad yes "expr=%{REQUEST_STATUS} == 400"
</Location>
<VirtualHost 127.0.0.1:$port{h2}>
    Protocols h2 http/1.1
    H2StreamTimeout 3
    SSLEngine on
</VirtualHost>
<VirtualHost 127.0.0.1:$port{tls}>
    Protocols http/1.1
    SSLEngine on
</VirtualHost>
END
close $out or die $!;
my $patient = Patient::Server->new(project => $copy, CHAOS_MODE => 'true',
    NODE_ENV => 'test');
my $port = $patient->port;

my @trust = ('cacert = "' . $authority->file . '"');
my $plain = Patient::Curl->new("http://127.0.0.1:$port");
my %WAYS = (
    'HTTP/1.1, compressed' => { version => '1.1', gzip => 1,
        curl => Patient::Curl->new("http://127.0.0.1:$port", 'compressed') },
    'HTTP/1.1 over TLS' => { version => '1.1',
        curl => Patient::Curl->new("https://127.0.0.1:$port{tls}", @trust) },
    'HTTP/2 over TLS' => { version => '2', curl =>
        Patient::Curl->new("https://127.0.0.1:$port{h2}", 'http2', @trust) },
    'HTTP/2 over TLS, compressed' => { version => '2', gzip => 1, curl =>
        Patient::Curl->new("https://127.0.0.1:$port{h2}", 'http2',
            'compressed', @trust) },
    # curl (7.88) cannot use a connection of this sort twice.
    'HTTP/2 in the clear' => { version => '2', is_single => 1, curl =>
        Patient::Curl->new("http://127.0.0.1:$port",
            'http2-prior-knowledge') },
    'HTTP/2 in the clear, compressed' => { version => '2', is_single => 1,
        gzip => 1, curl => Patient::Curl->new("http://127.0.0.1:$port",
            'http2-prior-knowledge', 'compressed') },
);

# All requests by one way, on one connection where that is possible.
sub ask ($way, @requests) {
    return map { $way->{curl}->request(@$_) } @requests if $way->{is_single};
    return $way->{curl}->requests(@requests);
}

# What an answer says, without what no two answers have in common.
sub essence ($value, $name = '') {
    return { map { $_ => essence($value->{$_}, $_) } keys %$value }
        if ref $value eq 'HASH';
    return [map { essence($_, $name) } @$value] if ref $value eq 'ARRAY';
    return 'VOLATILE' if defined $value && $name
        =~ /\A(?:id|user_id|email|token|incident|uptime|used|total|\w+At
            |responseTime|queryTime|timestamp|iat|exp|duration_s|remaining_s
            |count)\z/x;
    return $value;
}

# An answer is what was asked for, whole, and the same as the plain one.
sub is_same ($way, $answer, $plain_answer, $status, $sentence) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $json = eval { $answer->json };

    is($answer->status, $status, "$sentence: the status")
        || diag($answer->{problem} // '', $answer->summary);
    is($answer->{version}, $way->{version}, "$sentence: the protocol");
    is($plain_answer->status, $status, "$sentence: and in plain HTTP/1.1");
    is(scalar $answer->header('Accept-Ranges'), 'none', "$sentence: headers")
        if $status != 204;
    is(scalar $answer->header('X-Was-Bad'), $status == 400 ? 'yes' : undef,
        "$sentence: the status that other modules see");
    is_deeply(essence($json), essence(eval { $plain_answer->json }),
        "$sentence: the body") if length $plain_answer->body;
}

my $user = sign_in(port => $port);
my $other = sign_in(port => $port);
my $CONTENT = "\x01\"\\" x 21_845;
my $big = new_post($user, port => $port, title => 'Big', content => $CONTENT);
my $theirs = new_post($other, port => $port);
my @JSON = (type => 'application/json');

sub mine () { return new_post($user, port => $port)->{id} }

# STATUS => METHOD, TARGET, what goes along; made anew for each way.
sub requests () {
    my @login = (POST => '/api/auth/login');
    my @write = (POST => '/api/posts', token => $user->{token});
    return (
        [200 => GET => '/'], [200 => GET => '/health'],
        [200 => GET => '/api/posts?limit=1'],
        [200 => GET => "/api/posts/$big->{id}"],
        [200 => GET => '/api/auth/verify', token => $user->{token}],
        [200 => @login, json => { email => $user->{email},
            password => $user->{password} }],
        [200 => DELETE => '/api/posts/' . mine(), token => $user->{token}],
        [201 => @write, json => { title => 'T', content => $CONTENT }],
        [201 => POST => '/api/auth/register', json => { email => new_email(),
            password => password() }],
        [204 => OPTIONS => '/api/posts'], [204 => OPTIONS => '/nowhere'],
        [204 => OPTIONS => '/api/posts', @JSON, body => 'x' x 500_000],
        [404 => GET => '/' . 'x' x 6000],
        [400 => @login, @JSON, body => '{'],
        [400 => @login, @JSON, body => ''],
        [400 => @write, json => { title => ' ' }],
        [400 => GET => '/api/posts?limit=x'],
        [400 => GET => '/api/posts?limit=%zz'],
        [401 => POST => '/api/posts', json => { title => 'T' }],
        [401 => POST => '/api/posts', @JSON, body => 'x' x 500_000],
        [401 => @login, json => { email => $user->{email},
            password => 'another' }],
        [401 => GET => '/api/auth/verify', token => 'a.b.c'],
        [403 => DELETE => "/api/posts/$theirs->{id}",
            token => $user->{token}],
        [404 => GET => '/nowhere'], [404 => GET => '/api/posts/0'],
        [404 => GET => '/a%2Fb'],
        [404 => POST => '/nowhere', @JSON, body => 'x' x 500_000],
        [405 => PUT => '/'], [405 => DELETE => '/api/posts'],
        [409 => POST => '/api/auth/register', json => {
            email => $user->{email}, password => password() }],
        [413 => @write, @JSON, body => ' ' x 600_000],
        [413 => @login, @JSON, body => ' ' x 3_000_000],
        [415 => @login, type => 'text/plain', body => 'x'],
        [415 => @login, @JSON, body => 'x',
            headers => { 'Content-Encoding' => 'gzip' }],
        [422 => POST => '/api/chaos/db-fail', json => { duration_s => 601 }],
        [400 => POST => '/api/chaos/db-fail', json => { nothing => 1 }],
        [404 => POST => '/api/chaos/none', json => {}],
        [200 => POST => '/api/chaos/halt'],
    );
}

sub name_of ($request) { return join ' ', @$request[0 .. 2] }

my @expected = $plain->requests(map { [@$_[1 .. $#$_]] } requests());

for my $name (sort keys %WAYS) {
    my $way = $WAYS{$name};

    subtest "$name: every status, its body whole" => sub {
        my @requests = requests();
        my @answers = ask($way, map { [@$_[1 .. $#$_]] } @requests);
        my $connects = 0;

        for my $i (0 .. $#requests) {
            is_same($way, $answers[$i], $expected[$i], $requests[$i][0],
                name_of($requests[$i]));
            $connects += $answers[$i]{connects};
        }
        ok($answers[3]->json->{content} eq $CONTENT, 'the big one is right');
        is(scalar $answers[3]->header('Content-Encoding'),
            $way->{gzip} ? 'gzip' : undef, 'compressed or not, as asked for');
        is($connects, 1, 'all on one connection') unless $way->{is_single};
    };

    subtest "$name: HEAD has the headers of GET and no body" => sub {
        my %expect = ('/' => 200, "/api/posts/$big->{id}" => 200,
            '/nowhere' => 404, '/api/posts?limit=x' => 400,
            '/api/auth/verify' => 401, '/a%2Fb' => 404);

        for my $path (sort keys %expect) {
            my ($head, $get, $next) = ask($way, [HEAD => $path],
                [GET => $path], [GET => '/livez']);
            is($head->status, $expect{$path}, $path);
            is($get->status, $expect{$path}, 'as GET has it');
            is(scalar $head->header('Content-Type'),
                scalar $get->header('Content-Type'), 'the type');
            is(scalar $head->header('Content-Length'),
                scalar $get->header('Content-Length'), 'the length')
                # Compressed, there is none; and a 404 tells the method.
                unless $way->{gzip} || $expect{$path} == 404;
            is($next->status, 200, 'the next answer follows');
        }
    };

    subtest "$name: HEAD with a body that nobody wants" => sub {
        my %expect = ('/livez' => 200, '/nowhere' => 404,
            '/api/posts?limit=x' => 400, '/a%zz' => 400, '/a%2Fb' => 404);

        for my $path (sort keys %expect) {
            my ($head, $next) = ask($way, [HEAD => $path, @JSON,
                body => 'x' x 500_000], [GET => '/livez']);
            is($head->status, $expect{$path}, $path)
                || diag($head->{problem});
            is($next->status, 200, 'the next is served');
        }
    } if $way->{version} eq '2';

    subtest "$name: what httpd refuses by itself is JSON, too" => sub {
        my $is_h2 = $way->{version} eq '2';
        my %expect = (
            'an escape that is none' => [400 => GET => '/a%zz'],
            'an escape that is none, and a body' =>
                [400 => POST => '/a%zz', @JSON, body => 'x' x 300_000],
            'a long path' => [414 => GET => '/' . 'x' x 9000],
            'a long header' => [$is_h2 ? 431 : 400, GET => '/livez',
                headers => { 'X-Long' => 'x' x 10_000 }],
            'an expectation' => [417 => GET => '/livez',
                headers => { Expect => 'the unexpected' }],
            'a body beyond all bounds' => [413 => POST => '/api/posts',
                token => $user->{token}, @JSON, body => 'x' x 5_000_000],
        );
        for my $kind (sort keys %expect) {
            my ($status, @request) = @{ $expect{$kind} };
            # Over HTTP/1.1 it ends the connection.
            my ($answer, $next) = ask($way, [@request], [GET => '/livez']);
            if ($answer->status == 0 && !$is_h2
                && $kind eq 'a body beyond all bounds') {
                # curl was still sending when the connection went.
                pass("$kind: the connection ends");
            }
            else {
                is_error($answer, $status, qr/\S/, $kind)
                    unless $way->{gzip};
                is($answer->status, $status, "$kind: the status");
                ok(eval { length $answer->json->{error} }, 'the body');
            }
            is($next->status, 200, 'the next is served');
            is($next->{connects}, 0, 'on the same connection')
                if $is_h2 && !$way->{is_single};
        }
    };
}

# ---- what users feel of a failure

sub for_all_ways ($status, @request) {
    my ($expected) = $plain->requests([@request]);

    for my $name (sort keys %WAYS) {
        my $way = $WAYS{$name};
        my ($answer, $next) = ask($way, [@request], [GET => '/livez']);
        is_same($way, $answer, $expected, $status, "$name: $request[1]");
        is($next->status, 200, 'the next is served');
        is($next->{connects}, 0, 'on the same connection')
            unless $way->{is_single};
    }
}

subtest '202 when a failure begins, 409 while it runs, 503 from it' => sub {
    my @begin = (POST => '/api/chaos/db-fail',
        json => { duration_s => 300, mode => 'refused' });

    for my $name (sort keys %WAYS) {
        my $way = $WAYS{$name};
        my ($first, $second) = ask($way, [@begin], [@begin]);
        is($first->status, 202, "$name: it begins");
        like(scalar $first->header('Location'),
            qr{\A/api/chaos/incidents/[0-9a-f]{16}\z}, 'where to look');
        is($first->json->{state}, 'armed', 'the body');
        is($second->status, 409, 'not twice');
        is($second->json->{incident}, $first->json->{id}, 'it says which');
        halt(port => $port);
    }
    arm('db-fail', { duration_s => 300, mode => 'refused' }, port => $port);
    for_all_ways(503, GET => '/health');
    for_all_ways(503, GET => '/api/posts');
    for_all_ways(503, POST => '/api/posts', token => $user->{token},
        json => { title => 'T' });
    for_all_ways(503, POST => '/api/auth/login', json => {
        email => $user->{email}, password => $user->{password} });
    halt(port => $port);
};

subtest '504 when another service does not answer' => sub {
    arm('api-timeout', { duration_s => 300, timeout_ms => 200 },
        port => $port);
    for_all_ways(504, POST => '/api/posts', token => $user->{token},
        json => { title => 'T' });
    halt(port => $port);
};

# ---- who counts

subtest 'the log and the figures have the true status' => sub {
    my %class = (200 => '2xx', 204 => '2xx', 400 => '4xx', 401 => '4xx',
        404 => '4xx', 413 => '4xx');

    for my $name ('plain', sort keys %WAYS) {
        my $way = $WAYS{$name} // { curl => $plain };
        my $mark = $patient->log->mark;
        my $before = metrics(port => $port)->{requests};
        my $count = 0;
        my @requests = map { my ($status, @request) = @$_;
            my $id = "true-$status-" . ++$count . "-$^T";
            [$id, $status, @request, headers => { 'X-Request-Id' => $id }] }
            [200 => GET => '/'], [204 => OPTIONS => '/'],
            [400 => POST => '/api/auth/login', @JSON, body => '{'],
            [400 => GET => '/a%zz'],
            [401 => GET => '/api/auth/verify'], [404 => GET => '/nowhere'],
            [413 => POST => '/api/auth/login', @JSON, body => ' ' x 600_000],
            [404 => HEAD => '/nowhere'];
        my @answers = ask($way, map { [@$_[2 .. $#$_]] } @requests);

        for my $i (0 .. $#requests) {
            my ($id, $status, $method) = @{ $requests[$i] };
            my $line = $patient->log->wait_for($mark, sub ($l) {
                $l->{type} eq 'REQUEST' && ($l->{request_id} // '') eq $id });
            is($answers[$i]->status, $status, "$name: $id was told it");
            is($line->{status}, $status, "$name: and so is the log");
            is(scalar $answers[$i]->header('X-Request-Id'), $id, 'under its id');
            is($line->{bytes}, length $answers[$i]->body, 'and what was sent')
                unless $way->{gzip} || $method eq 'HEAD';
            is($line->{bytes}, 0, 'of a HEAD, nothing') if $method eq 'HEAD';
        }
        my $after = metrics(port => $port)->{requests};
        my %counted = map { $_ => $after->{$_} - $before->{$_} }
            qw(4xx 5xx);
        is_deeply(\%counted, { '4xx' => 6, '5xx' => 0 }, "$name: the figures");
    }
};

# What the client would see of it, curl does not show: it waits for the body.
subtest 'a body that never ends is given up' => sub {
    my $mark = $patient->log->mark;

    $WAYS{'HTTP/2 over TLS'}{curl}->stall(10, POST => '/api/auth/login',
        type => 'application/json');
    my $line = $patient->log->wait_for($mark, sub ($l) {
        $l->{type} eq 'REQUEST' && $l->{path} eq '/api/auth/login' });
    is($line->{status}, 408, 'after H2StreamTimeout, and is a 408');
};

subtest 'a stream that is reset does no harm' => sub {
    my $mark = $patient->log->mark;

    for (1 .. 10) {
        my $gone = $WAYS{'HTTP/2 over TLS'}{curl}->stall(0.2, POST =>
            '/api/auth/login', type => 'application/json');
        is($gone->status, 0, 'who left has no answer') if $_ == 1;
    }
    is($WAYS{'HTTP/2 over TLS'}{curl}->request(GET => '/livez')->status, 200,
        'the server goes on');
    ok(!(grep { ($_->{error} // $_->{message} // '')
        =~ /exit signal|Segmentation|Abort|process died/ }
        $patient->log->since($mark)), 'no child has died');
};

$patient->stop;
subtest 'every line of the log is JSON' => sub {
    is(join("\n", grep { Patient::Log::faults($_) }
        $patient->log->raw_since), '', 'it is');
};

done_testing;
