package Patient::Wait;

# Waiting for a condition instead of sleeping for luck.

use v5.36;
use Exporter 'import';
use Time::HiRes qw(sleep time);

our @EXPORT = qw(wait_until);

# Calls $condition until it returns something true, which is returned; after
# $bound seconds without that, nothing.
sub wait_until ($condition, $bound = 20) {
    my $end = time + $bound;
    my $pause = 0.01;

    while (1) {
        my $got = $condition->();
        return $got if $got;
        return if time > $end;
        sleep $pause;
        $pause = 0.25 if ($pause *= 1.5) > 0.25;
    }
}

1;
