#!/usr/bin/env bash
# Make or update .venv from the hash-checked locks; cheap when little changed. What the tools say is in .venv/setup.log.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "environment: $*"; }
stop() { echo "environment: $*" >&2; exit 1; }
logged() { "$@" >>.venv/setup.log 2>&1; }
step() { logged "$@" || stop "failed: $* ($(tail -n 1 .venv/setup.log)); all of it is in .venv/setup.log"; }

python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || stop "needs Python 3.11 or newer: make PYTHON=python3.11 …"
if ! .venv/bin/python -c 'import pip' 2>/dev/null; then
    say "making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv || stop "the venv module is missing: install python3-venv"
fi
: >.venv/setup.log

pip=(.venv/bin/python -m pip --disable-pip-version-check install --no-deps --require-hashes)
uv=(.venv/bin/uv pip install --python .venv/bin/python --no-deps)

say "uv"
step "${pip[@]}" --requirement requirements/uv.lock
# A CPU build is a tenth of the size: taken where the machine has no GPU and its pip knows a folder that holds one.
if ! nvidia-smi -L >/dev/null 2>&1 && logged "${pip[@]}" --no-index --requirement requirements/torch.lock; then
    say "torch (CPU)"
else
    say "torch and its CUDA libraries (gigabytes)"
    step "${pip[@]}" --requirement requirements/torch.lock
    step "${uv[@]}" --require-hashes --requirement requirements/cuda.lock
fi
# torch stands in no lock that uv reads: it would change the CPU build for the one with CUDA.
say "$(grep -c '==' requirements/base.lock) packages"
step "${uv[@]}" --require-hashes --compile-bytecode --requirement requirements/base.lock
step "${uv[@]}" --no-build-isolation --editable .
touch .venv/.stamp
say "ready in .venv"
