package Patient::Response;

# One HTTP answer, as it came over the wire.

use v5.36;
use JSON::PP ();

sub new ($class, %parts) { return bless {%parts}, $class }

sub status  ($self) { return $self->{status} }
sub reason  ($self) { return $self->{reason} }
sub body    ($self) { return $self->{body} }
sub head    ($self) { return $self->{head} }
sub seconds ($self) { return $self->{seconds} }

# All values of a header, in order; or, in scalar context, the only one: a
# header that came twice is a mistake wherever a test asks for one value.
sub header ($self, $name) {
    my @values = @{ $self->{headers}{ lc $name } // [] };
    return @values if wantarray;
    die "header $name came " . @values . " times\n" if @values > 1;
    return $values[0];
}

# The decoded body; dies unless it is one JSON value in valid UTF-8.
sub json ($self) {
    return $self->{json} //= decode($self->{body});
}

sub decode ($bytes) {
    # Not Encode's strict UTF-8, which takes no noncharacters: JSON does.
    my $text = $bytes;
    utf8::decode($text) && $text !~ /[\x{d800}-\x{dfff}]/
        && $text !~ /[^\x{0}-\x{10ffff}]/ or die "no UTF-8\n";
    return JSON::PP->new->utf8->allow_nonref->decode($bytes);
}

# What a failed test prints about it.
sub summary ($self) {
    my $body = $self->{body};
    $body = substr($body, 0, 500) . '...' if length $body > 500;
    return "$self->{head}\n\n$body";
}

1;
