#!/usr/bin/env bash
# Runs the tests: tests/run.sh [pytest options], e.g. tests/run.sh tests/sparse, tests/run.sh -m slow.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
"$here/run.sh" --setup
cd "$here"
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
exec "${CGS_VENV:-$here/.venv}/bin/python" -m pytest -n "$(nproc)" --dist loadfile "$@"
