package Patient::Incident;

# The operator's side: arm an incident, look at it, end it. And the machine's:
# a patient's processes as the kernel counts them.

use v5.36;
use Exporter 'import';
use File::Basename qw(dirname);
use POSIX ();
use Time::HiRes qw(sleep time);
use Time::Local qw(timegm_modern);
use Patient::Http;
use Patient::Server;
use Patient::Wait;

our @EXPORT = qw(SCENARIOS chaos arm incident await_state await_end halt
    await_moment moment metrics ill_patient children_of child_count rss_of
    cpu_of table_there parked TELL_TALE);

use constant SCENARIOS => qw(api-timeout db-fail high-cpu jwt-expiry
    memory-leak pool-exhaustion slow-query);

# No line of a patient's log may hold one of these.
use constant TELL_TALE => qr/chaos|scenario|incident|\bfault\b|diagnos
    |db-fail|pool-exhaustion|memory-leak|slow-query|api-timeout|jwt-expiry
    |high-cpu/xi;

# POST /api/chaos/$name; %with as for request().
sub chaos ($name, $body = undef, %with) {
    return request(POST => "/api/chaos/$name",
        defined $body ? (json => $body) : (), %with);
}

# Begins an incident and returns its id.
sub arm ($name, $body, %with) {
    my $answer = chaos($name, $body, %with);

    $answer->status == 202 or die "$name: " . $answer->summary;
    return $answer->json->{id};
}

sub incident ($id, %with) {
    my $answer = request(GET => "/api/chaos/incidents/$id", %with);

    $answer->status == 200 or die "incident $id: " . $answer->summary;
    return $answer->json;
}

my %RANK = (armed => 0, injected => 1, witnessed => 2, invalid => 3,
    recovered => 3);

# Waits until it is in that state, or further; returns it as it then is.
sub await_state ($id, $state, %with) {
    my $bound = delete $with{bound} // 20;
    my $now;

    wait_until(sub {
        $now = eval { incident($id, %with) };
        return $now && $RANK{ $now->{state} } >= $RANK{$state};
    }, $bound) or die "incident $id is not $state, but "
        . ($now ? $now->{state} : "unknown: $@") . "\n";
    return $now;
}

sub await_end ($id, %with) { return await_state($id, 'recovered', %with) }

# Ends all that runs, and waits until it has. Returns the answer to halt.
sub halt (%with) {
    my $answer = request(POST => '/api/chaos/halt', %with);

    wait_until(sub {
        my $all = request(GET => '/api/chaos/incidents', %with)->json;
        return !grep { !defined $_->{endedAt} } @{ $all->{incidents} };
    }, 60) or die "something still runs\n";
    return $answer;
}

# Seconds since the epoch for a time in JSON.
sub moment ($text) {
    my ($y, $m, $d, $h, $min, $s) = $text
        =~ /\A(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d\.\d+)Z\z/
        or die "not a time: $text\n";
    return timegm_modern(0, $min, $h, $d, $m - 1, $y) + $s;
}

# Waits for the clock.
sub await_moment ($when) {
    my $left;

    sleep $left while ($left = $when - time) > 0;
}

sub metrics (%with) {
    return request(GET => '/api/metrics', %with)->json;
}

# ---- a patient of a suite's own

# As many children as the round's common server has.
sub child_count () { return $ENV{PATIENT_CHILDREN} // 1 }

# A patient that may be made ill.
sub ill_patient (%env) {
    return Patient::Server->new(CHAOS_MODE => 'true',
        PATIENT_CHILDREN => child_count(), %env);
}

# The process ids of a patient's children; of the common server's, if none is
# given.
sub children_of ($patient = undef) {
    my $file = $patient ? "$patient->{env}{PATIENT_RUN}/httpd.pid"
        : dirname($ENV{PATIENT_TEST_LOG}) . '/httpd.pid';
    chomp(my $parent = Patient::Server::slurp($file));
    my @pids;

    for my $stat (glob '/proc/[0-9]*/stat') {
        my ($pid, $state, $ppid) = Patient::Server::slurp($stat)
            =~ /\A(\d+) \(.*\) (\S) (\d+)/s or next;
        push @pids, $pid if $ppid == $parent && $state ne 'Z';
    }
    return sort { $a <=> $b } @pids;
}

# Resident memory of a process, in MB; 0 if there is no such process.
sub rss_of ($pid) {
    my ($kb) = Patient::Server::slurp("/proc/$pid/status")
        =~ /^VmRSS:\s+(\d+) kB/m;
    return ($kb // 0) / 1024;
}

# CPU seconds that a process has used, by the kernel's count.
sub cpu_of ($pid) {
    my @field = split ' ', Patient::Server::slurp("/proc/$pid/stat")
        =~ s/\A.*\) //sr;
    return ($field[11] + $field[12]) / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

# ---- what a failure could leave in the database; a Patient::Sql session

sub table_there ($sql) {
    return scalar $sql->run(q{SHOW TABLES LIKE 'author\_directory'});
}

# Connections that sleep in the database on purpose.
sub parked ($sql) {
    return ($sql->run(q{SELECT COUNT(*) FROM information_schema.processlist
        WHERE info LIKE 'SELECT SLEEP(%'}))[0][0];
}

1;
