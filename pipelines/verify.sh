#!/usr/bin/env bash
# Verifies the attestation of a promotion, offline, right before something is deployed. Anything but exit 0: deploy nothing.
# Reads GATE_DIGEST (of what is deployed), GATE_KEYS (the trusted keys, from a place that the gate's table cannot change),
# PHASE5_ENVIRONMENT, GATE_OUTPUT (default phase5-gate), GATE_ACCEPT_BREAK_GLASS.
set -euo pipefail

: "${GATE_DIGEST:?sha256:... of what is deployed}" "${GATE_KEYS:?file of the trusted keys}" "${PHASE5_ENVIRONMENT:?environment}"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/foreign.sh"
shopt -s nullglob
files=("${GATE_OUTPUT:-phase5-gate}"/attestation/*.dsse.json)
options=(--digest "$GATE_DIGEST" --policy "$GATE_KEYS" --environment "$PHASE5_ENVIRONMENT")
if [ "${GATE_ACCEPT_BREAK_GLASS:-}" = true ]; then
  options+=(--accept break-glass)
fi
foreign phase5 verify "${options[@]}" -- "${files[@]}"
