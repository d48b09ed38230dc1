# What is wrong with a body: it is always a 400, 413 or 415 that says what and
# where, once, with nothing stored and the connection as good as before.

use Patient;
use Patient::Log;
use Patient::Sql;

my $user = sign_in();

sub count_rows () {
    return join ' ', map { (sql("SELECT COUNT(*) FROM $_"))[0][0] }
        qw(users posts);
}

# Sends a body to a route on a connection that must be good for another
# request afterwards.
sub is_turned_away ($body, $status, $text, $sentence, %with) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $path = delete $with{path} // '/api/posts';
    my $connection = connection();
    my $before = count_rows();
    my $answer = $connection->request(POST => $path, body => $body,
        token => $user->{token}, type => 'application/json', %with);

    is_error($answer, $status, $text, $sentence);
    my $next = eval { $connection->request(GET => '/api/posts/x') };
    is($next && $next->status, 404, "$sentence: the connection goes on")
        || diag($@ || $next->summary);
    is($next && $next->json->{error}, 'Post not found',
        "$sentence: with the answer to the next request");
    is(count_rows(), $before, "$sentence: nothing is stored");
}

my %MALFORMED = (
    'nothing but an opening brace' => '{',
    'a missing brace'         => '{"title":"T"',
    'a missing quote'         => '{"title":"T}',
    'a missing colon'         => '{"title" "T"}',
    'a comma too many'        => '{"title":"T",}',
    'single quotes'           => "{'title':'T'}",
    'a key without quotes'    => '{title:"T"}',
    'a comment'               => '{"title":"T"/* x */}',
    'a newline in a string'   => "{\"title\":\"a\nb\"}",
    'a tab in a string'       => "{\"title\":\"a\tb\"}",
    'an escape that is none'  => '{"title":"\\x41"}',
    'half an escape'          => '{"title":"\\u00"}',
    'two values'              => '{"title":"T"}{"title":"U"}',
    'something after the end' => '{"title":"T"} x',
    'NaN'                     => '{"title":"T","x":NaN}',
    'a number with a leading zero' => '{"title":"T","x":01}',
    'a lone surrogate'        => '{"title":"\\ud83e"}',
    'surrogates the wrong way round' => '{"title":"\\udefa\\ud83e"}',
    'two byte order marks'    => "\xef\xbb\xbf" x 2 . '{"title":"T"}',
    'one that is not at the start' => "{\xef\xbb\xbf\"title\":\"T\"}",
    'half of one'             => "\xef\xbb{\"title\":\"T\"}",
    'a NUL byte'              => "{\"title\":\"a\0b\"}",
    'plain text'              => 'title=T',
    'only blanks'             => "  \r\n ",
);

# Words that only who knows our libraries understands.
my $FOREIGN = qr/JSON_|ALLOW_|jansson|token|NUL byte|near|end of file|decode
    |premature|parsing depth|overflow|object key|integer/x;

for my $kind (sort keys %MALFORMED) {
    subtest "malformed JSON is a 400: $kind" => sub {
        is_turned_away($MALFORMED{$kind}, 400,
            qr/\AMalformed JSON: (?!.*$FOREIGN).+ \(line \d+, column \d+\)\z/,
            $kind);
    };
}

my %SAID = (
    '{'                     => 'a name in double quotes, or }, must follow, '
        . 'at the end (line 1, column 1)',
    '{"a" 1}'               => q|a colon must follow the name, at '1' |
        . '(line 1, column 6)',
    '{"a":1 "b":2}'         => q|a comma or } must follow, at '"b"' |
        . '(line 1, column 10)',
    '{"a":[1 2]}'           => q|a comma or ] must follow, at '2' |
        . '(line 1, column 9)',
    '{"a":}'                => q|a value must stand here, at '}' |
        . '(line 1, column 6)',
    "{\n\"a\":oops}"       => q|this is no JSON, at 'oops' (line 2, column 8)|,
    '{} x'                  => q|something follows its end, at 'x' |
        . '(line 1, column 4)',
    "{}\0\0"                => 'something follows its end (line 1, column 3)',
    '{"a":1,"a":2}'         => q|a name stands twice in one object, at '"a"' |
        . '(line 1, column 10)',
    '{"a":"\\u0000"}'       => q|\\u0000 is not allowed, at '"\\u0000"' |
        . '(line 1, column 13)',
    '{"\\u0000":1}'         => q|\\u0000 is not allowed in a name, at |
        . q|'"\\u0000"' (line 1, column 9)|,
    '{"a":1e999}'           => q|a number is too large, at '1e999' |
        . '(line 1, column 10)',
    '{"a":' . '9' x 30 . '}' => 'a whole number has more than 64 bits '
        . '(line 1, column 35)',
    '{"a":-' . '9' x 30 . '}' => 'a whole number has more than 64 bits '
        . '(line 1, column 36)',
    "{\"a\":\"\xff\"}"      => q|it is not UTF-8: byte 0xff, at '"' |
        . '(line 1, column 6)',
    "{\"a\":\"x\ty\"}"      => q|a string holds the bare control character |
        . q|0x9, at '"x' (line 1, column 7)|,
    "{\"a\":\"x\ny\"}"      => q|a line break in a string must be written |
        . q|as \\n, at '"x' (line 1, column 7)|,
    '{"a":"x'               => q|the end comes within a string, at '"x' |
        . '(line 1, column 7)',
    '{"a":"\\ud83e"}'       => q|half of a surrogate pair: '\\uD83E', at |
        . q|'"\\ud83e"' (line 1, column 13)|,
    '[' x 3000              => q|it is nested too deep, at '[' |
        . '(line 1, column 2049)',
    "\xff\xfe{\0}\0"        => 'it must be UTF-8, not UTF-16 or UTF-32 '
        . '(line 1, column 1)',
    "\xfe\xff\0{\0}"        => 'it must be UTF-8, not UTF-16 or UTF-32 '
        . '(line 1, column 1)',
    "\0{\0}"                => 'it must be UTF-8, not UTF-16 or UTF-32 '
        . '(line 1, column 1)',
    "{\0}\0"                => 'it must be UTF-8, not UTF-16 or UTF-32 '
        . '(line 1, column 1)',
);

subtest 'the 400 says what is wrong, in words that need no library' => sub {
    for my $body (sort keys %SAID) {
        is_turned_away($body, 400, "Malformed JSON: $SAID{$body}",
            substr $body =~ s/[^ -~]/?/gr, 0, 20);
    }
};

subtest 'one byte order mark before JSON is passed over' => sub {
    my $mark = "\xef\xbb\xbf";
    my $answer = request(POST => '/api/posts', token => $user->{token},
        type => 'application/json', body => "$mark\n{\"title\":\"T\"}");

    is_json($answer, 201, 'it is created');
    is($answer->json->{title}, 'T', 'with its title');
    is_turned_away($mark, 400, 'Title is required',
        'the mark alone is an empty body');
    is_turned_away('', 400, 'Title is required', 'as is none at all');
    is_turned_away("$mark\{", 400, qr/\(line 1, column 1\)/,
        'the columns begin behind it');
};

subtest 'the 400 says where the JSON is malformed' => sub {
    is_turned_away("{\n  \"title\": \"T\",\n  \"content\": oops\n}", 400,
        qr/line 3\b/, 'the line');
};

subtest 'a body that is no object is a 400 that says so' => sub {
    for my $body ('[]', '[{"title":"T"}]', '"title"', '17', 'true', 'null') {
        is_turned_away($body, 400, qr/object/i, "only $body");
    }
};

subtest 'a key that stands twice is a 400 that names it' => sub {
    is_turned_away('{"title":"A","title":"B"}', 400, qr/title/, 'at once');
    is_turned_away('{"title":"A","content":"x","content":"x"}', 400,
        qr/content/, 'with the same value');
    is_turned_away('{"title":"A","ti\\u0074le":"B"}', 400,
        qr/title|ti\\u0074le/,
        'one of them written in escapes');
};

my $UTF8 = qr/not UTF-8: byte 0x[0-9a-f]{2}/;

subtest 'invalid UTF-8 is a 400 that says so' => sub {
    my %bad = (
        'a byte that is none'   => "\xff",
        'a cut sequence'        => "\xed\x95",
        'an overlong slash'     => "\xc0\xaf",
        'a surrogate'           => "\xed\xa0\x80",
        'beyond U+10FFFF'       => "\xf4\x90\x80\x80",
        'Latin 1'               => "caf\xe9",
        'a continuation alone'  => "\x80",
    );
    for my $kind (sort keys %bad) {
        is_turned_away("{\"title\":\"$bad{$kind}\"}", 400, $UTF8, $kind);
        is_turned_away("{\"$bad{$kind}\":1,\"title\":\"T\"}", 400, $UTF8,
            "$kind in a key");
    }
};

subtest 'a \u0000 is a 400 that says so' => sub {
    is_turned_away('{"title":"a\\u0000b"}', 400, qr/u0000|NUL/, 'in a title');
    is_turned_away('{"title":"T","content":"\\u0000"}', 400, qr/u0000|NUL/,
        'in a content');
    is_turned_away('{"a\\u0000b":1,"title":"T"}', 400, qr/u0000|NUL/,
        'in a key');
    is_turned_away('{"email":"a\\u0000@example.org","password":"S3cretly"}',
        400, qr/u0000|NUL/, 'in an email',
        path => '/api/auth/register');
    is_turned_away('{"email":"' . $user->{email}
        . '","password":"S3cretly\\u0000"}', 400, qr/u0000|NUL/,
        'in a password', path => '/api/auth/login');
};

subtest 'a deep nest is a 400 and no crash' => sub {
    for my $body ('[' x 100_000, '{"title":' x 50_000,
        '{"title":' . '[' x 100_000 . ']' x 100_000 . '}') {
        is_turned_away($body, 400, qr/./, substr $body, 0, 12);
    }
};

subtest 'an enormous number is a 400 or passed over, and no crash' => sub {
    for my $number ('1e999', '9' x 400, '-' . '9' x 30, '1e-999') {
        my $answer = request(POST => '/api/posts', token => $user->{token},
            type => 'application/json', body => "{\"title\":$number}");
        is_error($answer, 400, qr/./, 'such as ' . substr $number, 0, 12);
    }
};

subtest 'a body over 512 KiB is 413' => sub {
    my $fits = 524_288 - length '{"title":""}';

    is_turned_away('{"title":"' . 'x' x $fits . '"}', 400, qr/255/,
        '524,288 bytes are read, and the title is too long');
    is_turned_away('{"title":"' . 'x' x ($fits + 1) . '"}', 413, qr/./,
        '524,289 are not');
    is_turned_away('{"title":"' . 'x' x ($fits + 1) . '"}', 413, qr/./,
        'nor in chunks', chunked => 1);
    is_turned_away('{"title":"' . 'x' x 3_000_000 . '"}', 413, qr/./,
        'nor 3 MB');
    is_turned_away('{"title":"' . 'x' x 3_000_000 . '"}', 413, qr/./,
        'nor 3 MB in chunks', chunked => 1);
};

subtest 'a body that fits may come in chunks' => sub {
    my $answer = request(POST => '/api/posts', token => $user->{token},
        json => { title => 'Chunked', content => 'x' x 60_000 },
        chunked => 1);

    is_json($answer, 201, 'it is created');
    is(length $answer->json->{content}, 60_000, 'and whole');
};

subtest 'a body that arrives byte by byte is read to its end' => sub {
    my $connection = connection();
    my $bytes = $connection->compose(POST => '/api/posts',
        token => $user->{token}, json => { title => 'Slow' });

    for my $byte (split //, $bytes) {
        $connection->send($byte);
        # Lets the server see each by itself; nothing depends on it.
        select undef, undef, undef, 0.001;
    }
    is_json($connection->read('POST'), 201, 'it is created');
};

subtest 'Expect: 100-continue is answered before the body is sent' => sub {
    my $connection = connection();
    my $request = $connection->compose(POST => '/api/posts',
        token => $user->{token}, json => { title => 'Expected' },
        headers => { Expect => '100-continue' });
    my ($head, $body) = $request =~ /\A(.*?\r\n\r\n)(.*)\z/s;

    $connection->send($head);
    $connection->fill(sub { $connection->{in} =~ /\r\n\r\n/ }, 'the 100');
    like($connection->{in}, qr{\AHTTP/1\.1 100 }, 'go on');
    $connection->send($body);
    is_json($connection->read('POST'), 201, 'it is created');
};

subtest 'a Content-Type that is neither JSON nor a form is 415' => sub {
    for my $type ('text/plain', 'text/html', 'application/xml',
        'multipart/form-data; boundary=x', 'application/octet-stream',
        'application/jsonx', 'json', 'application') {
        is_turned_away('{"title":"T"}', 415, qr/./, $type, type => $type);
    }
};

# Whoever compresses a body hears why it is not read, not that it is no JSON.
subtest 'a body with a Content-Encoding is 415 that names it' => sub {
    for my $coding ('gzip', 'GZIP', 'br', 'deflate', 'x-unknown', 'gzip, br',
        'identity, gzip', ',gzip', ['identity', 'gzip']) {
        my $name = ref $coding ? join ' and ', @$coding : $coding;
        for my $path (qw(/api/posts /api/auth/register /api/auth/login
            /api/chaos/db-fail /api/chaos/halt)) {
            is_turned_away("\x1f\x8b\x08\0", 415,
                qr/\AThe body must have no Content-Encoding, and has /,
                "$path: $name", path => $path,
                headers => { 'Content-Encoding' => $coding });
        }
    }
    is_turned_away('title=T', 415, qr/Content-Encoding.* gzip\z/, 'a form',
        type => 'application/x-www-form-urlencoded',
        headers => { 'Content-Encoding' => 'gzip' });
    is_turned_away("\x1f\x8b" x 30_000, 415, qr/Content-Encoding/, 'in chunks',
        chunked => 1, headers => { 'Content-Encoding' => 'gzip' });
    my $post = new_post($user);
    is_error(request(DELETE => "/api/posts/$post->{id}",
        token => $user->{token}, body => 'x', type => 'application/json',
        headers => { 'Content-Encoding' => 'gzip' }), 415,
        qr/Content-Encoding/, 'a DELETE with a body');
    is_error(request(DELETE => '/api/chaos/db-fail', body => 'x',
        type => 'application/json',
        headers => { 'Content-Encoding' => 'gzip' }), 415,
        qr/Content-Encoding/, 'an operator\'s, too');
    is(scalar request(POST => '/api/auth/login', type => 'application/json',
        body => 'x', headers => { 'Content-Encoding' => 'gzip' })
        ->header('Accept-Encoding'), 'identity', 'and it says what is taken');
};

subtest 'and so is one with a Transfer-Encoding that nobody undoes' => sub {
    for my $coding ('gzip, chunked', 'deflate,chunked', 'x, GZIP , Chunked') {
        for my $path (qw(/api/posts /api/auth/login)) {
            is_turned_away("\x1f\x8b\x08\0", 415, 'The body must have no '
                . "Transfer-Encoding but chunked, and has $coding",
                "$path: $coding", path => $path, chunked => 1,
                headers => { 'Transfer-Encoding' => $coding });
        }
    }
    is_json(request(POST => '/api/posts', token => $user->{token},
        json => { title => 'T' }, chunked => 1,
        headers => { 'Transfer-Encoding' => $_ }), 201, $_)
        for 'chunked', 'Chunked', ' CHUNKED ', ',chunked';
};

subtest 'identity is no Content-Encoding' => sub {
    for my $coding ('identity', 'Identity', '', 'identity, identity') {
        is_json(request(POST => '/api/posts', token => $user->{token},
            json => { title => 'T' },
            headers => { 'Content-Encoding' => $coding }), 201, "'$coding'");
    }
    my $post = new_post($user);
    is(request(DELETE => "/api/posts/$post->{id}", token => $user->{token},
        headers => { 'Content-Encoding' => 'gzip' })->status, 200,
        'and without a body there is nothing to decode');
};

subtest 'JSON may be spelled as HTTP allows' => sub {
    for my $type ('application/json; charset=utf-8', 'APPLICATION/JSON',
        'application/json;charset="UTF-8"', 'application/json ;x=y') {
        is_json(request(POST => '/api/posts', token => $user->{token},
            type => $type, body => '{"title":"T"}'), 201, $type);
    }
};

my $FORM = 'application/x-www-form-urlencoded';

subtest 'a form is taken, as the original did' => sub {
    my $answer = request(POST => '/api/posts', token => $user->{token},
        type => $FORM, body => 'title=a+b%26c%3D%ED%95%9C&content=%0A%22%5c');

    is_json($answer, 201, 'a post');
    is($answer->json->{title}, 'a b&c=한', 'the title is decoded');
    is($answer->json->{content}, "\n\"\\", 'and so is the content');
    $answer = request(POST => '/api/posts', token => $user->{token},
        type => $FORM, body => "\xef\xbb\xbftitle=T");
    is_json($answer, 201, 'one with a byte order mark before it');

    my ($email, $password) = (new_email(), password());
    my $form = sub (%field) {
        join '&', map { my $v = $field{$_};
            "$_=" . $v =~ s/([^A-Za-z0-9])/sprintf '%%%02X', ord $1/ger }
            sort keys %field;
    };
    is_json(request(POST => '/api/auth/register', type => "$FORM;charset=utf-8",
        body => $form->(email => $email, password => $password)), 201,
        'a user');
    is_json(request(POST => '/api/auth/login', type => $FORM,
        body => $form->(email => $email, password => $password)), 200,
        'and a login');
};

subtest 'a form has the same rules' => sub {
    is_turned_away('title=A&title=B', 400, qr/title|twice/, 'a key twice',
        type => $FORM);
    is_turned_away('title=%FF', 400, qr/UTF-8/, 'invalid UTF-8',
        type => $FORM);
    is_turned_away('title=a%00b', 400, qr/\b00|NUL/, 'a NUL',
        type => $FORM);
    is_turned_away('content=x', 400, qr/\ATitle is required\z/, 'no title',
        type => $FORM);
    is_turned_away('title=%4', 400, qr/./, 'half an escape', type => $FORM);
    is_turned_away('title=%zz', 400, qr/./, 'an escape that is none',
        type => $FORM);
    is_turned_away('title=' . 'x' x 600_000, 413, qr/./, 'too large',
        type => $FORM);
};

subtest 'a body where none is wanted is passed over' => sub {
    my $post = new_post($user);
    my $connection = connection();

    for my $request ([GET => '/livez', 200], [GET => '/api/posts', 200],
        [GET => '/nowhere', 404], [PUT => '/', 405],
        [DELETE => "/api/posts/$post->{id}", 200]) {
        my ($method, $path, $status) = @$request;
        is($connection->request($method => $path, body => "x\r\n" x 100,
            type => 'text/plain', token => $user->{token})->status, $status,
            "$method $path");
    }
};

# Read as a request, it would be one that nobody sent.
subtest 'the body of a HEAD is not the next request' => sub {
    my $body = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    my %expect = ('/livez' => 200, '/nowhere' => 404, '/a%2Fb' => 404,
        '/api/posts?limit=x' => 400, '/api/auth/verify' => 401,
        '/api/auth/login' => 405);

    for my $path (sort keys %expect) {
        for my $chunked (0, 1) {
            my $connection = connection();
            my $head = $connection->request(HEAD => $path, body => $body,
                type => 'application/json', chunked => $chunked);
            is($head->status, $expect{$path}, "HEAD $path");
            my $close = ($head->header('Connection') // '') =~ /\bclose\b/;
            is($close, $head->status == 400, 'it closes where it must');
            $connection->send($connection->compose(GET => '/livez'));
            $close ? is($connection->rest, '', 'nothing follows')
                : is($connection->read->status, 200, 'the next is the next');
        }
    }
};

subtest 'headers of 100 kB are turned away, in JSON' => sub {
    my %many = map { sprintf('X-%03d', $_) => 'x' x 1000 } 1 .. 99;

    like(request(GET => '/livez', headers => \%many)->status,
        qr/\A(?:200|400|431)\z/, '99 of 1 kB');
    for my $headers ({ 'X-Long' => 'x' x 100_000 },
        { map { ("X-$_" => 'x') } 1 .. 5000 },
        { Cookie => 'x=y; ' x 20_000 },
        { Authorization => 'Bearer ' . 'x' x 100_000 }) {
        my $answer = request(GET => '/api/auth/verify', headers => $headers);
        my ($name) = sort keys %$headers;
        is_error($answer, $answer->status == 431 ? 431 : 400, qr/./, $name);
    }
    is(request(GET => '/livez')->status, 200, 'and the server goes on');
};

subtest 'none of that cost the server a child' => sub {
    my @died = grep { ($_->{error} // $_->{message} // '')
        =~ /exit signal|Segmentation|Abort/ } Patient::Log->new->since;
    is(@died, 0, 'no child has died so far') || diag(explain(\@died));
};

done_testing;
