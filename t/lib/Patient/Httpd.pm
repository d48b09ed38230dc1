package Patient::Httpd;

# An httpd of a suite's own, with whatever configuration the suite gives it:
# what an admin has, who loads the module beside other things.

use v5.36;
use File::Path qw(make_path);
use File::Temp ();
use FindBin;
use POSIX ();
use Patient::Log;
use Patient::Port;
use Patient::Server;
use Patient::Wait;

# What every server here has. The rest is $text, in which @NAME@ stands for a
# port of that name, free and the same each time, and @DIR@ for the server's
# own folder.
use constant BASIC => <<'END';
ServerRoot "@DIR@"
DefaultRuntimeDir "@DIR@"
PidFile    "@DIR@/httpd.pid"
ServerName localhost
ErrorLog   "@DIR@/error_log"
LogLevel   info
Listen     127.0.0.1:@MAIN@
StartServers 1
<IfModule mpm_event_module>
    ThreadsPerChild 32
    MaxRequestWorkers 64
</IfModule>
END

# mpm => 'prefork', modules => [names]; files => {path => content}.
sub prepare ($class, $text, %with) {
    my $dir = File::Temp->newdir('patient-httpd-XXXXXX', TMPDIR => 1);
    my $self = bless { dir => "$dir", keep => $dir, owner => $$, ports => {} },
        $class;
    my @modules = ('mpm_' . ($with{mpm} // 'event'),
        @{ $with{modules} // [qw(authz_core dbd alias)] });
    my $load = join '', map {
        "LoadModule ${_}_module \"$ENV{PATIENT_MODULES}/mod_$_.so\"\n" }
        @modules;

    chmod 0755, "$dir";
    $self->write_file($_, $with{files}{$_}) for sort keys %{ $with{files} };
    $self->write_file('httpd.conf', BASIC . $load
        . "LoadModule patient_module \"$ENV{PATIENT_SO}\"\n$text");
    return $self;
}

sub new ($class, @args) {
    my $self = $class->prepare(@args);

    my $pid = fork // die "fork: $!\n";
    $self->run(qw(-DFOREGROUND)) unless $pid;
    $self->{pid} = $pid;
    wait_until(sub { -s "$self->{dir}/httpd.pid"
        || waitpid($pid, POSIX::WNOHANG()) }, 30);
    -s "$self->{dir}/httpd.pid"
        or die "httpd does not start:\n" . $self->said . $self->text;
    return $self;
}

sub write_file ($self, $name, $content) {
    my $path = "$self->{dir}/$name";

    make_path($path =~ s{/[^/]+\z}{}r);
    $content =~ s{\@DIR\@}{$self->{dir}}g;
    $content =~ s{\@([A-Z]+)\@}{$self->port($1)}ge;
    open my $out, '>', $path or die "$path: $!\n";
    print $out $content;
    close $out or die "$path: $!\n";
    return $path;
}

# In a child of ours: becomes httpd. Its environment has nothing of the
# patient's.
sub run ($self, @args) {
    delete @ENV{@Patient::Server::SETTINGS};
    POSIX::setsid();
    open STDIN, '<', '/dev/null';
    open STDOUT, '>', "$self->{dir}/said";
    open STDERR, '>&', \*STDOUT;
    { exec $ENV{PATIENT_TEST_HTTPD}, '-f', "$self->{dir}/httpd.conf", @args }
    POSIX::_exit(127);
}

# Runs httpd once, with -t for instance: (exit status, what it said and logged).
sub once ($self, @args) {
    local $?;
    my $pid = fork // die "fork: $!\n";

    $self->run(@args) unless $pid;
    waitpid $pid, 0;
    return ($? >> 8, $self->said . $self->text);
}

sub port ($self, $name = 'MAIN') {
    return $self->{ports}{$name} //= free_port();
}

sub said ($self) { return Patient::Server::slurp("$self->{dir}/said") }

sub text ($self, $log = 'error_log') {
    return Patient::Server::slurp("$self->{dir}/$log");
}

sub log ($self, $log = 'error_log') {
    return Patient::Log->new("$self->{dir}/$log");
}

# All of its processes: the parent first, children after it.
sub pids ($self) {
    return ($self->{pid}, split ' ', Patient::Server::slurp(
        "/proc/$self->{pid}/task/$self->{pid}/children"));
}

# Has it restart gracefully, and waits for the new generation.
sub restart ($self) {
    my $ready = sub { scalar(my @starts = $self->text =~ /AH00489/g) };
    my $before = $ready->();

    kill USR1 => $self->{pid};
    return wait_until(sub { $ready->() > $before }, 30);
}

sub stop ($self) {
    my $pid = delete $self->{pid} or return;
    local $?;

    kill TERM => $pid;
    return if wait_until(sub { waitpid($pid, POSIX::WNOHANG()) }, 20);
    kill KILL => -$pid;
    waitpid $pid, 0;
}

sub DESTROY ($self) { $self->stop if $self->{owner} == $$ }

1;
