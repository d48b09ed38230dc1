# What httpd itself turns away, before the module has a say: JSON all the same.

use Patient;

# Sends bytes and reads all that comes; it must be one JSON error.
sub is_one_error ($bytes, $status, $sentence) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $connection = connection();

    $connection->send($bytes);
    my $answer = eval { $connection->read }
        or return fail("$sentence: $@");
    # A few ways to say it are all right.
    my $said = $answer->status;
    like($said, qr/\A(?:$status)\z/, "$sentence: the status");
    is_error($answer, $said, qr/\S/, "$sentence: a JSON error");
    unlike($answer->body, qr/<|Apache|httpd/, "$sentence: and no page");
    $connection->finish;
    is($connection->rest, '', "$sentence: one answer");
}

my %WRONG = (
    'a request line that is none' => ["GARBAGE\r\n\r\n", 400],
    'no method'              => [" / HTTP/1.1\r\nHost: x\r\n\r\n", 400],
    'no path'                => ["GET HTTP/1.1\r\nHost: x\r\n\r\n", 400],
    'a path without a slash' => ["GET x HTTP/1.1\r\nHost: x\r\n\r\n", 400],
    'a word too many'   => ["GET / x HTTP/1.1\r\nHost: x\r\n\r\n", 400],
    'two blanks'             => ["GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400],
    'a protocol that is none' => ["GET / HTTQ/1.1\r\nHost: x\r\n\r\n", 400],
    'a version that is none' => ["GET / HTTP/x\r\nHost: x\r\n\r\n", 400],
    'TLS on a plain port'    => ["\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
        400],
    'no Host'                => ["GET / HTTP/1.1\r\n\r\n", 400],
    'two Hosts' => ["GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400],
    'a Host that is none'    => ["GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400],
    'a header without a colon' =>
        ["GET / HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n", 400],
    'a blank before the colon' =>
        ["GET / HTTP/1.1\r\nHost: x\r\nX-A : b\r\n\r\n", 400],
    'a NUL in a header' =>
        ["GET / HTTP/1.1\r\nHost: x\r\nX-A: b\0c\r\n\r\n", 400],
    'a Content-Length that is none' => ["POST /api/auth/login HTTP/1.1\r\n"
        . "Host: x\r\nContent-Type: application/json\r\n"
        . "Content-Length: ten\r\n\r\n", 400],
    'a negative Content-Length' => ["POST /api/auth/login HTTP/1.1\r\n"
        . "Host: x\r\nContent-Type: application/json\r\n"
        . "Content-Length: -1\r\n\r\n", 400],
    'a Transfer-Encoding that nobody knows' =>
        ["POST /api/auth/login HTTP/1.1\r\nHost: x\r\n"
        . "Content-Type: application/json\r\n"
        . "Transfer-Encoding: gzip\r\n\r\n", '400|501'],
    'a bad chunk size' => [chunked("zz\r\n{}\r\n0\r\n\r\n"), 400],
    'an enormous chunk size' => [chunked("ffffffffffffffffff\r\n"), '400|413'],
    'a chunk without its end' => [chunked("2\r\n{}xx0\r\n\r\n"), 400],
    'an expectation that nobody can meet' =>
        ["GET / HTTP/1.1\r\nHost: x\r\nExpect: the unexpected\r\n\r\n", 417],
    'a path of 9,000 bytes' => ['GET /' . 'x' x 9000
        . " HTTP/1.1\r\nHost: x\r\n\r\n", 414],
    'a path that climbs out' =>
        ["GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", '400|404'],
    'an encoded path that climbs out' =>
        ["GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
        '400|404'],
    'an encoded slash' => ["GET /api%2Fposts HTTP/1.1\r\nHost: x\r\n\r\n",
        404],
    'an encoded NUL' => ["GET /a%00b HTTP/1.1\r\nHost: x\r\n\r\n", '400|404'],
    'half an escape' => ["GET /a%4 HTTP/1.1\r\nHost: x\r\n\r\n", 400],
    'an escape that is none' => ["GET /a%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400],
    'TRACE' => ["TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", 405],
    'CONNECT' => ["CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        '400|404|405'],
    'a proxy request for somebody else' =>
        ["GET http://example.org/x HTTP/1.1\r\nHost: example.org\r\n\r\n",
        '400|403|404'],
    'headers without an end' => ["GET / HTTP/1.1\r\nHost: x\r\n"
        . join('', map { "X-$_: y\r\n" } 1 .. 200) . "\r\n", '400|431'],
);

sub chunked ($body) {
    return "POST /api/auth/login HTTP/1.1\r\nHost: x\r\n"
        . "Content-Type: application/json\r\n"
        . "Transfer-Encoding: chunked\r\n\r\n$body";
}

for my $kind (sort keys %WRONG) {
    subtest "$kind is turned away in JSON" => sub {
        is_one_error(@{ $WRONG{$kind} }, $kind);
    };
}

subtest 'a 405 for TRACE does not offer it' => sub {
    my $connection = connection();

    $connection->send("TRACE / HTTP/1.1\r\nHost: x\r\n\r\n");
    unlike(join(', ', $connection->read->header('Allow')), qr/TRACE/, 'Allow');
};

# The tests' server waits 3 s where the real one has httpd's usual patience.
subtest 'who does not finish the headers gets a 408 in JSON' => sub {
    is_one_error("GET / HTTP/1.1\r\nHost: x\r\n", 408, 'headers');
};

subtest 'who does not finish the body gets a 408 in JSON' => sub {
    is_one_error("POST /api/auth/login HTTP/1.1\r\nHost: x\r\n"
        . "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
        408, 'a body');
    is_one_error(chunked("5\r\n{"), 408, 'a chunk');
};

subtest 'HTTP/0.9 gets the bodies alone, and they are JSON' => sub {
    my %expect = ('/nowhere' => 'Not Found', '/a%zz' => 'Bad Request',
        '/api/posts?limit=x' => 'limit must be a number from 1 to 100');

    for my $path (sort keys %expect) {
        my $connection = connection();
        $connection->send("GET $path\r\n\r\n");
        my $json = Patient::Response::decode($connection->rest);
        is($json->{error}, $expect{$path}, $path);
    }
};

subtest 'who goes away in the middle does no harm' => sub {
    for my $bytes ("GET", "GET / HTTP/1.1\r\nHost",
        "POST /api/auth/login HTTP/1.1\r\nHost: x\r\n"
        . "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{") {
        my $connection = connection();
        $connection->send($bytes);
        $connection->close;
    }
    is(request(GET => '/livez')->status, 200, 'the server goes on');
};

subtest 'a request within the body of a bad one is not answered' => sub {
    my $inner = "GET /nowhere-smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    my $connection = connection();

    $connection->send(chunked("zz\r\n\r\n$inner"));
    is($connection->read->status, 400, 'the bad one is');
    $connection->finish;
    is($connection->rest, '', 'and nothing else');
};

done_testing;
