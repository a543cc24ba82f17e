#!/usr/bin/env bash
# Registers a release candidate and waits for the gate; each change is a line of the log. Exit code: that of `phase5 promote --wait`.
# Reads GATE_RELEASE, GATE_DIGEST, GATE_TIMEOUT (seconds, default 3000), GATE_OUTPUT (default phase5-gate), GATE_CONTEXT
# (NAME=VALUE for the target), GATE_ACCEPT_BREAK_GLASS (true: that counts as promoted too), and phase5's own settings.
# Leaves the attestation of a promotion in GATE_OUTPUT/attestation.
set -euo pipefail

: "${GATE_RELEASE:?the name of the release}" "${GATE_DIGEST:?sha256:... of the artifact}"
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source-path=SCRIPTDIR
. "$here/foreign.sh"
output="${GATE_OUTPUT:-phase5-gate}"
rm -rf -- "$output/attestation"
mkdir -p -- "$output"

options=(--digest "$GATE_DIGEST" --wait --timeout "${GATE_TIMEOUT:-3000}" --attestation "$output/attestation")
if [ -n "${GATE_CONTEXT:-}" ]; then
  options+=(--context "$GATE_CONTEXT")
fi
if [ "${GATE_ACCEPT_BREAK_GLASS:-}" = true ]; then
  options+=(--accept-break-glass)
fi

code=0
foreign phase5 promote "${options[@]}" -- "$GATE_RELEASE" || code=$?
if [ "$code" -ne 0 ]; then
  bash "$here/annotate.sh" || true # the exit code is that of phase5 promote
fi
exit "$code"
