package Patient::Guess;

# Somebody who guesses what a case is by its marks, having seen the other
# cases and been told what those were: naive Bayes, each mark there or not.

use v5.36;
use Exporter 'import';

our @EXPORT = qw(right_guesses);

# How many of the cases are guessed right, each by those of the other blocks
# alone. A case is {block, truth, marks => [texts]}; each block has every
# truth equally often, so that what is left says nothing by its count. Who
# has no reason to prefer one takes any.
sub right_guesses (@cases) {
    my $right = 0;

    for my $case (@cases) {
        my @known = grep { $_->{block} != $case->{block} } @cases;
        $right += guess($case, @known) eq $case->{truth};
    }
    return $right;
}

sub guess ($case, @known) {
    my (%cases, %seen, %score);

    for my $one (@known) {
        $cases{ $one->{truth} }++;
        my %marks = map { $_ => 1 } @{ $one->{marks} };
        $seen{$_}{ $one->{truth} }++ for keys %marks;
    }
    my %here = map { $_ => 1 } @{ $case->{marks} };
    for my $truth (sort keys %cases) {
        $score{$truth} = 0;
        for my $mark (sort keys %seen) {
            my $share = (($seen{$mark}{$truth} // 0) + 1)
                / ($cases{$truth} + 2);
            $score{$truth} += log($here{$mark} ? $share : 1 - $share);
        }
    }
    my ($best) = sort { $b <=> $a } values %score;
    my @best = grep { $score{$_} > $best - 1e-9 } sort keys %score;
    return $best[rand @best];
}

1;
