#!/usr/bin/env bash
# The tests of the resilience library in a Python without a GIL: as "$2", or the first of python3.14t and python3.13t.
# Usage: tests/resilience/free_threading/run.sh VENV [PYTHON]
set -euo pipefail
venv=$1
given=${2:-}
here=$(dirname "$0")

is_free() { "$1" -c 'import sysconfig; raise SystemExit(not sysconfig.get_config_var("Py_GIL_DISABLED"))' 2>/dev/null; }

python=
for candidate in ${given:-python3.14t python3.13t}; do
    if is_free "$candidate"; then python=$(command -v "$candidate"); break; fi
done
if [ -z "$python" ]; then
    cat >&2 <<SAID
*** There is no Python without a GIL (tried: ${given:-python3.14t, python3.13t}). The tests without a GIL do NOT run.
*** Install one, or build one from the source of Python 3.13 or newer in some minutes (without optimisations, which
*** take an hour): ./configure --disable-gil && make && make install. Then: make free-threading PYTHON=/path/to/python3.13t
SAID
    exit 1
fi

packages=build/free-threading/$("$python" -c 'import sys; print(sys.implementation.cache_tag)')t
if [ ! -e "$packages/.ready" ] || [ "$here/requirements.lock" -nt "$packages/.ready" ]; then
    echo "Installing what the tests without a GIL need ($here/requirements.lock) ..."
    rm -rf "$packages"
    "$venv/bin/python" -m pip --python "$python" install --quiet --disable-pip-version-check --require-hashes --no-deps \
        --only-binary :all: --target "$packages" -r "$here/requirements.lock"
    touch "$packages/.ready"
fi

"$python" -VV
# Left out: what needs packages that are not built for it (aiohttp, psycopg, PyYAML), type checkers, and wheels.
export PYTHONPATH=$packages PYTHON_GIL=0
"$python" -m pytest -n0 -p no:cacheprovider tests/resilience \
    --ignore=tests/resilience/adapters --ignore=tests/resilience/configuration/test_building.py \
    --ignore=tests/resilience/configuration/test_syntax.py --ignore=tests/resilience/retry/test_aws_failures.py \
    --ignore=tests/resilience/retry/test_classification.py --ignore=tests/resilience/retry/test_database_codes.py \
    --ignore=tests/resilience/test_typing.py \
    --ignore=tests/resilience/test_wheel.py --ignore=tests/resilience/top/test_command.py \
    --ignore=tests/resilience/top/test_scrape.py \
    --deselect=tests/resilience/configuration/test_reading.py::test_yaml_is_read_alike
# Again what depends on the moment.
for _ in 1 2 3 4; do
    "$python" -m pytest -n0 -q -p no:cacheprovider tests/resilience/test_threads.py
done
