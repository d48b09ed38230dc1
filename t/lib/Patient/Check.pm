package Patient::Check;

# What many suites assert about an answer.

use v5.36;
use Exporter 'import';
use JSON::PP ();
use Test::More ();

our @EXPORT = qw(subtest is_json is_error has_shape INT NUMBER STRING TRUE
    FALSE TIME NULL);

use constant JSON_TYPE => 'application/json; charset=utf-8';

# Test::More's, but a subtest that dies fails alone: the suite goes on.
sub subtest ($sentence, $body) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return Test::More::subtest($sentence, sub {
        eval { $body->(); 1 } or Test::More::fail("it died: $@");
    });
}

# Kinds of JSON values, for has_shape.
sub is_number ($value) {
    return defined $value && !ref $value
        && JSON::PP->new->allow_nonref->encode($value) !~ /^"/;
}
sub is_true ($value) { return JSON::PP::is_bool($value) && $value }
sub is_false ($value) { return JSON::PP::is_bool($value) && !$value }
sub is_string ($value) {
    return defined $value && !ref $value && !is_number($value);
}

use constant INT    => sub ($v) { is_number($v) && $v =~ /\A-?\d+\z/ };
use constant NUMBER => sub ($v) { is_number($v) };
use constant STRING => sub ($v) { is_string($v) };
use constant TRUE   => sub ($v) { is_true($v) };
use constant FALSE  => sub ($v) { is_false($v) };
use constant NULL   => sub ($v) { !defined $v };
use constant TIME   => qr/\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\z/;

# Passes if $got has exactly the keys of %$shape, and each value is what the
# shape says: a kind from above, a pattern, a shape of its own, [KIND] for a
# list of such values, or a plain string to be equal to. The key '...' allows
# for more keys.
sub has_shape ($got, $shape, $sentence) {
    my @faults = shape_faults($got, $shape, '');
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return Test::More::ok(!@faults, $sentence)
        || Test::More::diag(@faults, "\nin ", JSON::PP->new->canonical->pretty
            ->allow_nonref->allow_blessed->encode($got));
}

sub shape_faults ($got, $want, $at) {
    if (ref $want eq 'HASH') {
        return "$at is no object; " unless ref $got eq 'HASH';
        my %open = %$want;
        my $more = delete $open{'...'};
        my @faults;
        for my $key (sort keys %open) {
            push @faults, exists $got->{$key}
                ? shape_faults($got->{$key}, $open{$key}, "$at.$key")
                : "$at.$key is missing; ";
        }
        push @faults, map { "$at.$_ does not belong there; " }
            grep { !exists $open{$_} } sort keys %$got unless $more;
        return @faults;
    }
    if (ref $want eq 'ARRAY') {
        return "$at is no list; " unless ref $got eq 'ARRAY';
        return map { shape_faults($got->[$_], $want->[0], "$at\[$_]") }
            0 .. $#$got;
    }
    my $fits = ref $want eq 'CODE' ? $want->($got)
        : ref $want eq 'Regexp' ? is_string($got) && $got =~ $want
        : defined $got && !ref $got && $got eq $want;
    return $fits ? () : "$at is not as promised; ";
}

# A JSON answer with that status, complete with its headers.
sub is_json ($response, $status, $sentence) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @faults;

    push @faults, "status " . $response->status
        unless $response->status == $status;
    push @faults, "Content-Type" unless JSON_TYPE
        eq (join ', ', $response->header('Content-Type'));
    push @faults, 'Content-Length' unless
        1 == (() = $response->header('Content-Length'));
    push @faults, "body ($@)" unless eval { ref $response->json eq 'HASH' };
    return Test::More::ok(!@faults, $sentence)
        || Test::More::diag(join(', ', @faults), "\n", $response->summary);
}

# A JSON error with that status and that text (a string or a pattern).
sub is_error ($response, $status, $text, $sentence) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is_json($response, $status, $sentence) or return 0;
    my $error = $response->json->{error};
    return 1 if is_string($error)
        && (ref $text ? $error =~ $text : $error eq $text);
    return Test::More::ok(0, "$sentence (text)")
        || Test::More::diag("error: ", $error // 'missing', "\nwanted: $text");
}

1;
