"""How errors become lines on stderr and exit codes: the only place that does it.

Exit codes: 0 open, 1 closed by a failing row or a missing signature, 2 closed by INCONCLUSIVE or ERROR (also: the program itself
failed), 3 usage or configuration error, 130 interrupted.
"""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

EXIT_UNDECIDED, EXIT_USAGE, EXIT_INTERRUPTED = 2, 3, 130


def complain(text: str) -> None:
    """Says a line on stderr."""
    print(f"phase5: {text}", file=sys.stderr)


def refuse(text: str) -> NoReturn:
    """A usage error, without loading the settings."""
    complain(text)
    raise typer.Exit(EXIT_USAGE)


def exit_code_of(error: Exception) -> int:
    """Says what went wrong on stderr, and returns the exit code that it has."""
    from phase5_ops.commands.state_folder import FolderUnusable
    from phase5_ops.settings import ConfigurationError

    if isinstance(error, ConfigurationError):
        complain(str(error))
        return EXIT_USAGE
    if isinstance(error, FolderUnusable):
        complain(f"{error}; nothing was decided")
        return EXIT_UNDECIDED
    if hasattr(error, "show") and hasattr(error, "exit_code"):  # a usage error of the command line
        error.show(file=sys.stderr)
        return EXIT_USAGE
    traceback.print_exc()
    complain(f"internal error: {type(error).__name__}: {error}; nothing was decided")
    return EXIT_UNDECIDED


@contextmanager
def gate_failures() -> Iterator[None]:
    """A state table, webserver or KMS that does not answer: nothing is known, exit 2, with the call and the remedy."""
    from phase5_ops.gate.attestation.keys import KeysError
    from phase5_ops.gate.candidates.dagster_http import WebserverError
    from phase5_ops.gate.signing.kms import SigningError
    from phase5_ops.gate.state.items import StateError
    from phase5_ops.gate.state.stated_documents import NotStated
    from phase5_ops.settings import ConfigurationError

    try:
        yield
    except (NotStated, WebserverError) as error:
        complain(str(error))
        raise typer.Exit(EXIT_UNDECIDED) from error
    except (StateError, SigningError) as error:
        complain(f"{error}; nothing is known")
        raise typer.Exit(EXIT_UNDECIDED) from error
    except KeysError as error:
        raise ConfigurationError(str(error)) from error
