package Patient::Wait;

# Waiting for a condition instead of sleeping for luck.

use v5.36;
use Exporter 'import';
use Time::HiRes qw(sleep time);

our @EXPORT = qw(wait_until within_bound);

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

# What $measure gives, a number; measured anew, twice at most, while it is not
# below $bound. A machine that stalls is late once, and memory grows once for
# the most that was ever needed; who waits for something that does not come, or
# never gives back, does so every time.
sub within_bound ($bound, $measure) {
    my $took;

    for (1 .. 3) {
        $took = $measure->();
        last if $took < $bound;
    }
    return $took;
}

1;
