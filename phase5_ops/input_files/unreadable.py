"""Why a file that a person named is not read, in one line."""

import yaml

from phase5_ops.text import printable


def why_unreadable(error: Exception) -> str:
    """What keeps a file from being opened, or its YAML from being read."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: {error.problem}"
    return printable(" ".join(str(error).split())) or type(error).__name__
