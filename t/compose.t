# compose.yaml and the Dockerfile: that they speak of the same ports, places
# and variables as the launcher. Reads files and runs `patientctl check`.

use Patient;
use Patient::Server;
use YAML::PP;

my $root = "$FindBin::Bin/..";
my $compose = YAML::PP->new->load_file("$root/compose.yaml");
my $dockerfile = Patient::Server::slurp("$root/Dockerfile");
my ($patient, $mysql) = @{ $compose->{services} }{qw(patient mysql)};

# What Compose makes of ${NAME:-default} when nothing is set.
my %env = map { $_ => $patient->{environment}{$_} =~
    s/\$\{\w+:-(.*?)\}/$1/gr } keys %{ $patient->{environment} };

# The variables that the launcher knows.
my %KNOWN = map { $_ => 1 } Patient::Server::slurp("$root/.env.example")
    =~ /^#?([A-Z_]+)=/mg;

subtest 'the Dockerfile is about the launcher\'s own variables' => sub {
    my ($block) = $dockerfile =~ /^ENV ((?:.*\\\n)*.*)/m;
    my %image = $block =~ /(\w+)=(\S+)/g;

    is(join(' ', grep { !$KNOWN{$_} } sort keys %image), '', 'all are known');
    is($dockerfile =~ /^EXPOSE (\d+)$/m ? $1 : '', $image{PORT},
        'EXPOSE is its PORT');
    is($dockerfile =~ m{^VOLUME (\S+)$}m ? $1 : '', $image{PATIENT_RUN},
        'VOLUME is its PATIENT_RUN');
    unlike($dockerfile, qr/apt-get install/,
        'and takes its packages from conf/packages');
};

subtest 'Compose gives the patient what it knows' => sub {
    is(join(' ', grep { !$KNOWN{$_} } sort keys %env), '', 'variables');
    my ($status, $output) = Patient::Server->prepare(%env)->ctl('check');
    is($status, 0, 'with values that it takes') || diag($output);
};

subtest 'Compose, the Dockerfile and the launcher agree' => sub {
    my ($port) = $dockerfile =~ /^EXPOSE (\d+)$/m;
    my ($run) = $dockerfile =~ /^VOLUME (\S+)$/m;

    is($patient->{build}, '.', 'it is built here');
    like($patient->{ports}[0], qr/:\$\{PORT:-$port\}:$port\z/, 'the port');
    ok($patient->{read_only}, 'the root is read-only');
    is("@{ $patient->{tmpfs} }", $run, 'but for the run directory');
    my ($grace) = Patient::Server::slurp("$root/conf/httpd.conf")
        =~ /^GracefulShutdownTimeout (\d+)$/m;
    cmp_ok($patient->{stop_grace_period} =~ s/s\z//r, '>=', $grace + 5,
        'it is given the time to finish');
};

subtest 'the database is the one that the patient looks for' => sub {
    my $at = $mysql->{environment};

    is($compose->{services}{ $env{DB_HOST} }, $mysql, 'host');
    is($env{DB_PORT}, 3306, 'port');
    is($at->{MYSQL_DATABASE}, $env{DB_NAME}, 'name');
    is($at->{MYSQL_USER}, $env{DB_USER}, 'user');
    is($at->{MYSQL_PASSWORD}, $env{DB_PASSWORD}, 'password');
    is($patient->{depends_on}{ $env{DB_HOST} }{condition}, 'service_healthy',
        'the patient starts when it is healthy');
    ok($mysql->{healthcheck}{test}, 'which somebody looks at');
    my ($volume) = split /:/, $mysql->{volumes}[0];
    ok(exists $compose->{volumes}{$volume}, 'it is kept');
};

done_testing;
