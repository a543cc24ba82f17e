#!/usr/bin/env bash
# Installs phase5 from this checkout into a virtual environment, with the versions that were tested together.
# Reads GATE_VENV (default .phase5-venv); put its bin on PATH afterwards, which is done here for GitHub.
set -euo pipefail

source="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="${GATE_VENV:-.phase5-venv}"
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --constraint "$source/constraints.txt" "$source"
if [ -n "${GITHUB_PATH:-}" ]; then
  (cd "$venv/bin" && pwd) >> "$GITHUB_PATH"
fi
