#!/usr/bin/env bash
# Sourced by the other scripts: `foreign COMMAND...` runs a command whose output holds text from outside (names of releases, findings,
# persons), and ends with its exit code. GitHub's runner takes lines of a log for commands: it shows these and obeys none.

foreign() {
  if [ "${GITHUB_ACTIONS:-}" != true ]; then
    "$@"
    return
  fi
  local resume code=0
  resume="$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
  echo "::stop-commands::$resume"
  "$@" 2>&1 || code=$?
  echo "::$resume::"
  return "$code"
}
