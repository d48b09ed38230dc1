# A write whose connection breaks after it was sent: whether it is done gets
# known, and the answer says so. The database still works on it when the
# connection is gone: a lock holds it. The database, the endpoint and the
# patient are this suite's own.

use Patient;
use Patient::Database;
use Patient::Forwarder;
use Patient::Ill;
use Patient::Log;
use Patient::Sql;
use Time::HiRes qw(sleep time);

my $database = Patient::Database->new;
my $endpoint = Patient::Forwarder->new($database->{port});
my $patient = Patient::Ill->new($database->environment,
    DB_PORT => $endpoint->port);
my $port = $patient->port;
my $user = sign_in(port => $port);
my $email;

sub count ($where) {
    return (sql("SELECT COUNT(*) FROM $where", $database->address))[0][0];
}

sub runs_in_database ($words) {
    return wait_until(sub { (sql('SELECT COUNT(*) FROM '
        . "information_schema.processlist WHERE info LIKE '$words%'",
        $database->administrator))[0][0] });
}

# What makes the write wait within the database, a request that does, how it
# looks there, and how many rows tell that it is done.
my %writes = (
    'a post' => ['SELECT * FROM users WHERE id = ' . $user->{id}
        . ' FOR UPDATE', 'INSERT INTO posts',
        sub ($name) { [POST => '/api/posts', token => $user->{token},
            json => { title => $name }] },
        sub ($name) { count("posts WHERE title = '$name'") }],
    'an account' => ['INSERT INTO users (email, password) VALUES '
        . "('EMAIL', '')", 'INSERT INTO users',
        sub ($name) { [POST => '/api/auth/register', json => {
            email => $email = new_email(), password => password() }] },
        sub ($name) { count("users WHERE email = '$email'") }],
    'a deletion' => ['SELECT * FROM posts FOR UPDATE', 'DELETE FROM posts',
        sub ($name) { my $post = new_post($user, port => $port,
            title => $name);
            [DELETE => "/api/posts/$post->{id}", token => $user->{token}] },
        sub ($name) { !count("posts WHERE title = '$name'") }],
);

for my $what (sort keys %writes) {
    for my $way (qw(cut swallow)) {
        my ($lock, $words, $request, $done) = @{ $writes{$what} };
        my $name = "$what $way";

        subtest "$what, and the connection is $way" => sub {
            my $locker = Patient::Sql->open($database->address);
            my $writer = connection(port => $port);
            my ($method, $path, %with) = @{ $request->($name) };

            $locker->run('BEGIN');
            $locker->run($lock =~ s/EMAIL/$email/r);
            $writer->send($writer->compose($method => $path, %with));
            ok(runs_in_database($words), 'it waits in the database');
            $endpoint->$way;
            # Longer than whoever asks at once whether it is done.
            sleep($way eq 'cut' ? 1.5 : 12);
            $locker->run('ROLLBACK');
            $locker->close;
            my $answer = $writer->read($method);
            like($answer->status, qr/\A(?:20[01]|503)\z/, 'it is answered');
            ok(wait_until(sub { !count("information_schema.processlist "
                . "WHERE info LIKE '$words%'") }), 'nothing goes on');
            sleep 0.2;
            is($done->($name) ? 'done' : 'not done',
                $answer->status == 503 ? 'not done' : 'done',
                'and what was answered is true');
            ok(wait_until(sub { request(GET => '/readyz', port => $port)
                ->status == 200 }), 'all is well');
        };
    }
}

undef $patient;
done_testing;
