package Patient::Database;

# A database server of a suite's own, which it may kill: a MariaDB, or a MySQL
# where PATIENT_TEST_MYSQL says so (Patient::Mysql).

use v5.36;
use File::Copy ();
use File::Temp ();
use IO::Socket::INET;
use POSIX ();
use Patient::Authority;
use Patient::Mariadb;
use Patient::Mysql;
use Patient::Port;
use Patient::Wait;

# Up and running, with an empty database and a user who may do all in it:
# options => [what the server is started with besides];
# authority => Patient::Authority that gives it its certificate, or '' for a
# server without TLS; names => [what the certificate is for];
# is_secure => whether who comes without TLS is turned away.
sub new ($class, %with) {
    my $dir = File::Temp->newdir('patient-db-XXXXXX', TMPDIR => 1);
    my $kind = $ENV{PATIENT_TEST_MYSQL} ? 'Patient::Mysql'
        : 'Patient::Mariadb';
    my $self = bless {
        dir => $dir, kind => $kind, port => free_port(), owner => $$,
        authority => $with{authority},
    }, $class;

    if ($kind->is_secure && !defined $with{authority}) {
        $self->{authority} = Patient::Authority->new;
        $with{is_secure} //= 1;
    }
    $self->{options} = [$self->tls(%with), @{ $with{options} // [] }];
    $self->shell($kind->creation("$dir/data"));
    $self->start;
    $self->root('CREATE DATABASE patient_db CHARACTER SET utf8mb4;'
        . "CREATE USER patient\@'%'; GRANT ALL ON patient_db.* TO "
        . "patient\@'%'");
    $self->take_password('a password');
    return $self;
}

# The user's password, from now on.
sub take_password ($self, $password) {
    $self->{password} = $password;
    $password =~ s/([\\'])/\\$1/g;
    $self->root("ALTER USER patient\@'%' IDENTIFIED BY '$password'");
}

sub tls ($self, %with) {
    my $dir = $self->{dir};

    return $self->{kind}->without_tls unless $self->{authority};
    $self->take_certificate($self->{authority},
        @{ $with{names} // ['127.0.0.1'] });
    return ("--ssl-ca=$dir/ca.pem", "--ssl-cert=$dir/server.pem",
        "--ssl-key=$dir/server.key",
        $with{is_secure} ? '--require-secure-transport=ON' : ());
}

# The certificate that the server has from its next start on, or from now.
sub take_certificate ($self, $authority, @names) {
    my @made = $authority->certify(@names);

    for my $file ([$authority->file, 'ca.pem'], [$made[0], 'server.pem'],
        [$made[1], 'server.key']) {
        File::Copy::copy($file->[0], "$self->{dir}/$file->[1]")
            or die "$file->[1]: $!\n";
    }
    $self->root($self->{kind}->reload_statement) if $self->{pid};
}

# What a patient (or Patient::Sql) needs to reach it.
sub environment ($self) {
    return (DB_HOST => '127.0.0.1', DB_PORT => $self->{port},
        DB_NAME => 'patient_db', DB_USER => 'patient',
        DB_PASSWORD => $self->{password},
        DB_SSL_CA => $self->{authority} ? $self->{authority}->file : undef);
}

sub address ($self) {
    my %is = $self->environment;
    return (host => $is{DB_HOST}, port => $is{DB_PORT}, user => $is{DB_USER},
        password => $is{DB_PASSWORD}, database => $is{DB_NAME},
        ca => $is{DB_SSL_CA} // '');
}

# The same for the server's administrator.
sub administrator ($self) {
    return (socket => "$self->{dir}/socket", user => 'root', password => '',
        database => 'mysql');
}

sub start ($self) {
    my $dir = $self->{dir};
    my @command = ($self->{kind}->server, "--datadir=$dir/data",
        "--socket=$dir/socket", "--pid-file=$dir/pid", "--tmpdir=$dir",
        '--bind-address=127.0.0.1', "--port=$self->{port}",
        '--innodb-buffer-pool-size=32M', '--skip-name-resolve',
        @{ $self->{options} });

    $self->{pid} = fork // die "fork: $!\n";
    if (!$self->{pid}) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', "$dir/log";
        open STDERR, '>>', "$dir/log";
        { exec @command }
        POSIX::_exit(127);
    }
    wait_until(sub {
        IO::Socket::INET->new(PeerAddr => '127.0.0.1',
            PeerPort => $self->{port});
    }, 60) or die "the database did not start: " . $self->log;
}

sub kill ($self, $signal = 'KILL') {
    my $pid = delete $self->{pid} or return;
    local $?;
    CORE::kill $signal, $pid;
    waitpid $pid, 0;
}

sub root ($self, $statements) {
    $self->shell('mariadb', '--no-defaults', "--socket=$self->{dir}/socket",
        '--user=root', '--execute', $statements);
}

sub shell ($self, @command) {
    local $?;
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        open STDOUT, '>>', "$self->{dir}/log";
        open STDERR, '>>', "$self->{dir}/log";
        { exec @command }
        POSIX::_exit(127);
    }
    waitpid $pid, 0;
    die "$command[0] failed: " . $self->log if $?;
}

sub log ($self) {
    open my $in, '<', "$self->{dir}/log" or return '';
    local $/ = undef;
    return readline $in;
}

sub DESTROY ($self) {
    $self->kill('KILL') if $self->{owner} == $$;
}

1;
