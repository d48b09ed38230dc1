# POST /api/auth/register

use Patient;
use Patient::Sql;

my @USER = (id => INT, createdAt => TIME, updatedAt => TIME);

sub register (%body) {
    return request(POST => '/api/auth/register', json => \%body);
}

sub users_named ($email) {
    return (sql('SELECT COUNT(*) FROM users WHERE email = '
        . sql_text($email)))[0][0];
}

subtest 'a new user gets 201 and comes back without the password' => sub {
    my $email = new_email();
    my $answer = register(email => $email, password => password(),
        name => '김 환자 🩺');

    is_json($answer, 201, 'it is JSON');
    has_shape($answer->json, {
        message => 'User created successfully',
        user    => { @USER, email => $email, name => '김 환자 🩺' },
    }, 'the user has the promised fields and no other');
    is(users_named($email), 1, 'the user is in the table');
};

subtest 'createdAt and updatedAt are now, in UTC' => sub {
    my $user = sign_up();
    my ($age) = (sql('SELECT TIMESTAMPDIFF(SECOND, '
        . "STR_TO_DATE('$user->{createdAt}', '%Y-%m-%dT%H:%i:%s.000Z'), "
        . 'UTC_TIMESTAMP())'))[0][0];

    cmp_ok($age, '>=', -1, 'not in the future');
    cmp_ok($age, '<=', 60, 'not an hour or more ago');
    is($user->{updatedAt}, $user->{createdAt}, 'and both are the same');
};

subtest 'who gives no name is called Anonymous' => sub {
    my $answer = register(email => new_email(), password => password());

    is_json($answer, 201, 'it is created');
    is($answer->json->{user}{name}, 'Anonymous', 'the name');
};

subtest 'and so is who gives one that nobody can see' => sub {
    for my $name ('', ' ', "\t\n", "\x{3000}\x{a0}", "\x{200b}", "\x{3164}") {
        my $answer = register(email => new_email(), password => password(),
            name => $name);
        is_json($answer, 201, 'it is created');
        is($answer->json->{user}{name}, 'Anonymous', 'the name');
    }
    is(sign_up(name => ' 김 ')->{name}, ' 김 ', 'any other stays as it is');
};

subtest 'the password is kept as a bcrypt hash of cost 10' => sub {
    my $user = sign_up();
    my ($hash) = (sql("SELECT password FROM users WHERE id = $user->{id}"))
        [0][0];

    like($hash, qr{\A\$2[aby]\$10\$[./A-Za-z0-9]{53}\z}, 'the form of a hash');
    is(crypt($user->{password}, $hash =~ s/\A\$2y/\$2b/r),
        $hash =~ s/\A\$2y/\$2b/r, 'of this password');
};

subtest 'two users with one password have different hashes' => sub {
    my $password = password();
    my @users = map { sign_up(password => $password) } 1, 2;
    my @rows = sql('SELECT DISTINCT password FROM users WHERE id IN ('
        . join(', ', map { $_->{id} } @users) . ')');

    is(@rows, 2, 'the salt differs');
};

subtest 'email and password are required' => sub {
    my @bad = (
        {}, { email => new_email() }, { password => password() },
        { email => '', password => password() },
        { email => new_email(), password => '' },
        { email => undef, password => undef },
    );
    for my $body (@bad) {
        is_error(register(%$body), 400, 'Email and password are required',
            'with ' . (join(' and ', sort keys %$body) || 'neither'));
    }
};

subtest 'an email must look like one' => sub {
    for my $email ('nobody', '@', 'a@', '@example.org', 'a b@example.org',
        'a@b@example.org', "a\@example.org\n", 'a@example', 'a@.org',
        ' a@example.org') {
        is_error(register(email => $email, password => password()), 400,
            'Invalid email format', $email =~ s/\n/\\n/r);
    }
};

# Two that look the same would be two people.
subtest 'nor has it a character that cannot be seen' => sub {
    for my $blank ("\x{3000}", "\x{a0}", "\x{200b}", "\x{feff}", "\x{ad}",
        "\x{3164}", "\x{2060}", "\x{85}") {
        for my $local ($blank, "a$blank", "${blank}a", "a${blank}b") {
            is_error(register(email => new_email($local),
                password => password()), 400, 'Invalid email format',
                sprintf 'U+%04X', ord $blank);
        }
    }
    is_error(register(email => $_, password => password()), 400,
        'Invalid email format', 'alone') for ' ', "\x{3000}", "\x{200b}";
};

subtest 'an unusual email that is one is taken' => sub {
    for my $local ("o'hara", 'first.last+tag', 'a_b-c', '한글', 'jürgen') {
        is_json(register(email => new_email($local), password => password()),
            201, $local);
    }
};

subtest 'a password has 6 characters at least, and 72 bytes at most' => sub {
    my $text = 'Password must have at least 6 characters and at most '
        . '72 bytes';

    is_error(register(email => new_email(), password => '12345'), 400, $text,
        'five are too few');
    for my $short ('가나', '가나다라마', '🩺' x 5, 'é' x 5, "e\x{301}" x 2) {
        is_error(register(email => new_email(), password => $short), 400,
            $text, "$short is too short, however many bytes it has");
    }
    is_error(register(email => new_email(), password => 'x' x 73), 400, $text,
        '73 are too many');
    is_error(register(email => new_email(), password => '가' x 25), 400, $text,
        '25 Hangul syllables have 75 bytes');
    is_json(register(email => new_email(), password => '123456'), 201,
        'six are enough');
    for my $six ('가나다라마바', '🩺' x 6, '      ') {
        is_json(register(email => new_email(), password => $six), 201,
            "and so are the six of '$six'");
    }
    is_json(register(email => new_email(), password => 'x' x 72), 201,
        '72 are not too many');
    is_json(register(email => new_email(), password => '가' x 24), 201,
        'and neither are 24 Hangul syllables');
};

subtest 'several mistakes are told at once' => sub {
    is_error(register(email => 'nobody', password => '123'), 400,
        'Invalid email format, Password must have at least 6 characters and '
        . 'at most 72 bytes',
        'joined with a comma');
};

subtest 'an email that is taken gets 409' => sub {
    my $user = sign_up();

    is_error(register(email => $user->{email}, password => password()), 409,
        'Email already exists', 'the same spelling');
    is_error(register(email => uc $user->{email}, password => password()),
        409, 'Email already exists', 'and in capitals');
    is(users_named($user->{email}), 1, 'there is still one');
};

subtest 'of several who take one email at once exactly one gets it' => sub {
    my $email = new_email();
    my @connections = map { connection() } 1 .. 6;

    $_->send($_->compose(POST => '/api/auth/register',
        json => { email => $email, password => password() }))
        for @connections;
    my @status = sort map { $_->read('POST')->status } @connections;

    is("@status", '201 409 409 409 409 409', 'one 201, five 409');
    is(users_named($email), 1, 'one row');
};

subtest 'a field of the wrong type is a 400 that names it' => sub {
    my %good = (email => new_email(), password => password(), name => 'N');

    for my $field (sort keys %good) {
        for my $wrong (17, 1.5, JSON::PP::true, ['x'], { x => 1 }) {
            is_error(register(%good, $field => $wrong), 400, qr/\b$field\b/i,
                "$field as " . JSON::PP->new->allow_nonref->encode($wrong));
        }
    }
    is(users_named($good{email}), 0, 'nothing was stored');
};

subtest 'what does not fit into the table is a 400 that says so' => sub {
    my %good = (email => new_email(), password => password());

    is_json(register(%good, name => '가' x 100), 201,
        'a name of 100 characters fits');
    is_error(register(%good, email => new_email(), name => 'x' x 101), 400,
        qr/name/i, 'one of 101 does not');
    is_error(register(%good, email => 'x' x 250 . '@example.org'), 400,
        qr/email/i, 'nor does an email of 262');
};

subtest 'what the client adds besides is not taken over' => sub {
    my $answer = register(email => new_email(), password => password(),
        id => 1, createdAt => '2000-01-01T00:00:00.000Z');

    is_json($answer, 201, 'it is created');
    isnt($answer->json->{user}{id}, 1, 'with an id of its own');
    unlike($answer->json->{user}{createdAt}, qr/\A2000/, 'and its own time');
};

subtest 'SQL in a field is only text' => sub {
    my $name = q{'; DROP TABLE posts; -- \\" %s %d};
    my $answer = register(email => new_email(), password => password(),
        name => $name);

    is_json($answer, 201, 'it is created');
    is($answer->json->{user}{name}, $name, 'and comes back as it went');
};

done_testing;
