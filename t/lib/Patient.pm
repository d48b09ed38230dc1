package Patient;

# `use Patient;` is how every suite starts: strictness, UTF-8 in its source,
# Test::More, and the helpers of t/lib/Patient.

use v5.36;
use feature ();
use FindBin ();
use utf8 ();
use Test::More ();
use Patient::Check ();
use Patient::Http  ();
use Patient::Wait  ();

sub import ($class) {
    my $caller = caller;

    # Sentences may hold any character.
    binmode Test::More->builder->$_, ':encoding(UTF-8)'
        for qw(output failure_output todo_output);
    for my $import ('Test::More->import(import => ["!subtest"])',
        map { "Patient::$_->import" } qw(Check Http Wait)) {
        eval "package $caller; $import; 1" or die $@;
    }
    # Last, since these change how the suite is compiled from here on.
    strict->import;
    warnings->import;
    feature->import(':5.36');
    utf8->import;
}

1;
