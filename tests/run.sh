#!/usr/bin/env bash
# Runs the tests: tests/run.sh [pytest options], e.g. tests/run.sh tests/sparse, tests/run.sh -m slow.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
"$here/run.sh" --setup
cd "$here"
workers=$(nproc)    # before the next line, which would make it 1
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
exec "${CGS_VENV:-$here/.venv}/bin/python" -m pytest -n "$workers" --max-worker-restart 0 --dist loadfile "$@"
