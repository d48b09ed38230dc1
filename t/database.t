# A database that is not set up as ours would be: another time zone, another
# character set, a strict mode or none, TLS. Patients and MariaDBs of its own.

use Patient;
use File::Temp ();
use Patient::Database;
use Patient::Server;
use Patient::Sql;

my %SERVERS = (
    'far in the east, and in Latin 1' => ['--default-time-zone=+09:00',
        '--character-set-server=latin1',
        '--skip-character-set-client-handshake'],
    'far in the west, without strictness' => ['--default-time-zone=-08:00',
        '--sql-mode='],
    'in ANSI mode, with no backslash escapes' =>
        ['--sql-mode=ANSI,NO_BACKSLASH_ESCAPES,TRADITIONAL'],
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
    };
}

# ---- TLS

sub openssl (@args) {
    my $output = qx(openssl @args 2>&1);
    die "openssl @args: $output" if $?;
}

# A certificate for 127.0.0.1 of an authority of its own, in $dir/NAME-*.pem.
sub certify ($dir, $name, $address) {
    openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=$name-ca "
        . "-keyout $dir/$name-ca.key -out $dir/$name-ca.pem");
    openssl("req -newkey rsa:2048 -nodes -subj /CN=$address "
        . "-keyout $dir/$name-key.pem -out $dir/$name.csr");
    open my $out, '>', "$dir/$name.ext" or die $!;
    print $out "subjectAltName=IP:$address\n";
    close $out;
    openssl("x509 -req -days 2 -in $dir/$name.csr -CA $dir/$name-ca.pem "
        . "-CAkey $dir/$name-ca.key -CAcreateserial -extfile $dir/$name.ext "
        . "-out $dir/$name-cert.pem");
}

my $dir = File::Temp->newdir('patient-tls-XXXXXX', TMPDIR => 1);
certify($dir, 'right', '127.0.0.1');
certify($dir, 'wrong', '127.0.0.2');

sub tls_database ($name) {
    return Patient::Database->new(options => [map { "--ssl-$_" }
        "cert=$dir/$name-cert.pem", "key=$dir/$name-key.pem"]);
}

sub health_with ($database, $ca) {
    my $patient = Patient::Server->new($database->environment,
        DB_SSL_CA => $ca && "$dir/$ca-ca.pem");
    my $health = request(GET => '/health', port => $patient->port);
    my ($line) = grep { $_->{type} eq 'DB CONNECTION ERROR' }
        $patient->log->since;
    return ($health, $line);
}

subtest 'with DB_SSL_CA the connection is encrypted' => sub {
    my $database = tls_database('right');
    $database->root("ALTER USER patient\@'%' REQUIRE SSL");

    my ($health) = health_with($database, 'right');
    is_json($health, 200, 'a user who must use TLS gets in');
    ($health) = health_with($database, undef);
    is_json($health, 503, 'but not without DB_SSL_CA');
};

subtest 'and the server\'s certificate is verified' => sub {
    my ($health, $line) = health_with(tls_database('right'), 'wrong');
    is_json($health, 503, 'one of another authority is refused');
    ok($line, 'and the log says so');
    ($health) = health_with(tls_database('wrong'), 'wrong');
    is_json($health, 503, 'and so is one for another host');
    ($health) = health_with(Patient::Database->new, 'right');
    is_json($health, 503, 'and a server without TLS');
};

done_testing;
