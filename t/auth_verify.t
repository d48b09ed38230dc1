# GET /api/auth/verify

use Patient;
use Patient::Log;
use Patient::Token;

sub verify ($token) {
    return request(GET => '/api/auth/verify', token => $token);
}

my $now = time;
my %GOOD = (id => 7, email => 'seven@example.org', iat => $now,
    exp => $now + 600);

# Refused with that text; and the challenge says why, as RFC 6750 §3.1 wants.
sub is_refused ($token, $sentence, $text = 'Invalid token') {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $answer = verify($token);

    is_error($answer, 401, $text, $sentence);
    like(scalar $answer->header('WWW-Authenticate'),
        qr/\ABearer\b.*\berror="invalid_token"/,
        "$sentence: the challenge says invalid_token");
    unlike($answer->body, qr/"valid"|"user"/, "$sentence: and no user");
}

subtest 'a good token gives its user back' => sub {
    my $user = sign_in();
    my $claims = claims($user->{token});
    my $answer = verify($user->{token});

    is_json($answer, 200, 'it is JSON');
    has_shape($answer->json, {
        valid => TRUE,
        user  => { id => INT, email => $user->{email}, iat => INT,
            exp => INT },
    }, 'valid, and the four claims');
    is_deeply($answer->json->{user}, $claims, 'as they stand in the token');
};

subtest 'a token made elsewhere with the same secret is as good' => sub {
    my $answer = verify(token(\%GOOD));

    is_json($answer, 200, 'it is JSON');
    is_deeply($answer->json->{user}, \%GOOD, 'with its claims');
};

subtest 'a header typ in small letters, or none, is fine' => sub {
    is_json(verify(token(\%GOOD, header => { alg => 'HS256', typ => 'jwt' })),
        200, 'jwt: RFC 7519 compares it without regard to case');
    is_json(verify(token(\%GOOD, header => { alg => 'HS256' })), 200, 'none');
};

subtest 'without a token it is 401, and the challenge names the scheme' => sub {
    my $answer = request(GET => '/api/auth/verify');

    is_error($answer, 401, 'No token provided', 'no Authorization at all');
    like(scalar $answer->header('WWW-Authenticate'), qr/\ABearer\b/,
        'a Bearer challenge');
    unlike(scalar $answer->header('WWW-Authenticate'), qr/error=/,
        'without an error: nothing was tried');
    for my $value ('Bearer', 'Bearer ', 'Basic dXNlcjpwdw==', 'Digest x=y') {
        is_error(request(GET => '/api/auth/verify',
            headers => { Authorization => $value }), 401,
            'No token provided', "Authorization: $value");
    }
};

subtest 'the scheme is compared without regard to case' => sub {
    for my $scheme (qw(bearer BEARER)) {
        is_json(request(GET => '/api/auth/verify',
            headers => { Authorization => "$scheme " . token(\%GOOD) }), 200,
            $scheme);
    }
};

subtest 'an expired token says since when' => sub {
    my $expired = token({ %GOOD, iat => $now - 7200, exp => $now - 3600 });
    my $answer = verify($expired);
    my @t = gmtime($now - 3600);

    is_error($answer, 401, 'Token expired', 'the text');
    has_shape($answer->json, {
        error     => 'Token expired',
        expiredAt => sprintf('%04d-%02d-%02dT%02d:%02d:%02d.000Z',
            $t[5] + 1900, $t[4] + 1, @t[3, 2, 1, 0]),
    }, 'and the time');
    like(scalar $answer->header('WWW-Authenticate'),
        qr/\ABearer\b.*\berror="invalid_token"/, 'the challenge');
};

subtest 'a token that expires this very second is expired' => sub {
    is_refused(token({ %GOOD, exp => time }), 'exp is now', 'Token expired');
};

subtest 'a forged signature is refused' => sub {
    my $good = token(\%GOOD);
    my ($head, $body, $signature) = split /\./, $good;
    my $other = (split /\./, token({ %GOOD, id => 8 }))[1];
    my $flipped = $signature =~ s/\A(.)/$1 eq 'A' ? 'B' : 'A'/er;

    is_refused(token(\%GOOD, secret => 'another secret, just as long as it'),
        'made with another secret');
    is_refused("$head.$other.$signature", 'the payload of another token');
    is_refused("$head.$body.$flipped", 'one bit flipped');
    is_refused("$head.$body.", 'no signature');
    is_refused("$head.$body", 'two parts');
    is_refused("$good.$signature", 'four parts');
    is_refused($signature x 2, 'no dots');
    is_refused("$head.$body." . substr($signature, 0, 20), 'half of it');
    is_refused("$head.$body.${signature}A", 'one more character');
};

subtest 'only HS256 is taken, whatever the token says' => sub {
    is_refused(token(\%GOOD, header => { alg => 'none', typ => 'JWT' }),
        'none');
    is_refused(token(\%GOOD, header => { alg => 'None', typ => 'JWT' }),
        'None');
    for my $alg (qw(HS384 HS512)) {
        is_refused(token(\%GOOD, header => { alg => $alg, typ => 'JWT' }),
            "$alg with the right secret");
    }
    is_refused(token(\%GOOD, header => { alg => 'RS256', typ => 'JWT' })
        . (split /\./, token(\%GOOD))[2], 'RS256 over an HMAC');
    is_refused(token(\%GOOD, header => { alg => 'HS256', typ => 'JWT',
        crit => ['x'], x => 1 }), 'a critical extension that nobody knows');
};

subtest 'exp must be there, and be a number' => sub {
    is_refused(token({ map { $_ => $GOOD{$_} } qw(id email iat) }), 'no exp');
    is_refused(token({ %GOOD, exp => '' . ($now + 600) }), 'a string');
    is_refused(token({ %GOOD, exp => undef }), 'null');
    is_refused(token({ %GOOD, exp => JSON::PP::true }), 'true');
    is_refused(token({ %GOOD, exp => [ $now + 600 ] }), 'a list');
};

subtest 'a token from the future is not good yet' => sub {
    is_refused(token({ %GOOD, nbf => $now + 600 }), 'nbf is to come');
    is_json(verify(token({ %GOOD, nbf => $now - 600 })), 200,
        'nbf is over');
};

subtest 'a token must say who its user is' => sub {
    is_refused(token({ map { $_ => $GOOD{$_} } qw(email iat exp) }), 'no id');
    is_refused(token({ %GOOD, id => 'seven' }), 'id is a word');
    is_refused(token({ %GOOD, id => '7' }), 'id is a string');
    is_refused(token({ %GOOD, email => 7 }), 'email is a number');
};

subtest 'what is no token at all is refused' => sub {
    is_refused('x', 'one letter');
    is_refused('...', 'only dots');
    is_refused('a.b.c', 'three letters');
    is_refused(token({}, raw => '[1]'), 'a payload that is a list');
    is_refused(token({}, raw => 'null'), 'a payload that is null');
    is_refused(token({}, raw => '{"id":1'), 'a payload cut off');
    is_refused(token({}, raw => qq({"id":1,"email":"\xff","exp":9999999999})),
        'a payload that is no UTF-8');
    is_refused('x' x 7000, '7,000 letters');
    is_refused('.' x 7000, '7,000 dots');
};

subtest 'HEAD asks the same' => sub {
    is(request(HEAD => '/api/auth/verify', token => token(\%GOOD))->status,
        200, 'a good one');
    is(request(HEAD => '/api/auth/verify')->status, 401, 'none');
};

subtest 'the log tells an expired token from a bad one' => sub {
    my @lines = Patient::Log->new->since(0);
    my ($expired) = grep { $_->{type} eq 'JWT ERROR' } @lines;

    has_shape($expired // {}, {
        level => 'error', error => 'TokenExpiredError: jwt expired',
        expiredAt => TIME, '...' => 1,
    }, 'expired is an error: the lifetime may be set too short');
    for my $reason ('malformed', 'signature', 'algorithm', 'not active') {
        my ($line) = grep { $_->{type} eq 'TOKEN REJECTED'
            && ($_->{reason} // '') eq $reason } @lines;
        is($line->{level}, 'info', "a bad one is info: $reason");
    }
};

done_testing;
