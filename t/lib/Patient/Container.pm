package Patient::Container;

# A container of the image, run by t/image/container: started, looked into,
# told to stop. The environment says where the image is (t/image-test).

use v5.36;
use File::Temp ();
use FindBin;
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(sleep time);
use Patient::Http ();
use Patient::Port;
use Patient::Wait;

my $engine = "$FindBin::Bin/container";

# The image's configuration, as `docker inspect` shows it.
sub config ($class) {
    return JSON::PP->new->decode(slurp($ENV{IMAGE_CONFIG}));
}

# A container that was started just now, in the database of this test unless
# %with says otherwise: env => {NAME => VALUE, or undef for none}, port => N,
# args => [ARGUMENTS of the entrypoint].
sub new ($class, %with) {
    my $dir = File::Temp->newdir('container-XXXXXX', TMPDIR => 1);
    my $self = bless { dir => $dir, port => $with{port} // free_port(),
        owner => $$ }, $class;
    my %env = (PORT => $self->{port},
        JWT_SECRET => 'a secret that all containers of this test share',
        (map { $_ => $ENV{$_} } qw(DB_HOST DB_PORT DB_NAME DB_USER
            DB_PASSWORD)), %{ $with{env} // {} });

    open my $file, '>', "$dir/env" or die "$dir/env: $!\n";
    print $file map { "$_=$env{$_}\n" } grep { defined $env{$_} }
        sort keys %env;
    close $file or die "$dir/env: $!\n";
    $self->{begin} = time;
    $self->{engine} = fork // die "fork: $!\n";
    if (!$self->{engine}) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', "$dir/stdout";
        open STDERR, '>', "$dir/stderr";
        { exec $engine, $ENV{IMAGE_ROOT}, $ENV{IMAGE_CONFIG}, "$dir/env",
            @{ $with{args} // [] } }
        POSIX::_exit(127);
    }
    return $self;
}

sub port ($self) { return $self->{port} }

# Waits until it serves, and returns the seconds that it took from the start.
sub await ($self) {
    wait_until(sub { eval { Patient::Http::request(GET => '/livez',
        port => $self->{port}) } || !$self->lives }, 60);
    $self->lives or die 'the container ended: ' . $self->stderr;
    return time - $self->{begin};
}

# The first process in it, as this side numbers it.
sub pid ($self) {
    return $self->{pid} //= do {
        my $file = "/proc/$self->{engine}/task/$self->{engine}/children";
        my ($child) = split ' ', slurp($file);
        $child // die "no process in the container\n";
    };
}

sub lives ($self) {
    return 0 if defined $self->{status};
    return 1 unless waitpid $self->{engine}, POSIX::WNOHANG();
    $self->{status} = $? >> 8 || ($? & 127 ? 128 + ($? & 127) : 0);
    return 0;
}

sub signal ($self, $name) { kill $name => $self->pid }

# Waits until it has ended, and returns its exit status; undef when it does
# not end.
sub status ($self, $bound = 60) {
    wait_until(sub { !$self->lives }, $bound);
    return $self->{status};
}

# `docker exec`: (exit status, what it printed).
sub run ($self, @command) {
    my $config = $self->config;
    my ($user, $group) = split /:/, $config->{User};
    my $pid = open(my $out, '-|') // die "fork: $!\n";

    if (!$pid) {
        open STDERR, '>&', \*STDOUT;
        { exec 'nsenter', '--target', $self->pid, '--mount', '--pid', '--root',
            'setpriv', '--reuid', $user, '--regid', $group, '--clear-groups',
            '--no-new-privs', '--inh-caps=-all', '--bounding-set=-all',
            'env', '-i', '-C', $config->{WorkingDir}, @{ $config->{Env} },
            split(/\n/, slurp("$self->{dir}/env")), @command }
        POSIX::_exit(127);
    }
    my $text = do { local $/ = undef; readline($out) // '' };
    close $out;
    return ($? >> 8, $text);
}

sub stdout ($self) { return slurp("$self->{dir}/stdout") }
sub stderr ($self) { return slurp("$self->{dir}/stderr") }

sub slurp ($file) {
    open my $in, '<:raw', $file or return '';
    local $/ = undef;
    return readline($in) // '';
}

sub DESTROY ($self) {
    return if $self->{owner} != $$ || !$self->lives;
    local $?;
    kill KILL => eval { $self->pid } // $self->{engine};
    $self->status(10);
}

1;
