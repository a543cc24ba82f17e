#!/usr/bin/env bash
# Says what keeps a release closed, a line each: as error annotations on GitHub, as lines of the log elsewhere.
# Reads GATE_RELEASE, GATE_OUTPUT (default phase5-gate), and phase5's own settings.
set -euo pipefail

: "${GATE_RELEASE:?the name of the release}"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/foreign.sh"
output="${GATE_OUTPUT:-phase5-gate}"
mkdir -p -- "$output"
rm -f -- "$output/status.json"
# the exit code is that of the gate; whether there is a document, the file says
foreign phase5 status --format json --output "$output/status.json" -- "$GATE_RELEASE" || true

PYTHONIOENCODING=utf-8:backslashreplace python3 - "$output/status.json" "$GATE_RELEASE" <<'END'
import json
import os
import sys

MOST = 9  # GitHub shows ten error annotations of a step
path, release = sys.argv[1:]
try:
    with open(path, encoding="utf-8") as file:
        blockers = [str(each) for each in json.load(file)["blockers"]]
except (OSError, ValueError, KeyError, TypeError) as error:
    blockers = [f"what keeps it closed is not known: phase5 status gave no document ({type(error).__name__})"]
shown = blockers[:MOST] or ["the gate did not let it pass: see the log of this step"]
if len(blockers) > MOST:
    shown.append(f"and {len(blockers) - MOST} more: see the report")


def escaped(text, more=""):
    for char in "%\r\n" + more:
        text = text.replace(char, f"%{ord(char):02X}")
    return text


for each in shown:
    if os.environ.get("GITHUB_ACTIONS") == "true":
        print(f"::error title={escaped(f'phase5 gate, {release}', ':,')}::{escaped(each)}")
    else:
        print("ERROR: " + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in each))
END
