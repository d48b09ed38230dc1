package Patient::Visible;

# What somebody sees of a patient who may read everything, on its machine and
# over HTTP, but what is a symptom: no failure, and no figure of CPU, memory,
# pool or requests.

use v5.36;
use Exporter 'import';
use Patient::Connection;

our @EXPORT = qw(look read_log);

# Marks of this moment: a list of texts.
sub look ($patient) {
    my @pids = ($patient->httpd, $patient->children);
    my (%marks, %inodes);

    for my $pid (@pids) {
        my $who = $pid == $pids[0] ? 'parent' : 'child';
        my %names;
        $marks{"$who runs " . (slurp("/proc/$pid/cmdline") =~ tr/\0/ /r)} = 1;
        $names{ slurp($_) =~ s/\s+//gr }++ for glob "/proc/$pid/task/*/comm";
        $marks{"$who has $names{$_} threads $_"} = 1 for keys %names;
        $marks{"$who has a thread of priority $_"} = 1
            for map { (split ' ', s/.*\) //sr)[15, 16] }
            map { slurp($_) || () } glob "/proc/$pid/task/*/stat";
        for my $target (map { readlink($_) // () } glob "/proc/$pid/fd/*") {
            $inodes{$1} = 1 if $target =~ /\Asocket:\[(\d+)\]/;
            $marks{"$who has open " . ($target =~ s/\[\d+\]//r)} = 1;
        }
        $marks{"$who has mapped $_"} = 1
            for slurp("/proc/$pid/maps") =~ m{\s(/\S.*)$}mg;
    }
    $marks{'children: ' . (@pids - 1)} = 1;
    my $ports = 0;
    for my $line (map { split /\n/, slurp($_) } '/proc/net/tcp',
        '/proc/net/tcp6') {
        my @field = split ' ', $line;
        next unless ($field[3] // '') eq '0A' && $inodes{ $field[9] };
        $marks{"listens at $field[1]"} = 1;
        $ports++;
    }
    # Known by its number, a port that comes and goes is never the same.
    $marks{"listens at $ports ports"} = 1;
    $marks{$_} = 1 for pages($patient);
    return keys %marks;
}

# What the pages about it say, but their figures.
sub pages ($patient) {
    my @marks;

    for my $path ('/', '/livez', '/metrics', '/api/metrics') {
        # Of the size of a page that has figures, they make a part.
        my $answer = eval { $patient->ask(GET => $path,
            headers => { 'User-Agent' => 'a user' }) } or next;
        push @marks, "$path: " . $answer->status, map { "$path has $_" }
            grep { !/:/ } map { s/:.*//sr } split /\r\n/, $answer->{head};
        my $body = $answer->body;
        if ($path eq '/metrics') {
            push @marks, map { "$path has $_" }
                $body =~ /^(?:# .*|\w+)(?=\s|\{)/mg,
                $body =~ /\{(method="[^"]*",route="[^"]*")/g;
        }
        else {
            push @marks, "$path says " . join ' ', $body =~ /"(\w+)":/g;
        }
    }
    return @marks;
}

# Marks of the lines that came since. Of a user's request, the values are
# figures of requests.
sub read_log ($patient, $mark) {
    my %marks;

    for my $raw ($patient->log->raw_since($mark)) {
        my $line = Patient::Log::decode($raw);
        next if $line->{level} =~ /\A(?:warning|error|fatal)\z/;
        my $kind = "$line->{level} $line->{type}";
        my ($keys) = join ' ', $raw =~ /"(\w+)":/g;
        $marks{"$kind has $keys"} = 1 unless $line->{type} eq 'METRICS';
        next if $line->{type} eq 'METRICS'
            || ($line->{userAgent} // '') eq 'a user';
        $marks{"$kind says $_=$line->{$_}"} = 1
            for grep { !/\A(?:timestamp|pid|request_id|durationMs)\z/ }
            keys %$line;
    }
    return keys %marks;
}

sub slurp ($file) { return Patient::Server::slurp($file) }

1;
