package Patient::Log;

# Reads a patient's error log: JSON, one object a line.

use v5.36;
use Patient::Response;
use Patient::Wait;

sub new ($class, $file = undef) {
    $file //= $ENV{PATIENT_TEST_LOG};
    return bless { file => $file }, $class;
}

# A place in the log to read on from.
sub mark ($self) { return -s $self->{file} // 0 }

# The whole lines since then, as bytes without their newline.
sub raw_since ($self, $mark = 0) {
    open my $in, '<:raw', $self->{file} or return;
    seek $in, $mark, 0;
    local $/ = undef;
    my $text = <$in> // '';
    # Another process may be half-way through a line.
    $text =~ s/[^\n]+\z//;
    return split /\n/, $text;
}

# The lines since then, decoded; dies at one that is no JSON object.
sub since ($self, $mark = 0) {
    return map { decode($_) } $self->raw_since($mark);
}

# Waits for a line that $wanted accepts and returns it; undef after $bound
# seconds without one.
sub wait_for ($self, $mark, $wanted, $bound = 20) {
    my $found;

    wait_until(sub {
        ($found) = grep { $wanted->($_) } $self->since($mark);
        return $found;
    }, $bound);
    return $found;
}

sub decode ($bytes) {
    my $line = Patient::Response::decode($bytes);
    die "not an object: $bytes\n" unless ref $line eq 'HASH';
    return $line;
}

# Whether a line tells of a database that took a second for a request of a query
# or two: on a machine that stalls any may.
sub is_stall ($line) {
    return $line->{type} eq 'PERFORMANCE ERROR' && $line->{totalQueries} <= 2
        && $line->{totalTime} =~ /\A[0-9]{4,}ms\z/;
}

# Why a line breaks the rules that every line keeps; nothing if it does not.
sub faults ($bytes) {
    my $line = eval { decode($bytes) } or return "no JSON object ($@)";
    my @faults;

    push @faults, 'longer than 4,000 bytes' if length $bytes > 3999;
    push @faults, 'timestamp' unless ($line->{timestamp} // '')
        =~ /\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\z/;
    push @faults, 'level' unless ($line->{level} // '')
        =~ /\A(?:debug|info|warning|error|fatal)\z/;
    push @faults, 'type' unless ($line->{type} // '') =~ /\A[A-Z0-9_ -]+\z/;
    push @faults, 'pid' unless ($line->{pid} // '') =~ /\A\d+\z/;
    push @faults, 'a key twice' if twice($bytes);
    return @faults;
}

# The first key that stands twice in one object, if any: the decoder would
# silently keep the last.
sub twice ($bytes) {
    my @seen = ({});

    while ($bytes =~ /\G[^"{}]*+(?:([{}])|("(?:[^"\\]|\\.)*+")(\s*:)?)/gc) {
        if (defined $1) {
            $1 eq '{' ? push(@seen, {}) : pop @seen;
        }
        elsif (defined $3) {
            return $2 if $seen[-1]{$2}++;
        }
    }
    return;
}

1;
