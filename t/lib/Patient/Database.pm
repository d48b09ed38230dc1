package Patient::Database;

# A MariaDB server of a suite's own, which it may kill.

use v5.36;
use File::Temp ();
use IO::Socket::INET;
use POSIX ();
use Patient::Port;
use Patient::Wait;

# Up and running, with an empty database and a user who may do all in it:
# password => BYTES; options => [what mariadbd is started with besides].
sub new ($class, %with) {
    my $dir = File::Temp->newdir('patient-db-XXXXXX', TMPDIR => 1);
    my $self = bless {
        dir => $dir, port => free_port(), owner => $$,
        password => $with{password} // 'a password',
        options => $with{options} // [],
    }, $class;

    $self->shell('mariadb-install-db', '--no-defaults', '--cross-bootstrap',
        "--datadir=$dir/data",
        '--auth-root-authentication-method=normal', '--skip-test-db');
    $self->start;
    my $password = $self->{password} =~ s/([\\'])/\\$1/gr;
    $self->root(
        'CREATE DATABASE patient_db CHARACTER SET utf8mb4;'
        . "CREATE USER patient\@'%' IDENTIFIED BY '$password';"
        . "GRANT ALL ON patient_db.* TO patient\@'%'");
    return $self;
}

# What a patient (or Patient::Sql) needs to reach it.
sub environment ($self) {
    return (DB_HOST => '127.0.0.1', DB_PORT => $self->{port},
        DB_NAME => 'patient_db', DB_USER => 'patient',
        DB_PASSWORD => $self->{password});
}

sub address ($self) {
    return (host => '127.0.0.1', port => $self->{port}, user => 'patient',
        password => $self->{password}, database => 'patient_db');
}

sub start ($self) {
    my $dir = $self->{dir};

    $self->{pid} = fork // die "fork: $!\n";
    if (!$self->{pid}) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', "$dir/log";
        open STDERR, '>>', "$dir/log";
        my $program = (grep { -x } map { "$_/mariadbd" }
            split(/:/, $ENV{PATH}), '/usr/sbin')[0] // 'mariadbd';
        { exec $program, '--no-defaults', "--datadir=$dir/data",
            "--socket=$dir/socket", "--pid-file=$dir/pid",
            '--bind-address=127.0.0.1', "--port=$self->{port}",
            '--innodb-buffer-pool-size=32M', '--skip-name-resolve',
            @{ $self->{options} } }
        POSIX::_exit(127);
    }
    wait_until(sub {
        IO::Socket::INET->new(PeerAddr => '127.0.0.1',
            PeerPort => $self->{port});
    }, 60) or die "mariadbd did not start: " . $self->log;
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
