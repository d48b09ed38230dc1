# POST /api/posts

use Patient;
use Patient::Sql;
use Patient::Token;

my $user = sign_in();

sub create ($json, %with) {
    return request(POST => '/api/posts', token => $user->{token},
        defined $json ? (json => $json) : (), %with);
}

sub count_posts () {
    return (sql("SELECT COUNT(*) FROM posts WHERE user_id = $user->{id}"))
        [0][0];
}

sub stored ($id) {
    my ($row) = sql("SELECT HEX(title), HEX(content), user_id FROM posts "
        . "WHERE id = $id");
    return [map { utf8::decode(my $s = pack 'H*', $_); $s } @$row[0, 1]];
}

# Not loaded with the JSON encoder, so that what is sent is what stands here.
sub escaped ($string) {
    return '"' . join('', map { sprintf '\\u%04x', $_ }
        unpack 'n*', Encode::encode('UTF-16BE', $string)) . '"';
}
require Encode;

subtest 'a post is created and comes back' => sub {
    my $answer = create({ title => 'A title', content => 'Some content' });

    is_json($answer, 201, 'it is JSON');
    has_shape($answer->json, {
        id => INT, user_id => INT, title => 'A title',
        content => 'Some content', createdAt => TIME, updatedAt => TIME,
    }, 'with the promised fields and no other');
    is($answer->json->{user_id}, $user->{id}, 'it is its author\'s');
    is_deeply(stored($answer->json->{id}), ['A title', 'Some content'],
        'and it is in the table');
};

subtest 'content that is left out is empty, and never null' => sub {
    for my $body ({ title => 'T' }, { title => 'T', content => undef },
        { title => 'T', content => '' }) {
        my $answer = create($body);
        is_json($answer, 201, 'it is created');
        my $id = $answer->json->{id};
        is($answer->json->{content}, '', 'in the answer');
        is_deeply(stored($id), ['T', ''], 'in the table');
        is(request(GET => "/api/posts/$id")->json->{content}, '',
            'when it is read');
    }
    is(create(undef, type => 'application/x-www-form-urlencoded',
        body => 'title=T')->json->{content}, '', 'of a form, too');
};

my $AWKWARD = qq{"\\" \\\\ 한글 🩺 </script> \t"};

subtest 'an awkward title comes back exactly' => sub {
    for my $title ($AWKWARD, "\x01\x1f\x7f\x{85}\x{2028}\x{fffd}\x{ffff}",
        "e\x{301}", '%s %d %%', q{' OR 1=1 --}, ' leading and trailing ',
        "\x{10ffff}\x{1f469}\x{200d}\x{2695}\x{fe0f}") {
        my $answer = create({ title => $title, content => $title });
        is_json($answer, 201, 'it is created');
        my $id = $answer->json->{id};
        is($answer->json->{title}, $title, 'in the answer');
        is_deeply([@{ request(GET => "/api/posts/$id")->json }
            {qw(title content)}], [$title, $title], 'when it is read');
        is_deeply(stored($id), [$title, $title], 'in the table');
    }
};

subtest 'so does one that was written all in \u escapes' => sub {
    my $answer = create(undef, type => 'application/json',
        body => '{"\\u0074itle":' . escaped($AWKWARD) . '}');

    is_json($answer, 201, 'it is created');
    is($answer->json->{title}, $AWKWARD, 'the same title');
};

subtest 'a title has at most 255 characters, however many bytes' => sub {
    for my $letter ('x', '한', '🩺') {
        my $answer = create({ title => $letter x 255 });
        is_json($answer, 201, "255 times $letter");
        is($answer->json->{title}, $letter x 255, 'and none is lost');
        is_error(create({ title => $letter x 256 }), 400, qr/255/,
            "256 times $letter");
    }
};

subtest 'a content has at most 65,535 bytes' => sub {
    my %full = (
        'of ASCII' => 'x' x 65535,
        'of Hangul' => '한' x 21845,
        'of emoji and three letters' => '🩺' x 16383 . 'abc',
        'of what JSON escapes' => "\x01\"\\" x 21845,
    );
    for my $kind (sort keys %full) {
        my $before = count_posts();
        my $answer = create({ title => 'Full', content => $full{$kind} });
        is_json($answer, 201, "65,535 $kind");
        my $id = $answer->json->{id};
        ok($answer->json->{content} eq $full{$kind}, 'come back exactly');
        ok(request(GET => "/api/posts/$id")->json->{content} eq $full{$kind},
            'and again when it is read');
        is_error(create({ title => 'Full', content => "$full{$kind}x" }), 400,
            qr/65,?535/, "65,536 $kind are a clear 400");
        is(count_posts(), $before + 1, 'one was stored');
    }
};

subtest 'the largest content fits even written all in \u escapes' => sub {
    my $answer = create(undef, type => 'application/json',
        body => '{"title":"Escaped","content":' . escaped('x' x 65535) . '}');

    is_json($answer, 201, 'it is created');
    ok($answer->json->{content} eq 'x' x 65535, 'and comes back exactly');
    is_error(create(undef, type => 'application/json',
        body => '{"title":"Escaped","content":' . escaped('x' x 65536) . '}'),
        400, qr/65,?535/, 'one more does not fit');
};

subtest 'a list of large posts is whole' => sub {
    my $content = '🩺' x 16383;
    my @ids = map { create({ title => "Large $_", content => $content })
        ->json->{id} } 1 .. 5;
    my $answer = request(GET => '/api/posts?limit=5');

    is_json($answer, 200, 'it is JSON');
    is_deeply([map { $_->{id} } @{ $answer->json->{posts} }],
        [reverse @ids], 'all of them');
    ok(!(grep { $_->{content} ne $content } @{ $answer->json->{posts} }),
        'to the last byte');
};

subtest 'a title is required' => sub {
    my $before = count_posts();

    for my $body ({}, { content => 'x' }, { title => '' },
        { title => undef }) {
        is_error(create($body), 400, 'Title is required',
            JSON::PP->new->encode($body));
    }
    is(count_posts(), $before, 'nothing was stored');
};

# What White_Space, controls and characters without width look like: nothing.
subtest 'blanks alone are no title' => sub {
    my $before = count_posts();

    for my $blank (' ', '   ', "\t", "\r\n", "\x0b\x0c", "\x01", "\x{85}",
        "\x{a0}", "\x{1680}", "\x{2003}", "\x{2028}", "\x{202f}",
        "\x{205f}", "\x{3000}", "\x{200b}", "\x{200d}", "\x{2060}",
        "\x{feff}", "\x{ad}", "\x{3164}", "\x{2800}", "\x{e0020}",
        " \x{3000}\x{200b}\t" x 50, "\x{3000}" x 300) {
        is_error(create({ title => $blank }), 400, 'Title is required',
            join ' ', map { sprintf 'U+%04X', ord }
                (split //, $blank)[0 .. ($blank =~ /../s ? 1 : 0)]);
    }
    is_error(create(undef, type => 'application/x-www-form-urlencoded',
        body => 'title=+%E3%80%80+'), 400, 'Title is required', 'in a form');
    is(count_posts(), $before, 'nothing was stored');

    for my $title (' x ', "\x{3000}가\x{3000}", '.', "\x{200b}0",
        "\x{1f469}\x{200d}\x{2695}\x{fe0f}") {
        my $answer = create({ title => $title });
        is_json($answer, 201, 'with something to see in it, it is one');
        is($answer->json->{title}, $title, 'and stays as it was');
    }
};

subtest 'a wrong type is a 400 that names the field' => sub {
    my $before = count_posts();

    for my $field (qw(title content)) {
        for my $wrong (17, JSON::PP::true, ['x'], { x => 1 }) {
            is_error(create({ title => 'T', $field => $wrong }), 400,
                qr/\b$field\b/i,
                "$field as " . JSON::PP->new->encode([$wrong]));
        }
    }
    is(count_posts(), $before, 'nothing was stored');
};

subtest 'whose post it is, the token says and not the body' => sub {
    my $other = sign_up();
    my $answer = create({ title => 'T', user_id => $other->{id}, id => 1 });

    is_json($answer, 201, 'it is created');
    is($answer->json->{user_id}, $user->{id}, 'for the one with the token');
    isnt($answer->json->{id}, 1, 'with an id of its own');
};

subtest 'without a good token there is no post' => sub {
    my $before = (sql('SELECT COUNT(*) FROM posts'))[0][0];
    my %claims = (id => $user->{id}, email => $user->{email}, iat => time);
    my %refused = (
        'expired'       => token({ %claims, exp => time - 10 }),
        'without exp'   => token(\%claims),
        'of alg none'   => token({ %claims, exp => time + 60 },
            header => { alg => 'none', typ => 'JWT' }),
        'forged'        => token({ %claims, exp => time + 60 },
            secret => 'another secret, just as long as it is'),
        'that is none'  => 'x.y.z',
    );
    my $answer = create({ title => 'T' }, token => undef);

    is_error($answer, 401, 'Authentication required', 'no token');
    like(scalar $answer->header('WWW-Authenticate'), qr/\ABearer\b/,
        'with a challenge');
    for my $kind (sort keys %refused) {
        my $refused = create({ title => 'T' }, token => $refused{$kind});
        is_error($refused, 401, 'Invalid or expired token', "one $kind");
        like(scalar $refused->header('WWW-Authenticate'),
            qr/\ABearer\b.*error="invalid_token"/, 'with a challenge');
    }
    is((sql('SELECT COUNT(*) FROM posts'))[0][0], $before,
        'nothing was stored');
};

subtest 'a token whose user is gone is 401' => sub {
    my $leaver = sign_in();

    sql("DELETE FROM users WHERE id = $leaver->{id}");
    is_error(create({ title => 'T' }, token => $leaver->{token}), 401,
        qr/./, 'not 503, and not 201');
};

subtest 'posts that are made at once are all there' => sub {
    my $before = count_posts();
    my @connections = map { connection() } 1 .. 25;

    $_->send($_->compose(POST => '/api/posts', token => $user->{token},
        json => { title => 'At once' })) for @connections;
    my %ids = map { $_->read('POST')->json->{id} => 1 } @connections;
    is(keys %ids, 25, '25 different ids');
    is(count_posts(), $before + 25, '25 rows');
};

done_testing;
