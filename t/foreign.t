# The module in somebody else's httpd: beside other virtual hosts, which must
# not notice, and switched off, which must cost nothing. Servers of its own.

use Patient;
use Patient::Httpd;
use Patient::Log;

my %SITE = ('site/index.html' => "the site\n", 'site/style.css' => "css\n",
    'site/private/key' => "secret\n",
    'broken/.htaccess' => "NoSuchDirective\n");

# libmariadb's option file, for the database of the tests.
sub option_file () {
    return join "\n", '[patient]', "host=$ENV{DB_HOST}", "port=$ENV{DB_PORT}",
        "user=$ENV{DB_USER}", "password=\"$ENV{DB_PASSWORD}\"",
        "database=$ENV{DB_NAME}", 'protocol=tcp', '';
}
my %OPTIONS = ('options/my.cnf' => option_file());

my $DBD = <<'END';
    DBDriver  mysql
    DBDParams "group=patient,reconnect=0,fldsz=65535"
    DBDMin    0
    DBDKeep   3
    DBDMax    3
    DBDExptime 0
END
my $SITE = <<'END';
    DocumentRoot "@DIR@/site"
    <Directory "@DIR@/site">
        Require all granted
    </Directory>
    <Directory "@DIR@/site/private">
        Require all denied
    </Directory>
END
my $PATIENT = <<"END";
    PatientEngine On
    PatientDatabaseHome options
    ErrorLog "\@DIR\@/patient_log"
    ErrorLogFormat "%{b}J%M%{e}J"
    LogLevel notice patient:info
$DBD
END

sub get ($server, $name, $path, %with) {
    return request(GET => $path, port => $server->port($name), %with);
}

sub is_plain_site ($answer, $text, $sentence) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($answer->status, 200, $sentence);
    is($answer->body, $text, "$sentence: the file");
    is(scalar $answer->header('Access-Control-Allow-Origin'), undef,
        "$sentence: not for every origin");
}

# The sockets on which a process listens.
sub listening (@pids) {
    my (%inode, %ports);

    for my $pid (@pids) {
        $inode{$_}++ for map { (readlink($_) // '') =~ /socket:\[(\d+)\]/ }
            glob "/proc/$pid/fd/*";
    }
    for my $line (map { split /\n/, Patient::Server::slurp("/proc/net/$_") }
        qw(tcp tcp6)) {
        my @field = split ' ', $line;
        next unless ($field[3] // '') eq '0A' && $inode{ $field[9] };
        $ports{ hex((split /:/, $field[1])[1]) }++;
    }
    return sort { $a <=> $b } keys %ports;
}

# Memory that a process shares with those it forks.
sub shared_maps ($pid) {
    return scalar grep { m{^\S+ rw-s .*/dev/zero} } split /\n/,
        Patient::Server::slurp("/proc/$pid/maps");
}

subtest 'loaded and switched off, it does nothing' => sub {
    my $off = Patient::Httpd->new("LogLevel debug\n$SITE",
        files => { %SITE });
    my $on = Patient::Httpd->new("LogLevel debug\nPatientEngine On\n"
        . "PatientChaosMode true\n$DBD", files => { %SITE });

    is_plain_site(get($off, 'MAIN', '/style.css'), "css\n", 'a file');
    is(join(' ', listening($off->pids)), $off->port, 'it opens no port');
    cmp_ok(scalar(my @ports = listening($on->pids)), '>', 1,
        'as it does when it may be asked to fail');
    unlike($off->text, qr/\[patient:|mod_patient/, 'no line of the log is about it');
    ok(wait_until(sub { $on->text =~ /Watchdog \(_patient_/ }),
        'where a patient is watched');
    unlike($off->text, qr/Watchdog \(_patient/, 'nobody makes rounds here');
    cmp_ok(shared_maps($off->{pid}), '<', shared_maps($on->{pid}),
        'and there is no board');
    ok($off->restart, 'a graceful restart');
    is_plain_site(get($off, 'MAIN', '/style.css'), "css\n", 'and again');
};

subtest 'the handler without PatientEngine is none' => sub {
    my $server = Patient::Httpd->new("$SITE<Location /api>\n"
        . "SetHandler patient\n</Location>\n", files => { %SITE });

    my $answer = get($server, 'MAIN', '/api/posts');
    is($answer->status, 404, 'not found');
    like($answer->body, qr/<html>/, 'says httpd');
};

# Four virtual hosts: a plain site, one with a database of its own kind, a
# patient with the whole of its host, and a site whose /api is the patient.
my $server = Patient::Httpd->new(<<"END", files => { %SITE, %OPTIONS });
Listen 127.0.0.1:\@OTHER\@
Listen 127.0.0.1:\@PATIENT\@
Listen 127.0.0.1:\@MIXED\@
$SITE
<VirtualHost 127.0.0.1:\@OTHER\@>
    ErrorLog "\@DIR\@/other_log"
    PatientEnvironment production
    PatientMaxBody 2048
    DBDriver mysql
    DBDParams "host=127.0.0.1,port=1"
    DBDMin 0
    DBDKeep 1
    DBDMax 7
    $SITE
</VirtualHost>
<VirtualHost 127.0.0.1:\@PATIENT\@>
    $PATIENT
    DocumentRoot "\@DIR\@/broken"
    <Directory "\@DIR\@/broken">
        AllowOverride All
    </Directory>
    <Location />
        SetHandler patient
        Require all granted
    </Location>
</VirtualHost>
<VirtualHost 127.0.0.1:\@MIXED\@>
    $PATIENT
    $SITE
    Alias /api/docs "\@DIR\@/site"
    <Location /api>
        SetHandler patient
    </Location>
    <Location /api/docs>
        SetHandler none
    </Location>
</VirtualHost>
END

my $whole = sub {
    my $user = sign_in(port => $server->port('PATIENT'));
    my $health = get($server, 'PATIENT', '/health');

    is_json($health, 200, 'it is healthy, with DBD* in its virtual host')
        or diag($server->text, $server->text('patient_log'));
    ok(wait_until(sub { get($server, 'PATIENT', '/api/metrics')
        ->json->{pool}{max} == 3 }),
        'the pool is as large as DBDMax says there, and not elsewhere');
    is(get($server, 'PATIENT', '/livez')->status, 200,
        'which looks at no file on the way');
    is_error(get($server, 'PATIENT', '/nowhere'), 404, 'Not Found',
        'errors are JSON');
    is(scalar get($server, 'PATIENT', '/')
        ->header('Access-Control-Allow-Origin'), '*', 'for every origin');
    is(get($server, 'MIXED', '/api/posts?limit=1')->status, 200,
        'the other door leads to the same database');
    is(request(GET => '/api/auth/verify', token => $user->{token},
        port => $server->port('MIXED'))->status, 200, 'and knows the user');
};

subtest 'a patient in a virtual host' => $whole;

subtest 'a site whose /api is the patient' => sub {
    is_plain_site(get($server, 'MIXED', '/index.html'), "the site\n",
        'a file beside it');
    is_plain_site(get($server, 'MIXED', '/api/docs/style.css'), "css\n",
        'a file below it');
    is_error(get($server, 'MIXED', '/private/key'), 403, 'Forbidden',
        'what a <Directory> forbids stays forbidden');
    is_error(get($server, 'MIXED', '/no.html'), 404, 'Not Found',
        'an error of this host is JSON');
    like(join(', ', get($server, 'MIXED', '/index.html')
        ->header('X-Request-Id')), qr/\S/, 'every request has an id');
    get($server, 'MIXED', '/chaos.html');
    ok($server->log('patient_log')->wait_for(0, sub ($l) {
        ($l->{path} // '') eq '/chaos.html' }),
        'what is not the patient\'s may be called as it will');
};

subtest 'virtual hosts beside it notice nothing' => sub {
    for my $name (qw(MAIN OTHER)) {
        is_plain_site(get($server, $name, '/index.html'), "the site\n",
            "$name: a file");
        my $answer = get($server, $name, '/nowhere');
        is($answer->status, 404, "$name: an error");
        like($answer->body, qr/<html>/, "$name: httpd's page");
        for my $header (qw(X-Request-Id Access-Control-Allow-Origin)) {
            is(scalar $answer->header($header), undef, "$name: no $header");
        }
        is(get($server, $name, '/livez')->status, 404, "$name: no patient");
        is(get($server, $name, '/private/key')->status, 403,
            "$name: and its own rules");
    }
    like($server->text('other_log'), qr/^\[.*\] \[authz_core:error\] \[pid/m,
        'their log is as ever');
    unlike($server->text . $server->text('other_log'), qr/^\{/m,
        'without a line of ours');
};

subtest 'the patient\'s log is its own, and JSON throughout' => sub {
    my @lines = $server->log('patient_log')->raw_since;

    cmp_ok(@lines, '>', 5, 'there are lines');
    is(join("\n", map { my $l = $_; Patient::Log::faults($l) ? $l : () }
        @lines), '', 'every one of them');
    # The request for what a <Directory> forbids is httpd's error to report.
    my @alarms = grep { /"level":"(?:warning|error|fatal)"/ && !/AH01630/ }
        @lines;
    is("@alarms", '', 'and none is an alarm');
    unlike($server->text, qr/\[(?:patient|dbd|watchdog):/,
        'httpd has nothing to say of it, either');
};

subtest 'graceful restarts change nothing of that' => sub {
    my $before = get($server, 'PATIENT', '/api/metrics')->json;

    for (1 .. 2) {
        ok($server->restart, 'one');
        $whole->();
        is_plain_site(get($server, 'OTHER', '/style.css'), "css\n", 'a file');
    }
    cmp_ok(get($server, 'PATIENT', '/api/metrics')->json->{requests}{total},
        '>', $before->{requests}{total}, 'the counts go on');
};
$server->stop;

subtest 'who does not want to inherit says Off' => sub {
    my $one = Patient::Httpd->new(<<"END", files => { %SITE, %OPTIONS });
Listen 127.0.0.1:\@OFF\@
$PATIENT
<Location />
    SetHandler patient
</Location>
<VirtualHost 127.0.0.1:\@OFF\@>
    PatientEngine Off
    $SITE
    <Location />
        SetHandler none
    </Location>
</VirtualHost>
END
    is(get($one, 'MAIN', '/livez')->status, 200, 'the main server is one');
    is_plain_site(get($one, 'OFF', '/index.html'), "the site\n", 'this isn\'t');
    like(get($one, 'OFF', '/livez')->body, qr/<html>/, 'nor are its errors');
};

subtest 'settings may stand in files' => sub {
    my $secret = 'a secret, of "any" $bytes\\ that is long enough';
    my $one = Patient::Httpd->new(<<"END",
$PATIENT
PatientEnvironment production
PatientJwtSecret file:keys/jwt
<Location />
    SetHandler patient
</Location>
END
        files => { %OPTIONS, 'keys/jwt' => "$secret\n" });
    my $user = sign_in(port => $one->port);

    require Patient::Token;
    ok(Patient::Token::signature_fits($user->{token}, $secret),
        'the last newline is not part of it');
};

# ---- what stops the start

sub is_refused ($text, $like, $sentence, %with) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($status, $output) = Patient::Httpd->prepare($text,
        files => { 'keys/jwt' => 'short', 'keys/nul' => "a\0b",
            'keys/long' => 'x' x 9000, 'keys/empty' => '',
            'keys/newline' => "\n" }, %with)->once('-t');

    isnt($status, 0, "$sentence: refused");
    like($output, $like, "$sentence: with a reason");
}

subtest 'an httpd is one patient' => sub {
    my $doors = sub ($setting) {
        return "Listen 127.0.0.1:\@B\@\nPatientEngine On\n"
            . "<VirtualHost 127.0.0.1:\@B\@>\n$setting\n</VirtualHost>\n";
    };
    for my $setting ('PatientDatabaseHost elsewhere',
        'PatientDatabasePort 3307', 'PatientDatabaseHome elsewhere',
        'PatientPoolAcquire 1', 'PatientPoolWaiters 1',
        'PatientMetricsInterval 1',
        'PatientChaosDbEndpoint h:1', 'PatientChaosUpstream http://h/',
        'PatientLedger l') {
        my ($name) = split / /, $setting;
        is_refused($doors->($setting), qr/\b$name is not the same in /, $name);
        my ($status, $output) = Patient::Httpd->prepare(
            $doors->("$setting\nPatientEngine Off"))->once('-t');
        is($status, 0, "$name: who is none may say so") || diag($output);
    }
    my ($status, $output) = Patient::Httpd->prepare($doors->(
        "PatientMaxBody 2048\nPatientCorsOrigin https://a.example\n"
        . "PatientChaosMode true\nPatientChaosToken t"))->once('-t');
    is($status, 0, 'but its doors may differ in who may enter')
        || diag($output);
};

subtest 'what it cannot do without stops the start, where it is a patient'
    => sub {
    for my $case ([{ modules => ['authz_core'] }, qr/needs mod_dbd/],
        [{ mpm => 'prefork' }, qr/needs an MPM with threads/]) {
        my ($with, $like) = @$case;
        is_refused("PatientEngine On\n", $like, "On", %$with);
        my ($status, $output) = Patient::Httpd->prepare('', %$with)
            ->once('-t');
        is($status, 0, 'Off: nobody asks') || diag($output);
    }
    is_refused("PatientEngine On\nPatientEnvironment production\n",
        qr/\bPatientJwtSecret\b/, 'production without a secret');
    my ($status, $output) = Patient::Httpd->prepare(
        "PatientEnvironment production\n")->once('-t');
    is($status, 0, 'Off: nobody asks') || diag($output);
};

subtest 'a file that is no good as a value is named' => sub {
    is_refused("PatientJwtSecret file:keys/none\n",
        qr{PatientJwtSecret: the file keys/none cannot be read}, 'none');
    is_refused("PatientJwtSecret file:keys/$_\n",
        qr{PatientJwtSecret: the file keys/$_ has}, $_) for qw(nul long);
    is_refused("PatientChaosToken file:keys/$_\n",
        qr{PatientChaosToken: the file keys/$_ is empty}, $_)
        for qw(empty newline);
    is_refused("PatientEngine On\nPatientEnvironment production\n"
        . "PatientJwtSecret file:keys/jwt\n", qr/has 5 bytes/, 'too short');
};

done_testing;
