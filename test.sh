#!/usr/bin/env bash
# Sets up .venv with all three backends and runs every check: style, types, docs, and the tests once on each backend.
#   ./test.sh            what a change has to pass: about a quarter of an hour on two cores
#   ./test.sh --slow     also the tests that take minutes; with TFDS_DATA_DIR set, those on CIFAR-10 itself
set -euo pipefail
cd "$(dirname "$0")"
[ -d .venv ] || "${PYTHON:-python3}" -m venv .venv
.venv/bin/pip install --quiet --constraint constraints-cpu.txt --editable ".[dev,tensorflow,jax,torch]"
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
.venv/bin/mkdocs build --quiet --strict
KERAS_BACKEND=tensorflow .venv/bin/python -m pytest --quiet "$@"
for backend in jax torch; do
    KERAS_BACKEND=$backend .venv/bin/python -m pytest --quiet -m "not any_backend" "$@"
done
