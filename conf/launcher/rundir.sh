# shellcheck shell=sh
#
# rundir.sh - the run directory: whose it is, who lives in it.
# A part of conf/patientctl.

# The lock is an open file that every process of the patient inherits: as long
# as one of them lives, even one whose launcher was killed, the directory is
# taken. So no pid file is ever believed about a process of another program.
take_lock()
{
    mkdir -p "$PATIENT_RUN/logs" "$PATIENT_RUN/keys" "$PATIENT_RUN/www" \
        2>/dev/null || fail "PATIENT_RUN: $PATIENT_RUN cannot be made"
    [ -w "$PATIENT_RUN" ] ||
        fail "PATIENT_RUN: no right to write in $PATIENT_RUN"
    PATIENT_RUN=$(CDPATH='' cd -- "$PATIENT_RUN" && pwd -P)
    chmod 700 "$PATIENT_RUN/keys" 2>/dev/null ||
        fail "PATIENT_RUN: $PATIENT_RUN belongs to somebody else"
    exec 9>>"$PATIENT_RUN/lock" ||
        fail "PATIENT_RUN: no right to write in $PATIENT_RUN"
    # Not at once, because whoever asks (is_locked) holds it for a moment.
    flock -w 0.2 9
}

is_locked()
{
    [ -e "$PATIENT_RUN/lock" ] && ! flock -n "$PATIENT_RUN/lock" true
}

# pid_of NAME: the process that NAME.pid tells of, if it lives.
pid_of()
{
    [ -s "$PATIENT_RUN/$1.pid" ] || return 1
    read -r pid <"$PATIENT_RUN/$1.pid" || return 1
    kill -0 "$pid" 2>/dev/null || return 1
    printf '%s' "$pid"
}

# wait_gone PID SECONDS: true once the process has ended; or -PID, once the
# whole process group has.
wait_gone()
{
    left=$(($2 * 10))
    while kill -0 "$1" 2>/dev/null; do
        # A child of ours that nobody has waited for yet is gone, too.
        ! grep -qs '^State:.Z' "/proc/${1#-}/status" || return 0
        [ $left -gt 0 ] || return 1
        left=$((left - 1))
        sleep 0.1
    done
}

# Whether anything listens on a TCP port, asked of the kernel: connecting
# would disturb whoever it is.
port_in_use()
{
    hex=$(printf '%04X' "$1")
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
        awk -v port=":$hex" '$4 == "0A" && index($2, port) == \
            length($2) - 4 { found = 1 } END { exit !found }'
}

# A secret of this run directory, made once.
secret()
{
    if [ ! -s "$PATIENT_RUN/keys/$1" ]; then
        (umask 077 && od -An -v -tx1 -N 32 /dev/urandom | tr -d ' \n' \
            >"$PATIENT_RUN/keys/$1") ||
            fail "no right to write in $PATIENT_RUN/keys"
    fi
    cat "$PATIENT_RUN/keys/$1"
}
