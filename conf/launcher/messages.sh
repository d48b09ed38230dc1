# shellcheck shell=sh
#
# messages.sh - what the launcher says: to people, and to the log.
# A part of conf/patientctl.

# Makes any bytes the inside of a JSON string. Control characters carry no
# meaning in these messages, so a space stands for each.
json_text()
{
    printf '%s' "$1" | iconv -c -f UTF-8 -t UTF-8 2>/dev/null |
        tr '\001-\037\177' ' ' | sed 's/[\\"]/\\&/g'
}

# log LEVEL TYPE TEXT: one line of the patient's log, cut to a length that one
# write can carry.
log()
{
    text=$(json_text "$(printf '%s' "$3" | head -c 3000)")
    key=error
    [ "$1" = info ] && key=message
    line=$(printf '{"timestamp":"%s","level":"%s","type":"%s"' \
        "$(date -u +%Y-%m-%dT%H:%M:%S.%3NZ)" "$1" "$2")
    line=$line$(printf ',"pid":%d,"%s":"%s"}' "$$" "$key" "$text")
    printf '%s\n' "$line" >&2
    if [ "${PATIENT_LOG:-}" = both ] && [ -n "$log_file" ]; then
        printf '%s\n' "$line" >>"$log_file"
    fi
}

# A setting or a place on this machine is not as it must be: nothing starts.
fail()
{
    log fatal 'CONFIGURATION ERROR' "$1"
    exit 1
}

# For people, not for the log: silent where the log is all that anyone reads,
# and out of the way of a command's own output.
say()
{
    case ${PATIENT_LOG:-}:$verb in
        stderr:*) ;;
        *:exec) printf '%s\n' "$*" >&2 ;;
        *) printf '%s\n' "$*" ;;
    esac
}
