#!/bin/sh
# Puts this image's dagster.yaml into the state folder, where every command of phase5 and Dagster looks for it, and becomes the
# command that it is given. Tasks that start at the same time share the folder: a file is put in its place whole.
set -eu
new="$DAGSTER_HOME/.dagster.yaml.$(hostname).$$"
cp "$(dirname "$0")/dagster.yaml" "$new"
mv "$new" "$DAGSTER_HOME/dagster.yaml"
exec "$@"
