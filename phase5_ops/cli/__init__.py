"""The command line: options, output and exit codes of every command. What a command does is in `commands/`."""
