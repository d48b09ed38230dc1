package Patient::Token;

# JSON web tokens made by hand, the bad ones too.

use v5.36;
use Digest::SHA qw(hmac_sha256 hmac_sha384 hmac_sha512);
use Exporter 'import';
use JSON::PP ();
use MIME::Base64 qw(encode_base64url decode_base64url);

our @EXPORT = qw(token claims header_of signature_fits);

my $JSON = JSON::PP->new->utf8->canonical;
my %HMAC = (HS256 => \&hmac_sha256, HS384 => \&hmac_sha384,
    HS512 => \&hmac_sha512);

# A token for these claims, good unless told otherwise: secret => BYTES,
# header => {...} in place of {alg, typ}, raw => a payload that is no JSON.
# An alg that is none of the three gets no signature.
sub token ($claims, %with) {
    my $header = $with{header} // { alg => 'HS256', typ => 'JWT' };
    my $signed = join '.', map { encode_base64url($_) }
        $JSON->encode($header), $with{raw} // $JSON->encode($claims);
    my $hmac = $HMAC{ $header->{alg} } or return "$signed.";

    return "$signed." . encode_base64url(
        $hmac->($signed, $with{secret} // $ENV{JWT_SECRET}));
}

sub claims ($token) { return part($token, 1) }
sub header_of ($token) { return part($token, 0) }

sub part ($token, $index) {
    return $JSON->decode(decode_base64url((split /\./, $token)[$index]));
}

sub signature_fits ($token, $secret = $ENV{JWT_SECRET}) {
    my ($signed, $signature) = $token =~ /\A(.*)\.([^.]+)\z/ or return 0;
    return $signature eq encode_base64url(hmac_sha256($signed, $secret));
}

1;
