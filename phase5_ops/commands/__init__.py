"""What the commands do, each imported when it is called. Options, output and exit codes are in `cli/`."""
