#!/bin/sh
# All set-up of this checkout: `tools/setup.sh run` or `tools/setup.sh test`. Needs nothing but a Python.
# The newest supported version is last: what the system calls python3 comes first.
set -u
case $0 in */*) here=${0%/*} ;; *) here=. ;; esac
here=$(cd "$here" && pwd) || exit 1
for name in ${BUOY_PYTHON:-} python3 python3.11 python3.12 python3.13 python3.14; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        exec "$name" "$here/setup.py" "$@"
    fi
done
echo "set-up: no Python 3.11 or newer found (looked for python3, python3.11 … python3.14)." >&2
echo "  next: sudo apt-get install python3 python3-venv   (or set BUOY_PYTHON to an interpreter)" >&2
exit 3
