package Patient::Server;

# A patient of a suite's own, started and stopped by the launcher as an
# operator would.

use v5.36;
use File::Spec ();
use File::Temp ();
use FindBin;
use POSIX ();
use Scalar::Util qw(weaken);
use Patient::Connection;
use Patient::Log;
use Patient::Port;
use Patient::Wait;

# What an operator may set, so what a suite's patient must not inherit.
our @SETTINGS = qw(NODE_ENV PORT DB_HOST DB_PORT DB_NAME DB_USER DB_PASSWORD
    DB_PASSWORD_FILE DB_TIMEZONE JWT_SECRET CHAOS_MODE CORS_ORIGIN CHAOS_TOKEN
    DB_SSL_CA DB_POOL_MAX DB_POOL_ACQUIRE_MS LOG_LEVEL PATIENT_RUN MARIADB_HOME
    MYSQL_HOME PATIENT_CHILDREN PATIENT_LOG PATIENT_LOGLEVEL PATIENT_LOG_PULSE
    PATIENT_TRUSTED_PROXY PATIENT_MEMORY_MB PATIENT_CPUS
    PATIENT_USER PATIENT_GROUP PATIENT_CONF PATIENT_WORKERS PATIENT_SLOTS);
my @DATABASE = qw(DB_HOST DB_PORT DB_NAME DB_USER DB_PASSWORD DB_SSL_CA);

my $project = "$FindBin::Bin/..";

# What is told once in 25 seconds is told each second to a suite.
my $PULSE = 1;

# All there are, for those that outlive the suite.
my @all;

# A patient that runs, on the common database unless %env says otherwise
# (embedded => 1 in place of DB_HOST: a database of its own; project => DIR:
# another copy of the project).
sub new ($class, %env) {
    my $self = $class->prepare(%env);
    my ($status, $output) = $self->ctl('start');

    die "patientctl start: $output" . $self->log_text if $status;
    wait_until(sub { eval { $self->connection->request(GET => '/livez') } },
        30) or die "the patient does not answer: $output" . $self->log_text;
    $self->{running} = 1;
    return $self;
}

# The same, but not started.
sub prepare ($class, %env) {
    my $dir = File::Temp->newdir('patient-XXXXXX', TMPDIR => 1);
    my $root = delete $env{project} // $project;
    my %database = delete $env{embedded} ? ()
        : map { $_ => $ENV{$_} } @DATABASE;

    my $self = bless {
        dir => $dir, project => $root, owner => $$,
        env => {
            PORT => free_port(), PATIENT_RUN => "$dir/run",
            JWT_SECRET => $ENV{JWT_SECRET}, PATIENT_LOG_PULSE => $PULSE,
            %database, %env,
        },
    }, $class;
    push @all, $self;
    weaken($all[-1]);
    return $self;
}

# A copy of the project, to change its configuration in: the folder's path.
# It lasts as long as the object that is returned.
sub copy_project ($class, $name = 'project') {
    my $dir = File::Temp->newdir('patient-project-XXXXXX', TMPDIR => 1);
    my $copy = "$dir/$name";

    mkdir $copy or die "$copy: $!\n";
    system('cp', '-R', "$project/conf", "$project/sql", $copy) == 0
        or die "cannot copy the project\n";
    symlink File::Spec->rel2abs("$project/build"), "$copy/build"
        or die "$copy/build: $!\n";
    return ($copy, $dir);
}

# Runs the launcher with a verb: (exit status, what it printed, stdout alone,
# stderr alone).
sub ctl ($self, @verb) {
    return $self->command("$self->{project}/conf/patientctl", @verb);
}

# Runs any command in this patient's environment.
sub command ($self, @command) {
    my ($out, $err) = map { "$self->{dir}/$_" } qw(stdout stderr);
    local $?;
    my $pid = fork // die "fork: $!\n";

    if (!$pid) {
        delete @ENV{@SETTINGS};
        my %env = %{ $self->{env} };
        $ENV{$_} = $env{$_} for grep { defined $env{$_} } keys %env;
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', $out;
        open STDERR, '>', $err;
        { exec @command }
        print STDERR "cannot run $command[0]: $!\n";
        POSIX::_exit(127);
    }
    waitpid $pid, 0;
    my $status = $? >> 8 || $? & 127;
    my @text = map { slurp($_) } $out, $err;
    return ($status, "$text[0]$text[1]", @text);
}

sub stop ($self) {
    $self->{running} = 0;
    return $self->ctl('stop');
}

# The pid of httpd, the parent of the children that serve.
sub httpd ($self) {
    return slurp("$self->{env}{PATIENT_RUN}/httpd.pid") =~ s/\s+//r;
}

# As an operator does, who has changed the configuration: it serves by the new
# one when this returns.
sub restart ($self) {
    my $mark = $self->log->mark;

    kill 'USR1', $self->httpd;
    $self->log->wait_for($mark, sub ($l) { ($l->{code} // '') eq 'AH00489' })
        or die "no restart\n";
}

sub port ($self) { return $self->{env}{PORT} }
sub connection ($self) { return Patient::Connection->new($self->port) }
sub log ($self) { return Patient::Log->new($self->log_file) }
sub log_file ($self) { return "$self->{env}{PATIENT_RUN}/logs/error_log" }
sub log_text ($self) { return slurp($self->log_file) }

sub slurp ($file) {
    open my $in, '<:raw', $file or return '';
    local $/ = undef;
    return readline($in) // '';
}

sub stop_own ($self) {
    $self->stop if $self->{running} && $self->{owner} == $$;
}

sub DESTROY ($self) { $self->stop_own }

# Before perl takes things apart in no order: a patient needs its directory to
# be stopped.
END {
    local $?;
    $_->stop_own for grep { defined } @all;
}

1;
