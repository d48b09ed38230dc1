# DELETE /api/posts/:id

use Patient;
use Patient::Sql;
use Patient::Token;

my $user = sign_in();

sub remove ($id, %with) {
    return request(DELETE => "/api/posts/$id", token => $user->{token}, %with);
}

sub is_there ($id) {
    return (sql("SELECT COUNT(*) FROM posts WHERE id = $id"))[0][0];
}

subtest 'an author deletes a post' => sub {
    my $post = new_post($user);
    my $answer = remove($post->{id});

    is_json($answer, 200, 'it is JSON');
    has_shape($answer->json, { message => 'Post deleted successfully' },
        'a message, and nothing else');
    is(is_there($post->{id}), 0, 'the row is gone');
    is_error(request(GET => "/api/posts/$post->{id}"), 404, 'Post not found',
        'and so is the post');
    is_error(remove($post->{id}), 404, 'Post not found', 'the second time');
};

subtest 'nobody deletes the post of somebody else' => sub {
    my $post = new_post(sign_in());

    is_error(remove($post->{id}), 403,
        'Forbidden: You can only delete your own posts', 'it is refused');
    is(is_there($post->{id}), 1, 'it is still there');
};

subtest 'nobody deletes without a good token' => sub {
    my $post = new_post($user);
    my $answer = remove($post->{id}, token => undef);

    is_error($answer, 401, 'Authentication required', 'none');
    like(scalar $answer->header('WWW-Authenticate'), qr/\ABearer\b/,
        'with a challenge');
    is_error(remove($post->{id}, token => 'x.y.z'), 401,
        'Invalid or expired token', 'a bad one');
    is_error(remove($post->{id}, token => token({ id => $user->{id},
        email => $user->{email}, iat => time - 20, exp => time - 10 })), 401,
        'Invalid or expired token', 'an expired one');
    is(is_there($post->{id}), 1, 'it is still there');
};

subtest 'without a token nobody learns which posts there are' => sub {
    is_error(remove(2147483647, token => undef), 401,
        'Authentication required', 'no such post');
    is_error(remove('abc', token => undef), 401, 'Authentication required',
        'no number');
};

subtest 'what is no id, or no post, is 404' => sub {
    my $post = new_post($user);

    for my $id (qw(2147483647 abc 0 -1 1.5 99999999999999999999),
        "$post->{id}abc", "%20$post->{id}", 4294967296 + $post->{id}) {
        is_error(remove($id), 404, 'Post not found', "id $id");
    }
    is(is_there($post->{id}), 1, 'and nothing is deleted by such an id');
};

subtest 'of many who delete one post at once exactly one did it' => sub {
    my $post = new_post($user);
    my @connections = map { connection() } 1 .. 5;

    $_->send($_->compose(DELETE => "/api/posts/$post->{id}",
        token => $user->{token})) for @connections;
    my @status = sort map { $_->read('DELETE')->status } @connections;
    is("@status", '200 404 404 404 404', 'one 200, four 404');
};

done_testing;
