#!/usr/bin/env bash
# Writes what the gate says of a release in the formats that pipelines take, into GATE_OUTPUT/report. Run it whatever the gate said.
# Reads GATE_RELEASE, GATE_OUTPUT (default phase5-gate), and phase5's own settings. Fails where there is nothing to report.
set -euo pipefail

: "${GATE_RELEASE:?the name of the release}"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/foreign.sh"
report="${GATE_OUTPUT:-phase5-gate}/report"
rm -rf -- "$report"
mkdir -p -- "$report"
# the exit code is that of the gate; whether there is a report, the files say
foreign phase5 status --format html --format markdown --format sarif --format junit --format json --output "$report" -- "$GATE_RELEASE" || true

if [ ! -s "$report/readiness.html" ]; then
  echo "phase5 status gave no report of the release; the lines above say why" >&2
  exit 2
fi
if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
  head -c 1000000 -- "$report/readiness.md" >> "$GITHUB_STEP_SUMMARY"
fi
