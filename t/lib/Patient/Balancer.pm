package Patient::Balancer;

# A load balancer, as one stands before the tasks on ECS: an httpd of its own
# with mod_proxy_balancer, that is told by its balancer-manager who takes
# requests.

use v5.36;
use File::Temp ();
use POSIX ();
use Time::HiRes qw(sleep);
use Patient::Http ();
use Patient::Port;
use Patient::Wait;

# Serves for the tasks at these ports; all but the first are off.
sub new ($class, @tasks) {
    my $dir = File::Temp->newdir('balancer-XXXXXX', TMPDIR => 1);
    my $self = bless { dir => $dir, port => free_port(), owner => $$ }, $class;

    $self->write_config(@tasks);
    # In a session of its own, whose other processes a stop may kill.
    $self->{pid} = fork // die "fork: $!\n";
    if (!$self->{pid}) {
        POSIX::setsid();
        open STDIN, '<', '/dev/null';
        { exec '/usr/sbin/apache2', '-DFOREGROUND', '-f', "$dir/httpd.conf" }
        POSIX::_exit(127);
    }
    my $page = wait_until(sub { eval { $self->manager } }, 30)
        or die "the balancer does not start\n";
    # Its forms carry a secret, so that no other page can send them.
    ($self->{nonce}) = $page->body =~ /\bnonce=([\w-]+)/;
    $self->set($_, D => 1) for @tasks[1 .. $#tasks];
    return $self;
}

sub port ($self) { return $self->{port} }

sub write_config ($self, @tasks) {
    my $members = join '', map {
        "BalancerMember http://127.0.0.1:$_ retry=0\n" } @tasks;
    my $modules = join '', map { "LoadModule ${_}_module "
        . "/usr/lib/apache2/modules/mod_$_.so\n" } qw(mpm_event authz_core
        proxy proxy_http proxy_balancer slotmem_shm lbmethod_byrequests);

    open my $out, '>', "$self->{dir}/httpd.conf" or die $!;
    print $out <<"EOC";
ServerRoot "$self->{dir}"
DefaultRuntimeDir "$self->{dir}"
PidFile httpd.pid
ErrorLog error_log
Listen 127.0.0.1:$self->{port}
ServerName localhost
$modules
User www-data
Group www-data
KeepAliveTimeout 60
MaxKeepAliveRequests 0
<Proxy balancer://tasks>
    $members
</Proxy>
ProxyPass /balancer-manager !
ProxyPass / balancer://tasks/
<Location /balancer-manager>
    SetHandler balancer-manager
    Require all granted
</Location>
EOC
    close $out or die $!;
}

sub manager ($self, $form = undef) {
    my $page = "http://localhost:$self->{port}/balancer-manager";
    my $answer = Patient::Http::request(($form ? 'POST' : 'GET'),
        '/balancer-manager', port => $self->{port},
        headers => { Referer => $page },
        $form ? (body => $form,
            type => 'application/x-www-form-urlencoded') : ());
    die $answer->summary unless $answer->status == 200;
    return $answer;
}

# Sets (1) or clears (0) a task's flag: D is off, N is draining.
sub set ($self, $task, $flag, $value) {
    $self->manager("nonce=$self->{nonce}&b=tasks&w=http://127.0.0.1:$task"
        . "&w_status_$flag=$value");
}

# Takes a task out; returns when nothing is under way to it any more.
sub deregister ($self, $task) {
    $self->set($task, N => 1);
    my $quiet = 0;
    my $before = -1;
    wait_until(sub {
        my $now = Patient::Http::request(GET => '/api/metrics',
            port => $task)->json->{requests};
        # The one that asked is under way itself, and counts as well.
        $quiet = $now->{total} <= $before + 1 && $now->{inFlight} <= 1
            ? $quiet + 1 : 0;
        $before = $now->{total};
        sleep 0.1;
        return $quiet >= 5;
    }) or die "the balancer still sends requests to $task\n";
}

sub register ($self, $task) {
    $self->set($task, $_ => 0) for qw(D N);
}

sub DESTROY ($self) {
    return if $self->{owner} != $$;
    local $?;
    kill TERM => $self->{pid};
    waitpid $self->{pid}, 0;
}

1;
