#!/bin/sh
# Creates .venv with the locked dependencies; exits at once if it is up to date.
set -eu

cd "$(dirname "$0")/../.."
LOCK=requirements/dev.txt
STAMP=.venv/.installed       # Python version and lock file of the environment
UNFINISHED=.venv/.unfinished # exists during an installation
LOG=.run/setup.log

checksum() {
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi <"$LOCK" | cut -d ' ' -f 1
}

version() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

suits() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

up_to_date() {
    [ ! -e "$UNFINISHED" ] && [ -e "$STAMP" ] || return 1
    [ "$(cat "$STAMP")" = "$(version .venv/bin/python) $(checksum)" ]
}

# Debian's python3 has no ensurepip without the package python3-venv.
find_python() {
    for name in python3.14 python3.13 python3.12 python3.11 python3; do
        command -v "$name" >/dev/null || continue
        if suits "$name" && "$name" -c 'import ensurepip, venv' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    return 1
}

on_debian_as_root() {
    [ -e /etc/debian_version ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null
}

run() {
    "$@" >>"$LOG" 2>&1 </dev/null && return
    printf 'failed: %s\nThe end of %s:\n' "$*" "$LOG" >&2
    tail -n 15 "$LOG" | sed 's/^/  /' >&2
    exit 1
}

install_python() {
    echo "installing python3 and python3-venv with apt-get"
    export DEBIAN_FRONTEND=noninteractive
    run apt-get update -q
    run apt-get install -q -y --no-install-recommends python3 python3-venv
}

# An incomplete environment, or one of a Python that was removed, is created again.
sound() {
    [ ! -e "$UNFINISHED" ] && suits .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1 || return 1
    [ ! -e "$STAMP" ] || [ "$(cut -d ' ' -f 1 "$STAMP")" = "$(version .venv/bin/python)" ]
}

make_environment() {
    python=$(find_python) || {
        if on_debian_as_root; then install_python; fi
        python=$(find_python)
    } || {
        echo "Python 3.11 or newer with venv is needed; on Debian or Ubuntu: sudo apt-get install python3 python3-venv" >&2
        exit 1
    }
    echo "python $(version "$python"): creating .venv"
    rm -rf .venv
    mkdir .venv
    touch "$UNFINISHED"
    run "$python" -m venv .venv
}

up_to_date && exit 0

mkdir -p .run
: >"$LOG"
# One installation at a time.
if command -v flock >/dev/null; then
    exec 9>.run/.setup-lock
    flock 9
    up_to_date && exit 0
fi
sound || make_environment
touch "$UNFINISHED"
echo "installing $(grep -c '^[A-Za-z0-9].*==' "$LOCK") packages"
run .venv/bin/python -m pip install --require-hashes --no-deps --no-input \
    --disable-pip-version-check --no-warn-script-location -r "$LOCK"
echo "$(version .venv/bin/python) $(checksum)" >"$STAMP"
rm -f "$UNFINISHED"
