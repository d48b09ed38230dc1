# A database password may hold any byte but NUL and newline. The patient is
# one of its own, on a database of its own.

use Patient;
use Patient::Database;
use Patient::Server;

my $database = Patient::Database->new;

for my $password (q(a,b;c "q"'=%$\ x), q(\\), q(#;!x), q(  blanks  ),
    q(${HOME} $(id) `id` %{x}), "tab\there", "\\n\\t\\x41", q(]["),
    "한글🩺", q(env:HOME), q(")) {
    my $bytes = $password;
    utf8::encode($bytes);
    subtest "DB_PASSWORD=$password" => sub {
        $database->take_password($bytes);
        my $patient = Patient::Server->new($database->environment);
        my $answer = request(GET => '/health', port => $patient->port);

        is_json($answer, 200, 'the patient starts, and is healthy');
        ok($answer->json->{database}{connected}, 'the database let it in');
        is(index($patient->log_text, $bytes), -1,
            'and the log does not hold it') if length $bytes > 3;
    };
}

subtest 'with a wrong password it says so, and serves what it can' => sub {
    my $patient = Patient::Server->new($database->environment,
        DB_PASSWORD => 'a wrong one');

    is_json(request(GET => '/health', port => $patient->port), 503,
        '/health is 503');
    is_json(request(GET => '/livez', port => $patient->port), 200,
        '/livez is 200');
    my $line = $patient->log->wait_for(0, sub ($l) {
        $l->{type} eq 'DB CONNECTION ERROR' });
    like($line->{error}, qr/\ASequelizeAccessDeniedError: /,
        'the log says that it was denied');
    is($line->{parent}, 'SequelizeConnectionError', 'as a connection error');
    is($line->{mysql_errno}, 1045, 'with MySQL\'s number');
    is(index($patient->log_text, 'a wrong one'), -1, 'not with which password');
};

done_testing;
