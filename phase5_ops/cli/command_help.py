"""How a command gets its help: wrapped to the terminal's width, under a heading, and with an example at its end."""

import inspect
from collections.abc import Callable

import typer


def unwrapped(text: str) -> str:
    """The paragraphs of a docstring, each in one line, so that they are wrapped anew to whatever width is there."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in inspect.cleandoc(text).split("\n\n"))


def add_command(app: typer.Typer, name: str, command: Callable[..., None], example: str, *, heading: str | None = None) -> None:
    """Adds a command to an app. Its help is the function's docstring; it ends with the example: what one may type."""
    help_text = unwrapped(command.__doc__ or "")
    app.command(name, help=help_text, epilog=f"Example: {example}", rich_help_panel=heading)(command)
