# Mistakes in settings and configuration: each stops the start, with one clear
# line that names it; and what the settings do. Patients of its own.

use Patient;
use Patient::Log;
use Patient::Server;

my $HTTPD = $ENV{PATIENT_TEST_HTTPD};
my $SECRET = 'just long enough to be a secret!';

# The launcher turns these settings away: with a status, and one line of JSON
# that names what is wrong.
sub is_fatal ($env, $name, $sentence, $verb = 'check') {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $patient = Patient::Server->prepare(%$env);
    my ($status, undef, $out, $err) = $patient->ctl($verb);
    my @lines = split /\n/, $err;

    isnt($status, 0, "$sentence: the status");
    is(@lines, 1, "$sentence: one line") || diag($err);
    my $line = eval { Patient::Log::decode($lines[0] // '') } // {};
    is(join(', ', Patient::Log::faults($lines[0] // '')), '',
        "$sentence: of the log's form");
    is($line->{level}, 'fatal', "$sentence: a fatal one");
    like($line->{error} // '', qr/\b\Q$name\E\b/, "$sentence: names $name");
    unlike($err, qr/\Q$SECRET\E/, "$sentence: and no secret");
}

subtest 'the settings of the tests themselves are good' => sub {
    my ($status, $output) = Patient::Server->prepare->ctl('check');

    is($status, 0, 'check says so') || diag($output);
};

subtest 'production needs a JWT_SECRET of 32 bytes' => sub {
    my %production = (NODE_ENV => 'production');

    is_fatal({ %production, JWT_SECRET => undef }, 'JWT_SECRET', 'unset');
    is_fatal({ %production, JWT_SECRET => '' }, 'JWT_SECRET', 'empty');
    is_fatal({ %production, JWT_SECRET => substr $SECRET, 0, 31 },
        'JWT_SECRET', '31 bytes');
    is((Patient::Server->prepare(%production, JWT_SECRET => $SECRET)
        ->ctl('check'))[0], 0, '32 bytes are enough');
};

subtest 'and the start stops there, too' => sub {
    is_fatal({ NODE_ENV => 'production', JWT_SECRET => undef }, 'JWT_SECRET',
        'start', 'start');
    is_fatal({ NODE_ENV => 'production', JWT_SECRET => undef }, 'JWT_SECRET',
        'run', 'run');
};

my %BAD = (
    NODE_ENV           => ['prod', 'Production', 'PRODUCTION', 'production ',
        ' production', "production\r", "production\n", '"production"',
        'staging', 'tests', ' ', 'prodüction', '*'],
    PORT               => ['0', '65536', 'http', '-1', '3000x', '3000 '],
    DB_PORT            => ['0', '65536', 'mysql', '1e3'],
    DB_POOL_MAX        => ['0', '-1', 'ten', '1.5', '99999999999'],
    DB_TIMEZONE        => ['Asia/Seoul', 'UTC', 'Z', '+9:00', '09:00', '+0900',
        '+09:60', '+14:01', '-14:00', '+99:00', "+09:00' --", '+09:00 ',
        'SYSTEM'],
    DB_POOL_ACQUIRE_MS => ['0', '-1', 'soon', '30s'],
    CHAOS_MODE         => ['maybe', 'TRUE', 'True', '1', 'on', 'yes', 'false '],
    LOG_LEVEL          => ['loud', 'INFO', 'trace8'],
    DB_SSL_CA          => ['/no/such/file'],
    DB_HOST            => ["a\nb"],
    DB_PASSWORD        => ["a\nb"],
    JWT_SECRET         => ["$SECRET\n$SECRET"],
    CORS_ORIGIN        => ["*\nX-Header: y", 'a.example', 'https://',
        'https://a.example/', 'https://*.example', '*, https://a.example',
        'https://a.example;https://b.example/x'],
    CHAOS_TOKEN        => ["a\nb"],
    PATIENT_MEMORY_MB  => ['0', '15', '512MB', '-1', '0.5', '99999999'],
    PATIENT_CPUS       => ['0', '-1', '.5', '1.', '256m', '1,5', '2000',
        "1\n2"],
);

for my $name (sort keys %BAD) {
    subtest "a $name that cannot be stops the start and is named" => sub {
        for my $value (@{ $BAD{$name} }) {
            is_fatal({ $name => $value }, $name,
                $value =~ s/\n/\\n/gr);
        }
    };
}

subtest 'NODE_ENV is one of three words, which the message names' => sub {
    my (undef, $output) = Patient::Server->prepare(NODE_ENV => 'prod',
        JWT_SECRET => undef)->ctl('check');

    like($output, qr/NODE_ENV.*\bdevelopment, test, production\b/, 'it does');
    is((Patient::Server->prepare(NODE_ENV => $_)->ctl('check'))[0], 0, $_)
        for qw(development test);
};

subtest 'DB_HOST without DB_USER is named' => sub {
    is_fatal({ DB_USER => undef }, 'DB_USER', 'unset');
};

# ---- directives

# Runs httpd -t over the patient's configuration and one more line.
sub httpd_says ($line, %env) {
    my $patient = Patient::Server->prepare(NODE_ENV => 'test', CHAOS_MODE =>
        'true', CORS_ORIGIN => '*', DB_POOL_MAX => 10, DB_POOL_ACQUIRE_MS =>
        30_000, PATIENT_LOGLEVEL => 'info', PATIENT_CHILDREN => 1, %env);
    my $conf = $FindBin::Bin . '/../conf';
    my $file = "$patient->{dir}/httpd.conf";

    open my $out, '>', $file or die $!;
    print $out <<"EOC";
ServerRoot "$patient->{dir}"
Listen 127.0.0.1:$patient->{env}{PORT}
ErrorLog /dev/stderr
LoadModule mpm_event_module "\${PATIENT_MODULES}/mod_mpm_event.so"
Include "$conf/patient.conf"
$line
EOC
    close $out;
    my ($status, $output) = $patient->command($HTTPD, '-t', '-f', $file);
    return ($status, $output);
}

subtest 'the patient\'s configuration may be included by any httpd' => sub {
    my ($status, $output) = httpd_says('');

    is($status, 0, 'httpd -t') || diag($output);
    unlike($output, qr/AH\d+.*(?:warn|error)/i, 'without a complaint');
};

for my $line (
    'PatientMaxBody lots', 'PatientMaxBody -1', 'PatientMaxBody',
    'PatientMaxBody 1 2', 'PatientTokenLifetime 0',
    'PatientTokenLifetime 24h', 'PatientPoolAcquire never',
    'PatientPoolAcquire 0', 'PatientPoolWaiters many',
    'PatientMemory 0', 'PatientMemory 512MB', 'PatientCpus 0',
    'PatientCpus 256m',
    'PatientDatabasePort 70000', 'PatientDatabaseTimezone Asia/Seoul',
    'PatientDatabaseTimezone +9', 'PatientHealthStatus 204',
    'PatientChaosMode perhaps',
    'PatientChaosMode On', 'PatientEnvironment prod',
    'PatientEnvironment Production', 'PatientEnvironment "production "',
    'PatientCorsOrigin a.example', 'PatientCorsOrigin "*, https://a.example"',
    'PatientChaosDbEndpoint nowhere', 'PatientChaosDbEndpoint host:0',
    'PatientChaosDbEndpoint host:port', 'PatientNoSuchThing On') {
    my ($name) = split / /, $line;
    subtest "httpd refuses '$line' and names the directive" => sub {
        my ($status, $output) = httpd_says($line);

        isnt($status, 0, 'httpd -t fails');
        like($output, qr/\b$name\b/, 'and says where');
    };
}

for my $bad (['PATIENT_MEMORY_MB', '512M'], ['PATIENT_CPUS', 'two']) {
    subtest "httpd itself names the variable, too: $bad->[0]" => sub {
        my ($status, $output) = httpd_says('', @$bad);

        isnt($status, 0, 'httpd -t fails');
        like($output, qr/\b$bad->[0]\b.*'$bad->[1]'/, 'and says which');
    };
}

subtest 'PatientChaos belongs into a place, and is On or Off' => sub {
    for my $line ('PatientChaos On', "<Location /api/chaos/db-fail>\n"
        . "PatientChaos perhaps\n</Location>") {
        my ($status, $output) = httpd_says($line);
        isnt($status, 0, 'httpd -t fails');
        like($output, qr/\bPatientChaos\b/, 'and says where');
    }
};

subtest 'a secret that is too short for production is httpd\'s business too'
    => sub {
    my ($status, $output) = httpd_says('', NODE_ENV => 'production',
        JWT_SECRET => 'short');

    isnt($status, 0, 'httpd -t fails');
    like($output, qr/\bJWT_SECRET\b/, 'and names it');
};

subtest 'what NODE_ENV may be is httpd\'s business, too' => sub {
    for my $value ('prod', ' production', 'PRODUCTION') {
        my ($status, $output) = httpd_says('', NODE_ENV => $value);
        isnt($status, 0, "httpd -t fails for '$value'");
        like($output, qr/NODE_ENV.*development, test, production/,
            'and names it and the three words');
    }
    my ($status, $output) = httpd_says('', NODE_ENV => '');
    is($status, 0, 'none is development') || diag($output);
};

subtest 'the launcher reports a mistake in a .conf as one line' => sub {
    my ($copy, $keep) = Patient::Server->copy_project;

    open my $out, '>>', "$copy/conf/patient.conf" or die $!;
    print $out "PatientMaxBody lots\n";
    close $out;
    is_fatal({ project => $copy }, 'PatientMaxBody', $_, $_)
        for qw(check start);
};

# ---- what settings do

subtest 'settings that are not the default ones take effect' => sub {
    my $patient = Patient::Server->new(NODE_ENV => 'production',
        JWT_SECRET => $SECRET, LOG_LEVEL => 'warning', DB_POOL_MAX => 3,
        CORS_ORIGIN => 'https://a.example, https://b.example');
    my $port = $patient->port;

    is(request(GET => '/', port => $port)->json->{environment}, 'production',
        'NODE_ENV');
    is(request(GET => '/api/metrics', port => $port)->json->{pool}{max}, 3,
        'DB_POOL_MAX');
    for my $origin ('https://a.example', 'https://b.example') {
        my $answer = request(OPTIONS => '/api/posts', port => $port,
            headers => { Origin => $origin });
        is(scalar $answer->header('Access-Control-Allow-Origin'), $origin,
            "CORS_ORIGIN: $origin");
        like(join(', ', $answer->header('Vary')), qr/\bOrigin\b/i, 'Vary');
    }
    for my $origin ('https://c.example', 'https://a.example.c.example',
        'null', 'https://a.exampl') {
        my @allowed = request(GET => '/', port => $port,
            headers => { Origin => $origin })
            ->header('Access-Control-Allow-Origin');
        is("@allowed", '', "not $origin");
    }
    request(GET => '/api/posts/x', port => $port);
    $patient->log->wait_for(0, sub ($l) { $l->{type} eq 'METRICS' })
        or die 'no figures';
    # httpd's own notices of start and stop come at any level, and so do the
    # figures that alarms are made of.
    my @info = grep { $_->{level} eq 'info' && $_->{type} ne 'HTTPD' }
        $patient->log->since;
    is(join(' ', map { $_->{type} } @info), 'METRICS',
        'LOG_LEVEL=warning: of the info lines, the figures at the start alone')
        || diag(explain(\@info));
};

subtest 'a .env in the project is read, and the environment wins' => sub {
    my ($copy, $keep) = Patient::Server->copy_project;

    open my $out, '>', "$copy/.env" or die $!;
    print $out "# a comment\n\nNODE_ENV=test\n"
        . "JWT_SECRET=from \$HOME `.env` \"file\"\n"
        . "CORS_ORIGIN=https://file.example\nPORT=1\n";
    close $out;
    require Patient::Token;
    my $patient = Patient::Server->new(project => $copy, CORS_ORIGIN => '*',
        JWT_SECRET => undef);
    my $answer = request(GET => '/', port => $patient->port);
    is($answer->json->{environment}, 'test', 'its value');
    my $user = sign_in(port => $patient->port);
    ok(Patient::Token::signature_fits($user->{token},
        'from $HOME `.env` "file"'), 'verbatim');
    is(scalar $answer->header('Access-Control-Allow-Origin'), '*',
        'the environment\'s');
};

subtest 'JWT_SECRET may hold any byte' => sub {
    require Patient::Token;
    my $secret = q(a,b;c "q"'=%$\ x ${HOME}) . "\xff\t한글";
    utf8::encode($secret);
    my $patient = Patient::Server->new(JWT_SECRET => $secret);
    my $user = sign_in(port => $patient->port);

    ok(Patient::Token::signature_fits($user->{token}, $secret),
        'the token is signed with it, byte for byte');
};

done_testing;
