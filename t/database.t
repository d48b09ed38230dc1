# A database that is not set up as ours would be: another time zone, another
# character set, a strict mode or none, commits or not. Patients and databases of its own.

use Patient;
use Patient::Database;
use Patient::Server;
use Patient::Sql;

my %SERVERS = (
    'far in the east, and in Latin 1' => ['--default-time-zone=+09:00',
        '--character-set-server=latin1', '--init-connect=SET NAMES latin1',
        # MySQL 9 knows it no more.
        '--loose-skip-character-set-client-handshake'],
    'far in the west, without strictness' => ['--default-time-zone=-08:00',
        '--sql-mode='],
    'in ANSI mode, with no backslash escapes' =>
        ['--sql-mode=ANSI,NO_BACKSLASH_ESCAPES,TRADITIONAL'],
    'where who does not commit has written nothing' => ['--autocommit=0',
        '--completion-type=CHAIN', '--transaction-isolation=SERIALIZABLE'],
);

for my $kind (sort keys %SERVERS) {
    subtest "a database $kind" => sub {
        my $database = Patient::Database->new(options => $SERVERS{$kind});
        my $patient = Patient::Server->new($database->environment);
        my $port = $patient->port;
        my $user = sign_in(port => $port, name => '한글 🩺 "\\\'');
        my $post = new_post($user, port => $port, title => '🩺 \\" %',
            content => 'x' x 65_532 . '한');
        my ($drift) = (sql("SELECT TIMESTAMPDIFF(SECOND, STR_TO_DATE("
            . "'$post->{createdAt}', '%Y-%m-%dT%H:%i:%s.000Z'), "
            . 'UTC_TIMESTAMP())', $database->address))[0][0];

        cmp_ok(abs $drift, '<', 60, 'times are in UTC');
        is($user->{name}, '한글 🩺 "\\\'', 'a name comes back');
        my $shown = request(GET => "/api/posts/$post->{id}", port => $port);
        is($shown->json->{title}, '🩺 \\" %', 'and a title');
        ok($shown->json->{content} eq 'x' x 65_532 . '한', 'and a content');
        is($shown->json->{createdAt}, $post->{createdAt}, 'and the time');
        is_error(request(POST => '/api/posts', port => $port,
            token => $user->{token}, json => { title => 'x' x 256 }), 400,
            qr/255/, 'nothing is cut');
        is((sql('SELECT COUNT(*) FROM posts WHERE user_id = ' . $user->{id},
            $database->address))[0][0], 1, 'what was answered is written');
        new_post($user, port => $port) for 1 .. 5;
        is(request(DELETE => "/api/posts/$post->{id}", port => $port,
            token => $user->{token})->status, 200, 'and is deleted');
        my @list = map { request(GET => '/api/posts', port => $port)
            ->json->{count} } 1 .. 10;
        is("@list", '5 ' x 9 . 5, 'as any connection sees at once');
    };
}

done_testing;
