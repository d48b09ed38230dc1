# What holds for every route: unknown paths, wrong methods, HEAD, OPTIONS and
# CORS, the headers of every answer, and the request's id.

use Patient;

# Each path, and the methods that it has besides OPTIONS.
my %ROUTES = (
    '/'                  => 'GET HEAD',
    '/health'            => 'GET HEAD',
    '/livez'             => 'GET HEAD',
    '/readyz'            => 'GET HEAD',
    '/metrics'           => 'GET HEAD',
    '/api/metrics'       => 'GET HEAD',
    '/api/auth/register' => 'POST',
    '/api/auth/login'    => 'POST',
    '/api/auth/verify'   => 'GET HEAD',
    '/api/posts'         => 'GET HEAD POST',
    '/api/posts/1'       => 'DELETE GET HEAD',
);

my %SECURITY = (
    'X-Content-Type-Options'    => qr/\Anosniff\z/,
    'X-Frame-Options'           => qr/\A(?:DENY|SAMEORIGIN)\z/,
    'Referrer-Policy'           => qr/\A[\w-]+\z/,
    'Content-Security-Policy'   => qr/default-src 'none'|default-src 'self'/,
    'Strict-Transport-Security' => qr/\Amax-age=\d{7,}/,
);

# One answer of each sort.
sub answers () {
    return (
        'a 200'             => request(GET => '/'),
        'a 200 of a HEAD'   => request(HEAD => '/api/posts'),
        'the text metrics'  => request(GET => '/metrics'),
        'a 204'             => request(OPTIONS => '/api/posts'),
        'a 400'             => request(GET => '/api/posts?limit=x'),
        'a 401'             => request(POST => '/api/posts', json => {}),
        'a 404 of ours'     => request(GET => '/nowhere'),
        'a 404 of a post'   => request(GET => '/api/posts/x'),
        'a 404 of httpd'    => request(GET => '/a%2Fb'),
        'a 405'             => request(PUT => '/'),
        'a 413'             => request(POST => '/api/auth/login',
            type => 'application/json', body => ' ' x 600_000),
        'a 415'             => request(POST => '/api/auth/login',
            type => 'text/plain', body => 'x'),
        'a 400 of httpd'    => request(GET => '/',
            headers => { Host => undef }),
        'a 414'             => request(GET => '/' . 'x' x 9000),
    );
}

subtest 'an unknown path is 404, with path and method' => sub {
    for my $path (qw(/nowhere /api /api/ /api/nowhere /health/x /healthz
        /API/POSTS /api/posts/1/2 /index.html /favicon.ico /.env /server-status
        /t/TEST)) {
        for my $method (qw(GET POST DELETE)) {
            my $answer = request($method => $path);
            is_json($answer, 404, "$method $path");
            has_shape($answer->json, { error => 'Not Found', path => $path,
                method => $method }, 'the three fields');
        }
    }
};

subtest 'the path in a 404 may hold anything' => sub {
    for my $path ('/%22%5C%3C/script%3E', '/%ED%95%9C', '/%F0%9F%A9%BA',
        '/%ff%fe', '/a%01b', '/a?b=c&d="', '/%25s%25d') {
        my $answer = request(GET => $path);
        is_json($answer, 404, $path);
        is($answer->json->{error}, 'Not Found', 'the text');
    }
};

subtest 'a path may be longer than any file\'s name' => sub {
    my $long = 'x' x 7000;

    is_error(request(GET => "/$long"), 404, 'Not Found', 'an unknown one');
    is_error(request(GET => "/api/posts/$long"), 404, 'Post not found',
        'a known one');
};

subtest 'and is what the client wrote, in the answer and in the log' => sub {
    require Patient::Log;
    my $log = Patient::Log->new;

    for my $path ('/a%00b', '/a%2Fb', '/a%2fb', '/%ED%95%9C', '/a%0ab', '/%7ea',
        '/a//b', '/a/./b', '/x/../a', '/a%25b', '/a%3Fb', '/api/posts%2F1',
        '/api/posts/%31/x') {
        my $mark = $log->mark;
        my $answer = request(GET => "$path?b=c");
        is_json($answer, 404, $path);
        is($answer->json->{path}, $path, 'the path, not decoded');
        my $line = $log->wait_for($mark, sub ($l) {
            ($l->{request_id} // '') eq $answer->header('X-Request-Id')
                && $l->{type} eq 'REQUEST' });
        is($line->{path}, $path, 'so has the log');
    }
};

subtest 'a path is 404 up to its greatest length, and then 414' => sub {
    # "GET ", the path, " HTTP/1.1" are 8190 bytes at most.
    my %expect = (4095 => 404, 4096 => 404, 4200 => 404, 8176 => 404,
        8190 => 414);

    for my $length (sort { $a <=> $b } keys %expect) {
        my $path = '/' . 'x' x ($length - 1);
        is_error(request(GET => $path), $expect{$length}, qr/./,
            "$length bytes");
        my $post = request(GET => '/api/posts' . substr $path, 10);
        is($post->status, $expect{$length}, 'below /api/posts');
    }
};

subtest 'HEAD of an unknown path is 404 without a body' => sub {
    my $connection = connection();

    is($connection->request(HEAD => '/nowhere')->status, 404, 'the status');
    is($connection->request(GET => '/livez')->status, 200,
        'the next answer follows at once');
};

subtest 'a wrong method is 405, and Allow names the right ones' => sub {
    for my $path (sort keys %ROUTES) {
        my %has = map { $_ => 1 } split / /, $ROUTES{$path};
        for my $method (qw(GET HEAD POST PUT PATCH DELETE BREW PROPFIND)) {
            next if $has{$method};
            my $answer = request($method => $path);
            $method eq 'HEAD'
                ? is($answer->status, 405, "HEAD $path")
                : is_error($answer, 405, qr/method not allowed/i,
                    "$method $path");
            is(join(' ', sort split /, */, scalar $answer->header('Allow')),
                join(' ', sort keys %has, 'OPTIONS'), 'Allow');
        }
    }
};

subtest 'OPTIONS on every path is a preflight that allows its methods' => sub {
    for my $path (sort keys %ROUTES) {
        my $answer = request(OPTIONS => $path, headers => {
            Origin => 'https://frontend.example',
            'Access-Control-Request-Method'  => 'POST',
            'Access-Control-Request-Headers' => 'authorization,content-type',
        });
        is($answer->status, 204, "$path: 204");
        is($answer->body, '', 'no body');
        is(scalar $answer->header('Access-Control-Allow-Origin'), '*',
            'any origin may, since CORS_ORIGIN is not set');
        my $methods = ' ' . join(' ', split /, */,
            scalar $answer->header('Access-Control-Allow-Methods')) . ' ';
        like($methods, qr/ $_ /, $_) for split / /, $ROUTES{$path};
        my $headers = lc scalar
            $answer->header('Access-Control-Allow-Headers');
        like($headers, qr/\b$_\b/, $_) for qw(authorization content-type);
    }
};

subtest 'OPTIONS answers on a path that is not there, as on any' => sub {
    for my $path (qw(/nope /api /api/posts/1/2 /api/chaos/none /API/POSTS
        /favicon.ico), '/%ED%95%9C') {
        my $answer = request(OPTIONS => $path, headers => {
            Origin => 'https://frontend.example',
            'Access-Control-Request-Method' => 'POST',
        });
        is($answer->status, 204, "$path: 204");
        is($answer->body, '', 'no body');
        is(scalar $answer->header('Access-Control-Allow-Origin'), '*',
            'for any origin');
        like(scalar $answer->header('Access-Control-Allow-Methods'),
            qr/\bGET\b.*\bPOST\b.*\bDELETE\b/,
            'so that a page may read the 404');
    }
};

# It is about the server as a whole.
subtest 'OPTIONS * is answered as on any path' => sub {
    my $nowhere = request(OPTIONS => '/nowhere');
    my $star = request(OPTIONS => '*');

    is($star->status, 204, 'no content');
    is(trace($star), trace($nowhere), 'with the same headers');
    is_error(request(GET => '*'), 400, qr/./, 'GET * is nothing');
};

# Status, headers and body, without what no two answers have in common.
sub trace ($answer) {
    my (undef, @lines) = split /\r\n/, $answer->head;

    return join "\n", $answer->status, (sort grep {
        !/\A(?:Date|X-Request-Id|Content-Length):/ } @lines),
        $answer->body =~ s/"path":"[^"]*"/PATH/r;
}

subtest 'a route that is closed is as one that is not there' => sub {
    require Patient::Server;
    my $closed = Patient::Server->new(CHAOS_MODE => 'false');

    for my $method (qw(OPTIONS GET HEAD POST PUT DELETE BREW)) {
        my $nowhere = trace(request($method => '/api/chaosx',
            port => $closed->port));
        for my $path (qw(/api/chaos /api/chaos/db-fail /api/chaos/halt
            /api/chaos/incidents /api/chaos/incidents/0123456789abcdef
            /api/chaos/none)) {
            is(trace(request($method => $path, port => $closed->port)),
                $nowhere, "$method $path");
        }
    }
};

subtest 'Range means nothing: every answer is whole' => sub {
    my %range = (Range => 'bytes=0-4');
    my $user = sign_in();
    my $post = new_post($user, content => 'x' x 1000);
    my @requests = ([GET => '/'], [GET => '/livez'], [GET => '/metrics'],
        [GET => '/api/posts'], [GET => "/api/posts/$post->{id}"],
        [GET => '/nowhere'], [GET => '/a%2Fb'], [GET => '/api/posts?limit=x'],
        [PUT => '/'], [POST => '/api/posts', token => $user->{token},
            json => { title => 'T' }],
        [POST => '/api/auth/login', json => { email => $user->{email},
            password => $user->{password} }],
        [POST => '/api/auth/login', type => 'text/plain', body => 'x']);

    for my $ranges (\%range, { Range => 'bytes=1000000-' },
        { Range => 'bytes=0-1,3-4' }, { Range => 'bytes=-1' },
        { 'Request-Range' => 'bytes=0-4' },
        { %range, 'If-Range' => '"x"' },
        { %range, 'If-Range' => 'Thu, 01 Jan 1970 00:00:00 GMT' }) {
        for my $request (@requests) {
            my ($method, $path, %with) = @$request;
            my $plain = request($method => $path, %with);
            my $answer = request($method => $path, %with,
                headers => $ranges);
            my $name = "$method $path, " . join ' ', %$ranges;
            is($answer->status, $plain->status, $name);
            is(scalar $answer->header('Accept-Ranges'), 'none',
                'it says so');
            is(scalar $answer->header('Content-Range'), undef, 'no range');
            $path eq '/metrics' ? like($answer->body, qr/_count\{.*\n\z/, 'all')
                : is(ref eval { $answer->json }, 'HASH', 'all of it');
        }
    }
    my $head = request(HEAD => "/api/posts/$post->{id}", headers => \%range);
    is($head->status, 200, 'HEAD');
    cmp_ok(scalar $head->header('Content-Length'), '>', 1000,
        'has the whole length');
};

subtest 'a preflight leaves the connection as it was' => sub {
    my $connection = connection();

    is($connection->request(OPTIONS => '/api/posts')->status, 204, 'OPTIONS');
    is($connection->request(GET => '/livez')->status, 200, 'and the next');
};

subtest 'every answer may be read by a page of another origin' => sub {
    my %answers = answers();
    for my $kind (sort keys %answers) {
        is(scalar $answers{$kind}->header('Access-Control-Allow-Origin'), '*',
            $kind);
    }
};

subtest 'every answer has the security headers, once each' => sub {
    my %answers = answers();
    for my $kind (sort keys %answers) {
        for my $name (sort keys %SECURITY) {
            my @values = $answers{$kind}->header($name);
            is(@values, 1, "$kind: $name");
            like($values[0] // '', $SECURITY{$name}, 'its value');
        }
    }
};

subtest 'no answer tells more of the server than that it is one' => sub {
    my %answers = answers();
    for my $kind (sort keys %answers) {
        unlike($answers{$kind}->head, qr/2\.4\.|Debian|Ubuntu|OpenSSL|PHP/,
            $kind);
    }
};

subtest 'every answer has an X-Request-Id of its own' => sub {
    my %answers = answers();
    my %seen;
    for my $kind (sort keys %answers) {
        my @values = $answers{$kind}->header('X-Request-Id');
        is(@values, 1, "$kind has one");
        like($values[0] // '', qr/\A[A-Za-z0-9._@-]{8,}\z/, 'a plain token');
        is($seen{ $values[0] // '' }++, 0, 'that no other has');
    }
};

subtest 'a plain token in X-Request-Id is taken over' => sub {
    for my $id ('abc-DEF_123.4', '7f3e4b12-9c1d-4e7a-8a55-000000000001',
        'x' x 64) {
        for my $path (qw(/livez /nowhere /api/posts/x /a%2Fb)) {
            is(scalar request(GET => $path, headers =>
                { 'X-Request-Id' => $id })->header('X-Request-Id'), $id,
                "$path: $id");
        }
    }
};

subtest 'anything else in X-Request-Id is not' => sub {
    for my $id ('two words', 'a"b', 'a\\b', '<b>', "\xed\x95\x9c", "a\tb",
        '{}', '', 'x' x 500) {
        my $answer = request(GET => '/livez',
            headers => { 'X-Request-Id' => $id });
        is($answer->status, 200, 'the request is served');
        isnt(scalar $answer->header('X-Request-Id'), $id, 'the id is not it');
        like(scalar $answer->header('X-Request-Id'),
            qr/\A[A-Za-z0-9._@-]{8,}\z/, 'but one of the server\'s making');
    }
};

subtest 'a query that nobody asked for is passed over' => sub {
    for my $path (qw(/health?x=1 /livez? /api/posts?)) {
        is_json(request(GET => $path), 200, $path);
    }
};

subtest 'many requests go over one connection' => sub {
    my $connection = connection();
    my @paths = (qw(/ /health /nowhere /api/posts /api/posts/x), '/a%2Fb',
        '/api/auth/verify', '/livez') x 3;
    my @status = map { $connection->request(GET => $_)->status } @paths;

    is("@status", join(' ', (200, 200, 404, 200, 404, 404, 401, 200) x 3),
        'whatever the answers are');
};

subtest 'pipelined requests are answered in order' => sub {
    my $connection = connection();
    my @ids = map { "pipelined-$_" } 1 .. 10;

    $connection->send(join '', map { $connection->compose(GET => '/livez',
        headers => { 'X-Request-Id' => $_ }) } @ids);
    is(join(' ', map { scalar $connection->read->header('X-Request-Id') }
        @ids), "@ids", 'each once');
};

subtest 'HTTP/1.0 without a Host is served' => sub {
    my $connection = connection();

    $connection->send("GET /livez HTTP/1.0\r\n\r\n");
    is($connection->read->status, 200, 'it is');
    is($connection->rest, '', 'and the connection ends');
};

done_testing;
