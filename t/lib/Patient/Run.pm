package Patient::Run;

# How the suites are run: Apache::TestRun, told what this project needs.

use v5.36;
use parent 'Apache::TestRun';
use Apache::TestRun ();
use File::Spec::Functions qw(catfile rel2abs);
use Patient::Port;

# What the server's configuration expands and the launcher did not set.
my %DEFAULT = (
    NODE_ENV           => 'test',
    DB_PORT            => 3306,
    DB_NAME            => 'patient_db',
    DB_POOL_MAX        => 10,
    DB_POOL_ACQUIRE_MS => 30_000,
    CORS_ORIGIN        => '*',
    CHAOS_TOKEN        => '',
    PATIENT_CHILDREN   => 1,
    PATIENT_LOGLEVEL   => 'notice patient:info',
    PATIENT_LOG_PULSE  => 1,
);

# These start a patient of their own and never talk to the common server, so
# a second round with another number of children would show nothing new.
my @ONCE = qw(
    alarms
    arrows
    chaos_control
    chaos_parameters
    chaos_tool
    compose
    config
    database
    directives
    ecs
    foreign
    grant
    http2
    language
    launcher
    leak
    log_pipe
    migrating
    mysql
    openapi
    outage
    password
    password_file
    pool
    proxy
    restart
    restart_slow
    secrecy
    status
    task
    threads
    tls
);

# With MySQL in MariaDB's place: what uses no database, or is not about it, shows
# nothing new, and of what takes long the harder round is enough. And what is of
# MySQL alone.
my @NO_DATABASE = qw(alarms arrows compose directives ecs foreign language
    leak log_pipe protocol_errors proxy status task);
my @HARDER = qw(chaos_db_fail chaos_incidents incident_deadline incident_truth
    incident_reserve);
my @MYSQL_ALONE = qw(mysql);

# By name alone: it takes long.
my @BY_HAND = qw(chaos_soak);

# Judges the error log that all the others have left behind.
my $LAST = 'log';

sub main ($class, $t_dir, @args) {
    if ($> == 0) {
        say STDERR 't/TEST: run it as a user other than root: httpd gives up '
            . 'root for its children, and the tests then cannot stop them';
        exit 1;
    }
    for my $name (qw(DB_HOST DB_USER DB_PASSWORD)) {
        next if defined $ENV{$name};
        say STDERR "t/TEST: $name is not set: run it as "
            . '`conf/patientctl exec -- perl t/TEST`';
        exit 1;
    }
    $ENV{$_} //= $DEFAULT{$_} for keys %DEFAULT;
    $ENV{CHAOS_MODE} = 'true';
    $ENV{JWT_SECRET} = 'the tests sign their own tokens with this secret'
        unless length($ENV{JWT_SECRET} // '');

    $ENV{PATIENT_SO} //= rel2abs(catfile($t_dir, qw(.. build mod_patient.so)));
    my $apxs = apxs();
    chomp($ENV{PATIENT_MODULES} //= qx(\Q$apxs\E -q LIBEXECDIR));

    # The harness would start itself again through a shell that knows nothing
    # of quoting, to raise the limit on core files.
    $ENV{APACHE_TEST_ULIMIT_SET} = 1;
    # Plain lines are easier to read in a CI log than a repainted one.
    $ENV{APACHE_TEST_NO_COLOR} = 1;
    $ENV{PERL5LIB} = join ':', catfile($t_dir, 'lib'), $ENV{PERL5LIB} // ();

    keep_old_log(catfile($t_dir, 'logs', 'error_log'));
    Apache::TestRun::fixup();
    $class->new->run(@args,
        '-apxs'       => $apxs,
        # Nothing of the machine's own configuration: what is enabled there
        # (mod_perl, once libapache2-mod-perl2 is installed) is not our server.
        '-httpd_conf' => '/dev/null',
        (grep { $_ eq '-port' } @args) ? () : ('-port' => free_port()));
}

sub apxs () {
    for my $dir (split(/:/, $ENV{PATH}), qw(/usr/bin /usr/local/bin)) {
        return "$dir/apxs" if -x "$dir/apxs";
    }
    say STDERR 't/TEST: no apxs found: install apache2-dev';
    exit 1;
}

# A suite that reads the whole log must not find an earlier run in it.
sub keep_old_log ($log) {
    rename $log, "$log.previous" if -e $log;
}

sub split_test_args ($self) {
    $self->SUPER::split_test_args;
    return if @{ $self->{tests} };

    my %later = ($LAST => 1);
    my $is_first = $ENV{PATIENT_CHILDREN} == 1;
    my %leave = map { $_ => 1 } @BY_HAND, $is_first ? () : @ONCE,
        $ENV{PATIENT_TEST_MYSQL} ? (@NO_DATABASE, $is_first ? @HARDER : ())
            : @MYSQL_ALONE;
    my @names = map { m{([^/]+)\.t$} } glob 't/*.t';

    $self->{tests} = [
        map  { "t/$_.t" }
        sort { ($later{$a} // 0) <=> ($later{$b} // 0) || $a cmp $b }
        grep { !$leave{$_} } @names
    ];
}

# What suites ask of the server that was configured. They could thaw all of
# the configuration themselves, but that runs httpd each time, which complains.
sub start ($self) {
    my $vars = $self->{test_config}{vars};

    $ENV{PATIENT_TEST_PORT}  = $vars->{port};
    $ENV{PATIENT_TEST_LOG}   = catfile($vars->{t_logs}, 'error_log');
    $ENV{PATIENT_TEST_HTTPD} = $vars->{httpd};
    $self->SUPER::start;
}

{
    no warnings 'redefine';

    # Asked for its version, httpd looks at the (empty) configuration as well
    # and complains that it has no MPM.
    my $open_cmd = \&Apache::TestConfig::open_cmd;
    *Apache::TestConfig::open_cmd = sub ($self, $command) {
        return $open_cmd->($self, "$command 2>/dev/null");
    };

    # The stock one leaves the paths bare, which breaks in a folder with a
    # space.
    *Apache::TestServer::args = sub ($self) {
        my $vars = $self->{config}{vars};
        return qq(-d "$vars->{serverroot}" -f "$vars->{t_conf_file}");
    };
}

1;
