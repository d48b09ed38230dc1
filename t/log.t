# The error log: every line of it. This suite runs last, so that it judges the
# lines that all the others have caused, too.

use Patient;
use Patient::Log;
use Patient::Server;

my $log = Patient::Log->new;

# What the Doctor's filter looks for, byte for byte.
my $ALARM = qr/ERROR|Error|error|CRITICAL|FATAL|Exception
    |WARNING|Warning|warning|WARN/x;

# The REQUEST lines of one request, found by its id.
sub requests_logged ($mark, $id) {
    return grep { $_->{type} eq 'REQUEST' && ($_->{request_id} // '') eq $id }
        $log->since($mark);
}

subtest 'a request leaves one line at info' => sub {
    my $mark = $log->mark;
    my $answer = request(GET => '/api/posts?limit=1&offset=0');
    my $id = $answer->header('X-Request-Id');
    my $line = $log->wait_for($mark, sub ($l) {
        $l->{type} eq 'REQUEST' && $l->{request_id} eq $id });

    has_shape($line, {
        timestamp => TIME, level => 'info', type => 'REQUEST', pid => INT,
        request_id => $id, method => 'GET', path => '/api/posts',
        status => INT, durationMs => NUMBER, '...' => 1,
    }, 'with who, what, how long');
    is($line->{status}, 200, 'and how it ended');
    # One more request, so that a second line would have come by now.
    request(GET => '/api/posts/x');
    is(scalar(requests_logged($mark, $id)), 1, 'only one');
};

subtest 'whatever the answer is, there is one line and it is info' => sub {
    my $mark = $log->mark;
    my %want = (
        log404 => [GET => '/nowhere'], log401 => [POST => '/api/posts'],
        log405 => [PUT => '/api/posts'], log204 => [OPTIONS => '/api/posts'],
        log400 => [GET => '/api/posts?limit=x'],
        log200 => [HEAD => '/api/posts'],
        'log404-httpd' => [GET => '/a%2Fb'],
        'log400-httpd' => [GET => '/', headers => { Host => undef }],
        'log413' => [POST => '/api/auth/login', type => 'application/json',
            body => 'x' x 600_000],
        'log415' => [POST => '/api/auth/login', type => 'text/plain',
            body => 'x'],
    );
    for my $id (sort keys %want) {
        my ($method, $path, %with) = @{ $want{$id} };
        $with{headers}{'X-Request-Id'} = $id;
        request($method => $path, %with);
    }
    for my $id (sort keys %want) {
        my ($status) = $id =~ /(\d+)/;
        ok(wait_until(sub { scalar requests_logged($mark, $id) }), $id)
            or next;
        my @lines = requests_logged($mark, $id);
        is(@lines, 1, 'one line');
        is($lines[0]{status}, $status, 'the status that was sent');
        is($lines[0]{level}, 'info', 'at info');
    }
    my %id = map { $_ => 1 } keys %want;
    my @loud = grep { $id{ $_->{request_id} // '' }
        && $_->{level} !~ /\A(?:info|debug)\z/ } $log->since($mark);
    is(@loud, 0, 'what users do wrong is never louder than info')
        || diag(explain(\@loud));
};

subtest 'health checks and scrapes leave none' => sub {
    my $mark = $log->mark;
    my @quiet = qw(/livez /readyz /health);

    for my $path (@quiet) {
        request($_ => $path, headers => { 'X-Request-Id' => "quiet-$_" })
            for qw(GET HEAD);
    }
    # The log is written in order by one child, and each request by itself;
    # this one is asked last, of every child.
    request(GET => '/api/posts/x', headers => { 'X-Request-Id' => 'loud' });
    ok(wait_until(sub { scalar requests_logged($mark, 'loud') }),
        'another request does');
    my @lines = grep { ($_->{request_id} // '') =~ /\Aquiet/ }
        $log->since($mark);
    is(@lines, 0, 'they do not') || diag(explain(\@lines));
};

subtest 'a trace that came with the request is on its lines' => sub {
    my $trace = '0af7651916cd43dd8448eb211c80319c';
    my %headers = (
        alb   => { 'X-Amzn-Trace-Id' =>
            'Root=1-0af76519-16cd43dd8448eb211c80319c' },
        alb2  => { 'X-Amzn-Trace-Id' => 'Self=1-67891234-12456789abcdef'
            . '012345678;Root=1-0af76519-16cd43dd8448eb211c80319c;Sampled=1' },
        w3c   => { traceparent => "00-$trace-b7ad6b7169203331-01" },
    );
    my $mark = $log->mark;

    for my $kind (sort keys %headers) {
        request(GET => '/api/posts/x',
            headers => { %{ $headers{$kind} }, 'X-Request-Id' => $kind });
        my $line = $log->wait_for($mark, sub ($l) {
            ($l->{request_id} // '') eq $kind });
        is($line->{trace_id}, $trace, $kind);
    }
    my %bad = (bad1 => 'Root=x"y', bad2 => 'Root=1-0af7-16', bad3 => '');
    for my $kind (sort keys %bad) {
        request(GET => '/api/posts/x', headers =>
            { 'X-Amzn-Trace-Id' => $bad{$kind}, 'X-Request-Id' => $kind });
        my $line = $log->wait_for($mark, sub ($l) {
            ($l->{request_id} // '') eq $kind });
        ok(!exists $line->{trace_id}, "none from '$bad{$kind}'");
    }
};

subtest 'hostile bytes in a request do not break a line' => sub {
    my $mark = $log->mark;
    my @paths = ('/%22%7D%0A%7B%22level%22:%22fatal%22', '/%ff%fe%80',
        '/' . '%ED%95%9C' x 800, '/' . '"' x 5000, '/\\\\' . '\\' x 4000,
        '/%00', '/%1b[31m');

    for my $path (@paths) {
        my $connection = connection();
        $connection->send("GET $path HTTP/1.1\r\nHost: x\r\n"
            . "User-Agent: \xff\"\\\x7f" . 'u' x 7000 . "\r\n"
            . "X-Request-Id: hostile\"\r\n\r\n");
        $connection->read;
    }
    request(GET => '/api/posts/x', headers => { 'X-Request-Id' => 'after' });
    ok(wait_until(sub { scalar requests_logged($mark, 'after') }),
        'the log goes on');
    is(join("\n", map { my $line = $_; my @f = Patient::Log::faults($line);
        @f ? "@f: $line" : () } $log->raw_since($mark)), '',
        'every line is sound');
};

subtest 'a visitor cannot make a line look like a failure' => sub {
    my $mark = $log->mark;

    for my $word (qw(ERROR Error error CRITICAL FATAL Exception WARNING WARN)) {
        request(GET => "/$word", headers => { 'User-Agent' => "x $word",
            'X-Request-Id' => "innocent-$word" });
    }
    request(GET => '/api/posts/x', headers => { 'X-Request-Id' => 'done' });
    wait_until(sub { scalar requests_logged($mark, 'done') });
    my @alarms = grep { /innocent/ && /$ALARM/ } $log->raw_since($mark);
    is(join("\n", @alarms), '', 'no line matches the filter');
};

# A patient from start to stop, with all that is not its fault in between.
sub visit ($patient) {
    my $port = $patient->port;
    my $user = sign_in(port => $port);
    my $post = new_post($user, port => $port);
    my @requests = (
        [GET => '/'], [GET => '/health'], [GET => '/api/posts'],
        [GET => '/livez'], [GET => '/readyz'], [GET => '/api/metrics'],
        [OPTIONS => '/api/posts'], [HEAD => '/api/posts'],
        [GET => "/api/posts/$post->{id}"], [GET => '/metrics'],
        [GET => '/nowhere'], [PUT => '/'], [BREW => '/'],
        [POST => '/api/posts', body => '{', type => 'application/json'],
        [POST => '/api/posts', token => 'x.y.z', json => { title => 'T' }],
        [POST => '/api/auth/login', json => { email => $user->{email},
            password => 'S3cretly wrong' }],
        [POST => '/api/auth/register', json => { email => $user->{email},
            password => 'S3cretly' }],
        [GET => '/', headers => { Host => undef }], [GET => '/a%2Fb'],
        [GET => '/a%zz'], [GET => '/%2e%2e/%2e%2e/x'],
        [GET => '/' . 'x' x 9000], [TRACE => '/'],
        [GET => '/', headers => { 'X-Long' => 'x' x 20_000 }],
        [GET => '/', headers => { map { ("X-$_" => 'y') } 1 .. 150 }],
        [DELETE => "/api/posts/$post->{id}", token => $user->{token}],
    );
    for my $request (@requests) {
        my ($method, $path, %with) = @$request;
        request($method => $path, port => $port, %with);
    }
    for my $bytes ("GARBAGE\r\n\r\n", "\x16\x03\x01\x02\x00\r\n\r\n",
        "GET / HTTP/1.1\r\nnonsense\r\n\r\n",
        "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: "
        . "application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n") {
        my $connection = connection(port => $port);
        $connection->send($bytes)->finish;
        eval { $connection->read };
    }
}

for my $level (qw(info debug)) {
    subtest "from start to stop every line is sound at $level" => sub {
        my $patient = Patient::Server->new(LOG_LEVEL => $level);
        visit($patient);
        $patient->restart;
        visit($patient);
        my ($status, $output) = $patient->stop;

        is($status, 0, 'it stops') || diag($output);
        my @lines = $patient->log->raw_since;
        cmp_ok(@lines, '>', 20, 'there are lines');
        is(join("\n", map { my $line = $_; my @f = Patient::Log::faults($line);
            @f ? "@f: $line" : () } @lines), '', 'all of them sound');
        return if $level eq 'debug';
        is(join("\n", grep { /$ALARM/
            && !Patient::Log::is_stall(Patient::Log::decode($_)) } @lines), '',
            'and none looks like a failure, since nothing failed');
    };
}

# ---- the whole run

my @raw = $log->raw_since(0);

subtest 'every line of the whole run is sound' => sub {
    cmp_ok(@raw, '>', 20, 'there are lines');
    my @unsound = map { my $line = $_; my @f = Patient::Log::faults($line);
        @f ? "@f: $line" : () } @raw;
    is(scalar @unsound, 0, 'each is a JSON object with what it must have')
        || diag(join "\n", @unsound[0 .. ($#unsound > 9 ? 9 : $#unsound)]);
};

subtest 'every line of a request has its id' => sub {
    my @without = grep { exists $_->{method} && exists $_->{path}
        && !length($_->{request_id} // '') } map { Patient::Log::decode($_) }
        @raw;
    is(@without, 0, 'none is without') || diag(explain($without[0]));
};

subtest 'no secret is in the log of the whole run' => sub {
    my %secret = (
        'a password of a user'     => 'S3cretly',
        'JWT_SECRET'               => $ENV{JWT_SECRET},
        'DB_PASSWORD'              => $ENV{DB_PASSWORD},
        'a token'                  => 'eyJ',
        'an Authorization header'  => 'Bearer ',
        'a password hash'          => '$2',
    );
    # What an id is made of may happen to be the beginning of a token.
    my @without_ids = map { s/"request_id":"[A-Za-z0-9@-]{27}"//r } @raw;
    for my $kind (sort keys %secret) {
        my @lines = grep { index($_, $secret{$kind}) >= 0 } @without_ids;
        is(@lines, 0, $kind) || diag($lines[0]);
    }
};

subtest 'no line gives away what was done on purpose' => sub {
    my @lines = grep { /chaos|scenario|incident|diagnos|db-fail/i } @raw;
    is(@lines, 0, 'not one of the whole run') || diag($lines[0]);
};

subtest 'what users did wrong is at info in the whole run' => sub {
    my %per_type;
    for my $line (map { Patient::Log::decode($_) } @raw) {
        next if $line->{level} =~ /\A(?:info|debug)\z/
            || Patient::Log::is_stall($line);
        $per_type{ $line->{type} }++;
    }
    # What the suites have really broken: the token's lifetime and the way to
    # the database; and the open routes of the operator.
    delete @per_type{'JWT ERROR', 'DB CONNECTION ERROR',
        'CONFIGURATION WARNING'};
    is(join(', ', map { "$_ ($per_type{$_})" } sort keys %per_type), '',
        'nothing else is louder');
};

done_testing;
