# docs/directives.md, the module's own table and the configurations that the
# project ships agree. The module is asked, not its source.

use Patient;
use Patient::Httpd;
use File::Find ();

my $root = "$FindBin::Bin/..";
my $NONE = qr/\Anone: \S/;

sub slurp ($file) {
    open my $in, '<', $file or die "$file: $!\n";
    local $/ = undef;
    return readline $in;
}

# ---- what is documented: name => {Description, Syntax, Default, Context}

my %DOC;
my @ORDER;
for my $part (split /^(?=### )/m, slurp("$root/docs/directives.md")) {
    my ($name) = $part =~ /\A### (\w+)/ or next;
    push @ORDER, $name;
    $DOC{$name} = { $part =~ /^\| (\w+) \| (.+?) \|$/mg, text => $part };
    $DOC{$name}{Syntax} =~ s/\\\|/|/g;
}

# ---- what the module says of itself

my $server = Patient::Httpd->new(<<'END',
<Location /info>
    SetHandler server-info
</Location>
<Directory "@DIR@">
    Require all granted
    AllowOverride All
</Directory>
DocumentRoot "@DIR@/site"
END
    modules => [qw(authz_core dbd info)],
    files => { map { ("site/$_/.htaccess" => example($_),
        "site/$_/file" => '') } @ORDER });

my ($table) = request(GET => '/info?mod_patient.c', port => $server->port)
    ->body =~ m{Module Directives:(.*?)Current Configuration:}s;
my %HELP = ($table // '')
    =~ m{<tt>(Patient\w+) - <i>(.*?)</i></tt>}sg;

# One line that uses it, as its example does.
sub example ($name) {
    my ($line) = $DOC{$name}{text} =~ /^    +(\Q$name\E .+)$/m
        or die "$name has no example\n";
    return "$line\n" =~ s{file:\S+}{'s' x 32}re;
}

# Whether httpd takes some lines, and the first line of what it said.
sub is_taken ($lines) {
    my ($status, $output) = Patient::Httpd->prepare($lines)->once('-t');

    return ($status == 0, ($output =~ /(.*Patient.*)/)[0] // $output);
}

subtest 'every directive is documented, and none that is not there' => sub {
    cmp_ok(keys %HELP, '>=', 21, 'the module lists them');
    is(join(' ', sort keys %DOC), join(' ', sort keys %HELP), 'the same');
    is(scalar @ORDER, scalar keys %DOC, 'each once');
};

subtest 'each has all that an entry needs, and help' => sub {
    for my $name (@ORDER) {
        my @missing = grep { !length($DOC{$name}{$_} // '') }
            qw(Description Syntax Default Context);
        is("@missing", '', "$name: the entry");
        like($DOC{$name}{Syntax}, qr/\A`\Q$name\E \S.*`\z/, "$name: syntax");
        like($HELP{$name} // '', qr/\w{2}/, "$name: help");
    }
};

subtest 'links within the pages lead somewhere' => sub {
    for my $page (qw(directives httpd)) {
        my $text = slurp("$root/docs/$page.md");
        for my $link ($text =~ /\]\(([^)]+)\)/g) {
            my ($file, $place) = $link =~ /\A([^#]*)(?:#(.+))?\z/;
            next if $file =~ m{\Ahttps?://};
            my $target = $file ? "$root/docs/$file" : "$root/docs/$page.md";
            ok(-e $target, "$page.md: $link") or next;
            next unless defined $place;
            my %anchors = map { lc(s/[^\w -]//gr =~ s/ /-/gr) => 1 }
                slurp($target) =~ /^#+ (.+)$/mg;
            ok($anchors{$place}, "$page.md: $link, its place");
        }
    }
};

# ---- contexts

my %PLACE = (
    'server config' => sub ($line) { $line },
    'virtual host' => sub ($line) {
        "<VirtualHost 127.0.0.1:\@MAIN\@>\n$line</VirtualHost>\n" },
    'directory' => sub ($line) { "<Location /api>\n$line</Location>\n" },
);

subtest 'each is taken in the contexts that are documented, and there alone'
    => sub {
    for my $name (@ORDER) {
        my %says = map { $_ => 1 } split /, /, $DOC{$name}{Context};
        my @unknown = grep { !$PLACE{$_} && $_ ne '.htaccess' } keys %says;
        is("@unknown", '', "$name: httpd's own words");
        for my $context (sort keys %PLACE) {
            my ($taken, $why) = is_taken($PLACE{$context}->(example($name)));
            is($taken ? 'yes' : 'no', $says{$context} ? 'yes' : 'no',
                "$name: $context") || diag($why);
        }
        my $answer = request(GET => "/$name/file", port => $server->port);
        is($answer->status, $says{'.htaccess'} ? 200 : 500,
            "$name: .htaccess");
    }
};

# ---- syntax

subtest 'of the alternatives in a syntax, each is taken' => sub {
    for my $name (grep { $DOC{$_}{Syntax} =~ /\|/ } @ORDER) {
        my ($choices) = $DOC{$name}{Syntax} =~ / ([^ ]+)`\z/;
        for my $choice (grep { /\A(?:[A-Z]\w+|true|false|\*)\z/ }
            split /\|/, $choices) {
            my $where = $DOC{$name}{Context} =~ /server config/
                ? 'server config' : 'directory';
            my ($taken, $why) = is_taken(
                $PLACE{$where}->("$name $choice\n"));
            ok($taken, "$name $choice") || diag($why);
        }
    }
};

subtest 'the limits in the text are those of the module' => sub {
    my $count = 0;

    for my $name (@ORDER) {
        my ($from, $to) = $DOC{$name}{text} =~ /^From (\d+) to (\d+)\b/m
            or next;
        $count++;
        my %wanted = ($from => 1, $to => 1, $to + 1 => 0,
            $from ? ($from - 1 => 0) : ());
        for my $value (sort { $a <=> $b } keys %wanted) {
            my ($taken, $why) = is_taken("$name $value\n");
            is($taken ? 1 : 0, $wanted{$value}, "$name $value")
                || diag($why);
        }
    }
    cmp_ok($count, '>=', 9, 'there are some');
};

# ---- defaults

# What holds in the end, as httpd -t -D DUMP_PATIENT prints it.
sub dump_of ($lines) {
    my ($status, $output) = Patient::Httpd->prepare($lines)
        ->once(qw(-t -D DUMP_PATIENT));

    return { $output =~ /^  (Patient\w+) (.*)$/mg };
}

subtest 'the documented defaults are the real ones' => sub {
    my $real = dump_of('');

    for my $name (grep { $_ ne 'PatientChaos' } @ORDER) {
        my $default = $DOC{$name}{Default};
        is($default =~ $NONE ? "`$name (none)`" : $default,
            "`$name $real->{$name}`", $name);
    }
    is(scalar keys %$real, @ORDER - 1, 'and all of them');
};

subtest 'the dump tells what is set, and keeps secrets' => sub {
    my $real = dump_of(join '', map { example($_) }
        grep { $_ ne 'PatientChaos' } @ORDER);

    for my $name (sort keys %$real) {
        my ($value) = example($name) =~ / (.*)$/m;
        is($real->{$name}, $name =~ /Secret|Token\z/ ? '(set)'
            : $value =~ s/\A"(.*)"\z/$1/r, $name);
    }
};

subtest 'PatientChaos is Off by default' => sub {
    is($DOC{PatientChaos}{Default}, '`PatientChaos Off`', 'so it is said');
    my $open = sub ($line) {
        my $one = Patient::Httpd->new(<<"END");
PatientEngine On
PatientChaosMode true
PatientChaosToken t
<Location />
    SetHandler patient
    $line
</Location>
END
        return request(GET => '/api/chaos', port => $one->port)->status;
    };
    is($open->(''), 404, 'so it is');
    is($open->('PatientChaos Off'), 404, 'Off');
    is($open->('PatientChaos On'), 401, 'On');
};

# ---- configurations

my @CONFS;
File::Find::find({ no_chdir => 1, wanted => sub {
    push @CONFS, s{\A\Q$root\E/}{}r if /\.conf\z/;
} }, "$root/conf");

subtest 'a configuration of the project names no other directive' => sub {
    cmp_ok(@CONFS, '>=', 3, 'there are some');
    for my $conf (sort @CONFS) {
        # Those that wait behind a # to be wanted, too.
        my @used = slurp("$root/$conf") =~ /^\s*#?\s*(Patient\w+) +\S/mg;
        my @wrong = grep { !$HELP{$_} } @used;
        is("@wrong", '', $conf);
    }
    my @pages = map { "docs/$_.md" } qw(httpd);
    for my $page (@pages, 'README.md') {
        my @wrong = grep { !$HELP{$_} } slurp("$root/$page")
            =~ /\b(Patient[A-Z]\w++)(?!\*)/g;
        is("@wrong", '', $page);
    }
};

done_testing;
