# GET /api/posts/:id

use Patient;
use Patient::Sql;

my $user = sign_in(name => '글쓴이');

subtest 'a post comes with its author' => sub {
    my $post = new_post($user, title => 'One', content => "line\nline");
    my $answer = request(GET => "/api/posts/$post->{id}");

    is_json($answer, 200, 'it is JSON');
    is_deeply($answer->json, { %$post, author =>
        { id => $user->{id}, email => $user->{email}, name => '글쓴이' } },
        'all of it, as it was made, and nothing else');
};

subtest 'a content that is NULL in the table is answered as ""' => sub {
    my $post = new_post($user, content => 'x');

    sql("UPDATE posts SET content = NULL WHERE id = $post->{id}");
    is(request(GET => "/api/posts/$post->{id}")->json->{content}, '',
        'by itself');
    my ($listed) = grep { $_->{id} == $post->{id} }
        @{ request(GET => '/api/posts?limit=100')->json->{posts} };
    is($listed->{content}, '', 'and in the list');
};

subtest 'who reads needs no login, and a bad token is no harm' => sub {
    my $post = new_post($user);

    is_json(request(GET => "/api/posts/$post->{id}", token => 'no.good.token'),
        200, 'it is shown');
};

subtest 'an id that no post has is 404' => sub {
    is_error(request(GET => '/api/posts/2147483647'), 404, 'Post not found',
        'the greatest that the column can hold');
};

subtest 'what is no id is 404 too' => sub {
    my $post = new_post($user);

    for my $id (qw(abc 0 -1 1.5 1e0 0x1 99999999999999999999 %00 ..%00 null),
        "$post->{id}abc", "+$post->{id}", "%20$post->{id}",
        4294967296 + $post->{id}, '18446744073709551617', "'", '1;--',
        '%ED%95%9C') {
        my $answer = request(GET => "/api/posts/$id");
        # httpd itself turns a NUL byte away, with a text of its own.
        $id =~ /%00/
            ? is_error($answer, $answer->status == 400 ? 400 : 404, qr/./,
                "id $id")
            : is_error($answer, 404, 'Post not found', "id $id");
    }
};

subtest 'HEAD says how long the post is and sends none of it' => sub {
    my $post = new_post($user, content => 'x' x 1000);
    my $get = request(GET => "/api/posts/$post->{id}");
    my $head = request(HEAD => "/api/posts/$post->{id}");

    is($head->status, 200, 'the status');
    is(scalar $head->header('Content-Length'),
        scalar $get->header('Content-Length'), 'the length of GET');
    is(request(HEAD => '/api/posts/2147483647')->status, 404,
        'and 404 where GET has it');
};

done_testing;
