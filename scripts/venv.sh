#!/bin/sh
# Make .venv with a Python that headstart supports. Usage: scripts/venv.sh VENV [PYTHON]
# Without PYTHON the first of python3, python3.13, python3.12, python3.11 that is in range is taken.
set -eu

venv=$1
wanted=${2:-}

in_range() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; }
version_of() { "$1" -c 'import platform; print(platform.python_version())' 2>/dev/null || echo "not found"; }
fail() {
    echo "headstart: $1" >&2
    exit 1
}

if [ -x "$venv/bin/python" ]; then
    in_range "$venv/bin/python" ||
        fail "$venv holds Python $(version_of "$venv/bin/python"), but 3.11, 3.12 or 3.13 is needed. Remove it with 'rm -r $venv' and run make again."
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 && exit 0
fi

python=
for candidate in ${wanted:-python3 python3.13 python3.12 python3.11}; do
    if in_range "$candidate"; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] ||
    fail "Python 3.11, 3.12 or 3.13 is needed, but ${wanted:-python3} is $(version_of "${wanted:-python3}"). Install one and name it: make PYTHON=/path/to/python3.12"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "Python $(version_of "$python") has no venv module. Install it (Debian, Ubuntu: apt-get install python3-venv) and run make again."

echo "Making $venv with Python $(version_of "$python")"
"$python" -m venv "$venv"
