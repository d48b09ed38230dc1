# GET /api/posts

use Patient;
use Patient::Sql;

my %POST = (id => INT, user_id => INT, title => STRING,
    content => STRING,
    createdAt => TIME, updatedAt => TIME);
my %AUTHOR = (id => INT, email => STRING, name => STRING);

sub list ($query = '') { return request(GET => "/api/posts$query") }

my $user = sign_in();
my @mine = map { new_post($user, title => "List $_", content => "c$_")->{id} }
    1 .. 12;

subtest 'posts come with their authors, a count and the time it took' => sub {
    my $answer = list();

    is_json($answer, 200, 'it is JSON');
    has_shape($answer->json, {
        posts     => [{ %POST, author => \%AUTHOR }],
        count     => INT,
        queryTime => qr/\A\d+ms\z/,
    }, 'with the promised fields and no other');
    is($answer->json->{count}, @{ $answer->json->{posts} },
        'count is how many there are in the answer');
    unlike($answer->body, qr/password|\$2[aby]\$/, 'and no password hash');
};

subtest 'without a limit there are ten, the newest first' => sub {
    is_deeply([map { $_->{id} } @{ list()->json->{posts} }],
        [(reverse @mine)[0 .. 9]], 'the ten that were made last');
};

subtest 'limit and offset choose a window' => sub {
    for ([1, 0], [5, 0], [5, 5], [3, 9], [12, 0]) {
        my ($limit, $offset) = @$_;
        is_deeply(
            [map { $_->{id} }
                @{ list("?limit=$limit&offset=$offset")->json->{posts} }],
            [(reverse @mine)[$offset .. $offset + $limit - 1]],
            "limit $limit, offset $offset");
    }
};

subtest 'each post is whole and has its own author' => sub {
    my $other = sign_in(name => '다른 사람');
    my $post = new_post($other, title => 'By another', content => '🩺');
    my ($first, $second) = @{ list('?limit=2')->json->{posts} };

    is_deeply($first, { %$post, author =>
        { id => $other->{id}, email => $other->{email}, name => '다른 사람' } },
        'the new one');
    is($second->{author}{id}, $user->{id}, 'and the one before');
};

subtest 'posts of one second are ordered by id' => sub {
    my @ids = map { new_post($user, title => "Same second $_")->{id} } 1 .. 3;
    # The middle one is older than the others by its time, not by its id.
    sql('UPDATE posts SET created_at = created_at - INTERVAL 10 YEAR, '
        . "updated_at = updated_at WHERE id = $ids[1]");
    sql("UPDATE posts SET created_at = NOW(), updated_at = updated_at "
        . "WHERE id IN ($ids[0], $ids[2])");

    my @got = map { $_->{id} } @{ list('?limit=2')->json->{posts} };
    is_deeply(\@got, [$ids[2], $ids[0]], 'created_at first, then id');
};

subtest 'an offset beyond the end gives an empty list' => sub {
    my $answer = list('?offset=1000000');

    is_json($answer, 200, 'it is no mistake');
    is_deeply($answer->json->{posts}, [], 'no posts');
    is($answer->json->{count}, 0, 'count is 0');
};

subtest 'limit 100 is allowed' => sub {
    my $answer = list('?limit=100');

    is_json($answer, 200, 'it is');
    cmp_ok(scalar @{ $answer->json->{posts} }, '<=', 100, 'no more than that');
};

subtest 'the query string is percent-decoded' => sub {
    for my $query ('limit=%32', '%6cimit=2', '%6C%69%6D%69%74=%32', 'limit=2&',
        '&&limit=2', 'limit=2&x=%ED%95%9C', 'x&limit=2', 'x=1&x=2&limit=2',
        'x=%26limit=7&limit=2', 'limit=2&offset=%30', '%20limit=1&limit=2') {
        my $answer = list("?$query");
        is_json($answer, 200, $query);
        is($answer->json->{count}, 2, 'there are two');
    }
};

subtest 'an escape that is none is a 400 that says so, and where' => sub {
    for my $bad ('limit=%', 'limit=%3', 'limit=%zz', 'limit=%00', '%=1',
        'x=1&y=%g0', '%00=1') {
        my ($offset) = $bad =~ /\A(.*&)?/ ? length($1 // '') : 0;
        is_error(list("?$bad"), 400,
            qr/\AMalformed query: .*%XX.* \(offset $offset\)\z/, $bad);
    }
};

subtest 'a key that stands twice is a 400, however it is written' => sub {
    for my $bad ('limit=1&limit=1', 'limit=1&%6Cimit=2', 'limit&limit=2') {
        is_error(list("?$bad"), 400, qr/\Alimit must be/, $bad);
    }
    is_error(list('?offset=1&off%73et=1'), 400, qr/\Aoffset must be/, 'offset');
};

subtest 'a limit that is no number from 1 to 100 is a 400' => sub {
    for my $limit (qw(0 101 -1 +1 %2B1 1+ abc 1.5 1e1 0x10 10abc %20 1%20
        99999999999999999999), '') {
        is_error(list("?limit=$limit"), 400, qr/limit/, "limit=$limit");
    }
};

subtest 'an offset that is no number is a 400' => sub {
    for my $offset (qw(-1 abc 1.5 1e1 0x10 0abc %00 99999999999999999999), '') {
        is_error(list("?offset=$offset"), 400, qr/offset/,
            "offset=$offset");
    }
};

subtest 'parameters that nobody knows are passed over' => sub {
    is_json(list('?page=x&limit=1&&=&sort'), 200, 'as the original did');
};

subtest 'a user may be deleted, and the posts go too' => sub {
    my $leaver = sign_in();
    my $post = new_post($leaver);

    sql("DELETE FROM users WHERE id = $leaver->{id}");
    ok(!(grep { $_->{id} == $post->{id} }
        @{ list('?limit=100')->json->{posts} }), 'it is not listed');
};

done_testing;
