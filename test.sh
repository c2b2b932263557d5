#!/usr/bin/env bash
# Sets up .venv with all three backends and runs every check: style, types, imports, docs, and tests on each backend.
#   ./test.sh            what every change has to pass: about half an hour on two cores
#   ./test.sh --slow     also the tests that take minutes; with TFDS_DATA_DIR set, those on CIFAR-10 itself
# Each phase of the tests ends with what it skipped and why.
set -euo pipefail
cd "$(dirname "$0")"
[ -d .venv ] || "${PYTHON:-python3}" -m venv .venv
.venv/bin/pip install --quiet --constraint constraints-cpu.txt --editable ".[dev,bench,tensorflow,jax,torch]"
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
.venv/bin/lint-imports
.venv/bin/mkdocs build --strict
# JAX compiles in every backend's tests: JAX's own come first, and the others find what those left in the cache.
JAX_COMPILATION_CACHE_DIR=$(mktemp -d)
export JAX_COMPILATION_CACHE_DIR
trap 'rm -rf "$JAX_COMPILATION_CACHE_DIR"' EXIT
# Two processes with a core each: most tests build, trace and compile nets, which takes one core.
export OMP_NUM_THREADS=1
run() { .venv/bin/python -m pytest --quiet -n 2 --dist loadfile "$@"; }
for backend in jax tensorflow; do
    KERAS_BACKEND=$backend run -m "not any_backend" "$@"
done
KERAS_BACKEND=torch run "$@"
