#!/usr/bin/env bash
# Runs a recipe: sets up .venv on first use, then hands over to cgs/cli/recipe.py. See ./run.sh --help.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=${CGS_VENV:-$here/.venv}

find_python() {
    local name
    for name in ${CGS_PYTHON:-python3.12 python3.11 python3}; do
        if "$name" -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    echo "error: ${CGS_PYTHON:+$CGS_PYTHON is }no Python 3.11 or 3.12 (install one, or set CGS_PYTHON to its path)" >&2
    return 7
}

# The stamp, written last, holds the lock's checksum: a set-up that was cut short or is out of date runs again.
set_up() {
    local stamp="$venv/.lock-checksum" sum python log="$here/.setup.log"
    sum=$(sha256sum <"$here/requirements.lock")
    if [[ -f $stamp && $(<"$stamp") == "$sum" ]]; then return; fi
    python=$(find_python) || return
    echo "setting up $venv with $("$python" --version): about 5 GB, a few minutes; log in $log" >&2
    if ! { [[ -x $venv/bin/python ]] || "$python" -m venv "$venv"; } >"$log" 2>&1 ||
        ! "$venv/bin/python" -m pip install --disable-pip-version-check --progress-bar off --require-hashes -r "$here/requirements.lock" >>"$log" 2>&1; then
        tail -n 5 "$log" >&2
        echo "error: set-up failed, see $log (check network and disk, then run ./run.sh --setup again)" >&2
        return 7
    fi
    printf '%s\n' "$sum" >"$stamp"
}

# Tools of the chip's RTL, from the distribution: the rest of the project does without them.
set_up_hardware() {
    local tool missing=()
    for tool in verilator yosys make g++; do command -v "$tool" >/dev/null || missing+=("$tool"); done
    [[ ${#missing[@]} -gt 0 ]] || return 0
    local install=(apt-get install -y --no-install-recommends verilator yosys make g++ qflow-tech-osu018) root=()
    [[ $(id -u) == 0 ]] || root=(sudo -n)
    if ! { "${root[@]}" apt-get update && "${root[@]}" "${install[@]}"; } >"$here/.setup.log" 2>&1; then
        echo "error: ${missing[*]} not found, and could not be installed, see $here/.setup.log (as root: ${install[*]})" >&2
        return 7
    fi
}

case " $* " in
    *" --setup-hardware "*) set_up_hardware; exit ;;
esac
case " $* " in
    *" --help "* | *" -h "* | *" --doctor "*) # answered even where nothing can be installed
        if [[ -f $venv/.lock-checksum ]]; then python=$venv/bin/python; else python=$(find_python) || exit; fi ;;
    *)
        set_up || exit
        python=$venv/bin/python ;;
esac
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}"
exec "$python" -m cgs.cli.recipe "$@"
