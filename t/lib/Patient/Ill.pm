package Patient::Ill;

# A patient of a suite's own that can be made ill: started open to the
# operator, with as many children as this round has.

use v5.36;
use parent 'Patient::Server';
use JSON::PP ();
use Patient::Http qw(request);
use Patient::Wait qw(wait_until);

sub new ($class, %env) {
    return $class->SUPER::new(CHAOS_MODE => 'true',
        PATIENT_CHILDREN => $ENV{PATIENT_CHILDREN} // 1, %env);
}

sub ask ($self, $method, $path, %with) {
    return request($method => $path, port => $self->port, %with);
}

# Begins an incident: its id; dies if it was refused.
sub fall_ill ($self, $name, %body) {
    my $answer = $self->ask(POST => "/api/chaos/$name", json => \%body);

    $answer->status == 202 or die "$name: " . $answer->summary;
    return $answer->json->{id};
}

sub incident ($self, $id) {
    return $self->ask(GET => "/api/chaos/incidents/$id")->json;
}

# Waits until an incident is in one of the states: the incident, or undef.
sub wait_for_state ($self, $id, $states, $bound = 30) {
    my $seen;

    return wait_until(sub {
        $seen = $self->incident($id);
        return $seen->{state} =~ /\A(?:$states)\z/;
    }, $bound) ? $seen : undef;
}

# Waits until it is over, and in the ledger: the incident as it then is.
sub wait_for_end ($self, $id, $bound = 40) {
    my $end = $self->wait_for_state($id, 'recovered|invalid', $bound);

    wait_until(sub { $self->ledger($id) }, 5) if $end;
    return $end;
}

# The pids of httpd's children.
sub children ($self) {
    my $httpd = $self->httpd;

    return grep { Patient::Server::slurp("/proc/$_/stat")
        =~ /\) \S+ \Q$httpd\E / } map { m{(\d+)} } glob '/proc/[0-9]*';
}

# Resident memory of all children, in MB.
sub rss ($self) {
    my $kb = 0;

    for my $pid ($self->children) {
        $kb += $1 if Patient::Server::slurp("/proc/$pid/status")
            =~ /^VmRSS:\s+(\d+)/m;
    }
    return $kb / 1024;
}

# CPU time that all children have used, in seconds.
sub cpu ($self) {
    my $ticks = 0;

    for my $pid ($self->children) {
        my @field = split ' ',
            Patient::Server::slurp("/proc/$pid/stat") =~ s/.*\) //sr;
        $ticks += $field[11] + $field[12] if @field;
    }
    return $ticks / 100;
}

# How long the children's threads that step back for others have waited for a
# CPU that they wanted, in seconds.
sub low_wait ($self) {
    my $ns = 0;

    for my $thread (map { glob "/proc/$_/task/*" } $self->children) {
        my @field = split ' ',
            Patient::Server::slurp("$thread/stat") =~ s/.*\) //sr;
        next if ($field[16] // 0) <= 0;
        $ns += (split ' ', Patient::Server::slurp("$thread/schedstat"))[1]
            // 0;
    }
    return $ns / 1e9;
}

# What the ledger says of an incident.
sub ledger ($self, $id) {
    my $file = "$self->{env}{PATIENT_RUN}/ledger.jsonl";

    for my $line (split /\n/, Patient::Server::slurp($file)) {
        my $entry = JSON::PP->new->utf8->decode($line);
        return $entry if $entry->{id} eq $id;
    }
    return;
}

1;
