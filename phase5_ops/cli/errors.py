"""How errors become lines on stderr and exit codes: the only place that does it.

Exit codes: 0 open, 1 closed by a failing row or a missing signature, 2 closed by INCONCLUSIVE or ERROR (also: the program itself
failed), 3 usage or configuration error, 130 interrupted.
"""

import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

import typer

EXIT_UNDECIDED, EXIT_USAGE, EXIT_INTERRUPTED = 2, 3, 130


#: Whether an error shows where it was raised (`phase5 --debug`), before the line that says what it means.
debugging: ContextVar[bool] = ContextVar("debugging", default=False)


def complain(text: str) -> None:
    """Says a line on stderr."""
    print(f"phase5: {text}", file=sys.stderr)


def refuse(text: str) -> NoReturn:
    """A usage error, without loading the settings."""
    complain(text)
    raise typer.Exit(EXIT_USAGE)


def complain_of(error: Exception, text: str) -> None:
    """Says on stderr what an error means, in one line; under `--debug` after its traceback."""
    if debugging.get():
        traceback.print_exception(error)
    complain(text)


def exit_code_of(error: Exception) -> int:
    """Says what went wrong on stderr, and returns the exit code that it has."""
    if hasattr(error, "show") and hasattr(error, "exit_code"):  # a usage error of the command line
        if said := usage_line(error):
            complain_of(error, said)
        else:  # no command was given at all: it shows the help
            error.show(file=sys.stderr)
        return EXIT_USAGE
    from phase5_ops.commands.state_folder import FolderUnusable
    from phase5_ops.settings import ConfigurationError

    if isinstance(error, ConfigurationError):
        complain_of(error, str(error))
        return EXIT_USAGE
    if isinstance(error, FolderUnusable):
        complain_of(error, f"{error}; nothing was decided")
        return EXIT_UNDECIDED
    remedy = "" if debugging.get() else "; `phase5 --debug` before the command shows where"
    what = " ".join(str(error).split())
    complain_of(error, f"internal error: {type(error).__name__}{f': {what}' if what else ''}; nothing was decided{remedy}")
    return EXIT_UNDECIDED


def usage_line(error: Any) -> str:  # noqa: ANN401 - typer gives its classes of errors no public home
    """What is wrong with the command line, and the remedy, in one line; nothing where only the help was asked for."""
    from pydantic import ValidationError

    from phase5_ops.text import did_you_mean, nearest, printable, refusal

    message = " ".join(printable(error.format_message()).split()).rstrip(".")
    option = printable(getattr(error, "option_name", None) or "")
    if (context := error.ctx) is None:
        return f"{option} needs a value" if "requires an argument" in message else message
    see = f"{context.command_path} --help"
    at = f"{context.command_path.partition(' ')[2]}: ".removeprefix(": ")  # the program is named before every line
    if option and "No such option" in message:
        known = [name for each in context.command.params for name in each.opts if name.startswith("--")]
        if option not in known and any(option in each.opts for each in context.find_root().command.params):
            return f"{at}{option} goes before the command: phase5 {option} {context.info_name} ..."
        return f"{at}no option {option}{did_you_mean(option, known, f'{see} lists them')}"
    if message.startswith("No such command"):
        name = message.partition("'")[2].partition("'")[0]
        return f"{at}no command {name}{did_you_mean(name, context.command.list_commands(context), f'{see} lists them')}"
    if (parameter := getattr(error, "param", None)) is None:
        return f"{at}{message[:1].lower()}{message[1:]}; see {see}" if message else ""
    thing = parameter.opts[0] if parameter.param_type_name == "option" else (parameter.metavar or parameter.name).upper()
    if message.startswith("Missing"):
        return f"{at}{thing} is missing: {_help_of(parameter)}see {see}"
    words = (
        "; ".join(refusal(each) for each in cause.errors()) if isinstance(cause := error.__cause__, ValidationError) else message
    )
    given, *choices = re.findall(r"'([^']*)'", words) if " is not one of " in words else [""]
    if choices:
        near = f"did you mean {meant}? The" if (meant := nearest(given, choices)) else "the"
        return f"{at}{thing} {printable(given)}: {near} choices are {', '.join(choices)}"
    return f"{at}{thing}: {words}; {_help_of(parameter)}see {see}"


def _help_of(parameter: Any) -> str:  # noqa: ANN401 - a parameter of typer's
    return f"{parameter.help.rstrip('.')}; " if getattr(parameter, "help", None) else ""


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
        complain_of(error, str(error))
        raise typer.Exit(EXIT_UNDECIDED) from error
    except (StateError, SigningError) as error:
        complain_of(error, f"{error}; nothing is known")
        raise typer.Exit(EXIT_UNDECIDED) from error
    except KeysError as error:
        raise ConfigurationError(str(error)) from error
