# POST /api/auth/login

use Patient;
use Patient::Sql;
use Patient::Token;

sub sign_in_as ($email, $password) {
    return request(POST => '/api/auth/login',
        json => { email => $email, password => $password });
}

# A row as the original wrote it.
sub insert_user ($hash) {
    my $email = new_email('original');
    sql('INSERT INTO users (email, password, name) VALUES ('
        . join(', ', map { sql_text($_) } $email, $hash, 'Original') . ')');
    return $email;
}

subtest 'the right password gets a token and the user' => sub {
    my $user = sign_up(name => '한글 🩺');
    my $answer = sign_in_as($user->{email}, $user->{password});

    is_json($answer, 200, 'it is JSON');
    has_shape($answer->json, {
        message => 'Login successful',
        token   => qr/\A[\w-]+\.[\w-]+\.[\w-]+\z/,
        user    => {
            id => $user->{id}, email => $user->{email}, name => '한글 🩺',
            '...' => 1,
        },
    }, 'with the promised fields');
    unlike($answer->body, qr/password|\$2[aby]\$/, 'no hash among them');
};

subtest 'the token is a JWT with HS256, good for 24 hours' => sub {
    my $user = sign_in();
    my $claims = claims($user->{token});

    is_deeply(header_of($user->{token}), { alg => 'HS256', typ => 'JWT' },
        'the header');
    ok(signature_fits($user->{token}), 'the signature is made with JWT_SECRET');
    has_shape($claims, { id => INT, email => $user->{email}, iat => INT,
        exp => INT }, 'four claims');
    is($claims->{id}, $user->{id}, 'id is the user\'s');
    is($claims->{exp} - $claims->{iat}, 24 * 60 * 60, 'exp is iat + 24 h');
    cmp_ok(abs($claims->{iat} - time), '<', 60, 'iat is now');
};

subtest 'email and password are required' => sub {
    for my $body ({}, { email => new_email() }, { password => password() },
        { email => '', password => '' }) {
        is_error(request(POST => '/api/auth/login', json => $body), 400,
            'Email and password are required',
            'with ' . (join(' and ', sort keys %$body) || 'neither'));
    }
};

subtest 'a wrong type is a 400 that names the field' => sub {
    my %good = (email => new_email(), password => password());
    for my $field (sort keys %good) {
        for my $wrong (17, JSON::PP::false, [], {}) {
            is_error(request(POST => '/api/auth/login',
                json => { %good, $field => $wrong }), 400, qr/\b$field\b/i,
                "$field as " . JSON::PP->new->encode([$wrong]));
        }
    }
};

subtest 'a wrong password and an unknown user get the very same answer' => sub {
    my $user = sign_up();
    my $wrong = sign_in_as($user->{email}, password());
    my $unknown = sign_in_as(new_email(), $user->{password});

    is_error($wrong, 401, 'Invalid email or password', 'wrong password');
    is_error($unknown, 401, 'Invalid email or password', 'unknown user');
    is($unknown->body, $wrong->body, 'byte for byte');
    is(header_names($unknown), header_names($wrong), 'with the same headers');
};

sub header_names ($response) {
    return join ' ', sort { $a cmp $b } keys %{ $response->{headers} };
}

# One bcrypt takes 20 times what all the rest takes, so an answer without one
# would stand out far beyond these bounds, whatever the machine is doing.
subtest 'and it takes the same time' => sub {
    my $user = sign_up();
    my $connection = connection();
    my (@known, @unknown);

    for (1 .. 9) {
        for my $pair ([\@known, $user->{email}], [\@unknown, new_email()]) {
            my ($times, $email) = @$pair;
            push @$times, $connection->request(POST => '/api/auth/login',
                json => { email => $email, password => password() })->seconds;
        }
    }
    my ($known, $unknown) = map { (sort { $a <=> $b } @$_)[4] }
        \@known, \@unknown;
    my $ratio = $unknown / $known;
    cmp_ok($ratio, '>', 0.5, 'the median for an unknown user is not far less');
    cmp_ok($ratio, '<', 2, 'and not far more');
};

# What bcrypt makes of PASSWORD with this salt, under each of its names: the
# original's library wrote $2a$ and $2b$, Apache's writes $2y$.
my $BCRYPT = '10$N9qo8uLOickgx2ZMRZoMyesESOcchrSgIfTHiHVTbwH2kpxOV360C';

for my $kind ('$2a$', '$2b$', '$2y$') {
    subtest "a row of the original with a $kind hash still logs in" => sub {
        my $email = insert_user("$kind$BCRYPT");

        is_json(sign_in_as($email, 'PASSWORD!'), 401,
            'not with a wrong password');
        is_json(sign_in_as($email, 'PASSWORD'), 200, 'with the right one');
    };
}

subtest 'a hash that is none is no way in, and no failure either' => sub {
    for my $hash ('', 'plain text', '$2a$10$short', '$2b$99$' . 'x' x 53,
        '*') {
        my $email = insert_user($hash);
        is_error(sign_in_as($email, length $hash ? $hash : 'empty!'), 401,
            'Invalid email or password', "'$hash'");
    }
};

subtest 'a password of Hangul and emoji works' => sub {
    my $user = sign_up(password => '비밀번호 🔑 \\"');

    is_json(sign_in_as($user->{email}, $user->{password}), 200, 'it logs in');
};

# The original set no limit, and its bcrypt passed over what follows byte 72.
subtest 'who had a longer password in the original still logs in' => sub {
    my $email = insert_user(crypt('x' x 72, '$2b$10$N9qo8uLOickgx2ZMRZoMye'));

    is_json(sign_in_as($email, 'x' x 80), 200, 'with 80 bytes');
    is_error(sign_in_as($email, 'x' x 71), 401, 'Invalid email or password',
        'but not with 71');
};

subtest 'two logins may go on at once for one user' => sub {
    my $user = sign_up();
    my @connections = map { connection() } 1 .. 4;

    $_->send($_->compose(POST => '/api/auth/login', json => {
        email => $user->{email}, password => $user->{password} }))
        for @connections;
    is($_->read('POST')->status, 200, 'it logs in') for @connections;
};

done_testing;
