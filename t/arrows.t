# The rooms' arrows: who may include whom, and what stays free of httpd. Reads
# the sources and the objects; asks no server.

use Patient;
use File::Find ();

my $root = "$FindBin::Bin/..";

# Room by room, which other rooms its files may include. A file that stands in
# no folder is a room of its own. Nothing points back up, and store/ and http/
# do not know each other.
my %MAY = (
    'mod_patient' => 'api status watch ward host decoy drain ledger incident store http '
                . 'log board conf patient gate upstream emf task metadata grant '
                . 'succession',
    'api'      => 'host decoy ledger incident figures store http log board '
                . 'conf patient auth gate grant upstream vitals chaos',
    'watch'    => 'ward host ledger incident emf log board conf decoy grant '
                . 'vitals',
    'status'   => 'board conf vitals',
    'ward'     => 'host incident conf vitals chaos store',
    'host'     => 'host_db decoy incident store log board conf patient auth '
                . 'cache grant upstream vitals chaos',
    'host_db'  => 'incident store log board conf patient vitals chaos',
    'decoy'    => 'log board conf patient upstream chaos',
    'ledger'   => 'incident http conf patient chaos',
    'store'    => 'decoy incident log board conf patient gate vitals datetime '
                . 'shared',
    'http'     => 'drain incident log board conf patient vitals datetime',
    'incident' => 'figures log board shared patient vitals chaos',
    'figures'  => 'board grant vitals chaos',
    'emf'      => 'figures log board shared vitals',
    'task'     => 'metadata upstream',
    'log'      => 'board conf patient gate grant shared vitals',
    'drain'    => 'shared',
    'board'    => 'shared ratelimit vitals conf patient',
    'directives' => 'conf grant patient datetime',
    'conf'     => 'patient',
    'patient'  => 'version',
    # These stand alone; the command line tool and the unit tests use them, too.
    'cache'    => 'log vitals',
    'upstream' => 'vitals',
    'grant'    => 'cgroup vitals', 'metadata' => 'grant upstream vitals',
    'auth'     => '', 'chaos'   => '', 'gate'   => '', 'cgroup' => '',
    'datetime' => '',
    'succession' => 'board vitals',
    'shared'   => '', 'ratelimit' => '', 'version' => '', 'vitals' => '',
    # The tool links the rooms' files that know no httpd; which those are is
    # looked at below.
    'cli'      => 'chaos log store version gate grant metadata auth cache '
                . 'upstream vitals',
    # The doctor knows the log, and nothing of who writes it.
    'doctor'   => 'version',
);

# An api file includes api.h and, if it has been cut in two, its other half
# (chaos.c may include chaos_json.h), but no other of its room.
sub is_own ($file, $target) {
    my ($stem) = $file =~ m{([^/]+?)(?:_\w+)?\.[ch]\z};
    return $target =~ m{/(?:api|\Q$stem\E(?:_\w+)?)\.h\z};
}

# What must link without httpd: the tool and the unit tests need it.
my @FREE = (qr{\Achaos/}, qr{\Adoctor/}, qr{\Amod_patient/auth/}, map {
    qr{\Amod_patient/\Q$_\E\.[ch]\z} } qw(cache cgroup datetime gate grant
    metadata ratelimit upstream vitals log/event log/symptom store/breaker
    store/connect store/connections store/dberror store/dberror_known
    store/interrupt http/field http/json_problem http/urlencoded));

sub is_free ($file) { return grep { $file =~ $_ } @FREE }

my %INCLUDES;
File::Find::find({ no_chdir => 1, wanted => sub {
    my $file = $File::Find::name =~ s{\A\Q$root\E/}{}r;
    return unless $file =~ /\.[ch]\z/;
    open my $in, '<', $_ or die "$_: $!";
    $INCLUDES{$file} = [map { /^\s*#\s*include\s+([<"][^>"]+[>"])/ } <$in>];
} }, map { "$root/$_" } qw(mod_patient chaos doctor));

sub room ($file) {
    return 'cli' if $file =~ m{\Achaos/cli/};
    return $1 if $file =~ m{\A(chaos|doctor)/};
    return $1 if $file =~ m{\Amod_patient/(\w+)/};
    # One room in several files.
    return $1 if $file =~ m{\Amod_patient/(incident)(?:_\w+)?\.[ch]\z};
    return $1 if $file =~ m{\Amod_patient/(\w+)\.[ch]\z};
    return '?';
}

# The file of the project that "name" stands for in $from.
sub resolve ($from, $name) {
    my $dir = $from =~ s{[^/]+\z}{}r;
    for my $file ("$dir$name", "mod_patient/$name", $name) {
        return $file if -e "$root/$file";
    }
    return;
}

sub own_includes ($file) {
    return map { /\A"(.*)"\z/ } @{ $INCLUDES{$file} // [] };
}

subtest 'there is something to look at' => sub {
    cmp_ok(keys %INCLUDES, '>', 30, 'the sources');
};

subtest 'every file belongs to a room' => sub {
    my @lost = grep { !exists $MAY{ room($_) } } sort keys %INCLUDES;
    is("@lost", '', 'none is in an unknown one');
};

subtest 'what is allowed makes no circle' => sub {
    my %left = %MAY;

    while (my @bottom = grep { !grep { exists $left{$_} } split / /, $left{$_} }
        keys %left) {
        delete @left{@bottom};
    }
    is(join(' ', sort keys %left), '', 'there is an up and a down');
};

subtest 'arrows run down only' => sub {
    for my $file (sort keys %INCLUDES) {
        my $room = room($file);
        my %may = map { $_ => 1 } split / /, $MAY{$room} // '';
        my @wrong;
        for my $name (own_includes($file)) {
            my $target = resolve($file, $name);
            if (!defined $target) {
                push @wrong, "$name (no such file)";
            }
            elsif (room($target) eq $room) {
                push @wrong, $name
                    if $room eq 'api' && !is_own($file, $target);
            }
            elsif (!$may{ room($target) }) {
                push @wrong, $name;
            }
        }
        is("@wrong", '', $file);
    }
};

subtest 'a source file includes its own header first' => sub {
    for my $file (grep { /\.c\z/ } sort keys %INCLUDES) {
        my $header = $file =~ s/\.c\z/.h/r;
        next unless $INCLUDES{$header};
        my ($first) = @{ $INCLUDES{$file} };
        is(resolve($file, $first =~ tr/"<>//dr), $header, $file);
    }
};

# Everything that a file includes, the files that those include and so on.
sub all_includes ($file, $seen = {}) {
    return if $seen->{$file}++;
    my @system = grep { /\A</ } @{ $INCLUDES{$file} // [] };
    my @own = grep { defined } map { resolve($file, $_) } own_includes($file);
    return (@system, @own, map { all_includes($_, $seen) } @own);
}

subtest 'what must do without httpd sees no header of it' => sub {
    my $httpd = qr{\A<(?:httpd|http_\w+|ap_\w+|util_\w+|mod_\w+|mpm_\w+|
        scoreboard|unixd)\.h>\z}x;
    for my $file (grep { is_free($_) } sort keys %INCLUDES) {
        my @all = all_includes($file);
        my @wrong = grep { $_ =~ $httpd || (!/\A</ && !is_free($_)
            && !m{version\.h\z|scenarios\.def\z}) } @all;
        is("@wrong", '', $file);
    }
};

subtest 'and its objects need nothing of httpd' => sub {
    my @objects;
    File::Find::find({ no_chdir => 1, wanted => sub {
        push @objects, $_ if /\.o\z/;
    } }, "$root/build/obj");
    my %seen;
    for my $object (sort @objects) {
        my $source = $object =~ s{\A\Q$root\E/build/obj/}{}r =~ s/\.o\z/.c/r;
        next unless is_free($source);
        $seen{$source}++;
        my @needs = grep { /\bU (?:ap_|unixd_)/ }
            split /\n/, qx(nm -u '$object');
        is("@needs", '', $source);
    }
    is(join(' ', grep { /\.c\z/ && is_free($_) && !$seen{$_} }
        sort keys %INCLUDES), '', 'every one of them has been looked at');
};

subtest 'the doctor has APR, jansson and the C library' => sub {
    my $known = qr{\A<(?:apr_\w+|jansson|std\w+|string)\.h>\z};
    for my $file (grep { m{\Adoctor/} } sort keys %INCLUDES) {
        my @wrong = grep { /\A</ && $_ !~ $known } all_includes($file);
        is("@wrong", '', $file);
    }
    my @needs = grep { !/\Alib(?:apr|aprutil|jansson|c)[-.]/ }
        qx(readelf -d '$root/build/patient-doctor')
        =~ /\(NEEDED\).*\[(.+?)\]/g;
    is("@needs", '', 'patient-doctor');
};

subtest 'the module exports its record and nothing else' => sub {
    my @exported = map { (split)[2] } grep { / [A-TV-Z] / }
        split /\n/, qx(nm -D --defined-only '$root/build/mod_patient.so');
    is("@exported", 'patient_module', 'patient_module');
};

# What the server must know of a scenario is a field of it. The directives
# explain themselves to the operator by such names.
subtest 'the server knows no scenario, and none of its parameters, by name' =>
sub {
    my $text = sub ($file) {
        open my $in, '<', "$root/$file" or die "$file: $!";
        local $/ = undef;
        return readline($in);
    };
    my (%scenario, %param);
    for my $file (grep { m{\Achaos/\w+\.c\z} } sort keys %INCLUDES) {
        my $source = $text->($file);
        $param{$_} = 1 for $source =~ /\{ \.name = "(\w+)"/g;
        $scenario{$_} = 1 for $source =~ /^    \.name = "([\w-]+)"/mg;
    }
    cmp_ok(keys %scenario, '>=', 7, 'there are scenarios');
    cmp_ok(keys %param, '>=', 7, 'and parameters');
    for my $file (grep { m{\Amod_patient/} } sort keys %INCLUDES) {
        next if $file eq 'mod_patient/directives.c';
        my $source = $text->($file);
        my @named = grep { $source =~ /\b\Q$_\E\b/ } sort keys %scenario;
        push @named, grep { $source =~ /"\Q$_\E"/ } sort keys %param;
        # A word that the API uses, too, must not be asked of a scenario.
        @named = grep { $_ ne 'posts' } @named;
        push @named, $source =~ /\bchaos_(?:args|param)_\w+\([^;]*?"(\w+)"/g;
        is("@named", '', $file);
    }
};

subtest 'only mod_patient.c hooks into httpd' => sub {
    for my $file (sort keys %INCLUDES) {
        next if $file eq 'mod_patient/mod_patient.c';
        open my $in, '<', "$root/$file" or die "$file: $!";
        local $/ = undef;
        my @hooks = readline($in) =~ /\b(ap_hook_\w+)\s*\(/g;
        is("@hooks", '', $file);
    }
};

done_testing;
