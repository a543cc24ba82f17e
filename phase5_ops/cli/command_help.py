"""How a command gets its help: wrapped to the terminal's width, under a heading, and with an example at its end."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


class PlainCommand(TyperCommand):
    """A command whose usage line names its arguments as manuals do: `RELEASE`, `[RELEASE]`, `FILE...`."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401 - typer gives its classes no public home
        """What the usage line says after the command's name."""
        arguments = [each for each in self.get_params(ctx) if each.param_type_name == "argument"]
        return [self.options_metavar or "", *map(_in_usage, arguments)]

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401
        """Prints the help."""
        _hide_type_of_flags(self.get_params(ctx))
        super().format_help(ctx, formatter)


class PlainGroup(TyperGroup):
    """A group of commands whose help says no type of a flag."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401
        """Prints the help."""
        _hide_type_of_flags(self.get_params(ctx))
        super().format_help(ctx, formatter)


def _in_usage(argument: Any) -> str:  # noqa: ANN401 - a parameter of typer's
    name = (argument.metavar or argument.name).upper().removesuffix("...")
    name += "..." if argument.nargs != 1 else ""
    return name if argument.required else f"[{name}]"


def _hide_type_of_flags(parameters: Iterable[Any]) -> None:
    for each in parameters:
        if getattr(each, "is_bool_flag", False):
            each.metavar = ""


def unwrapped(text: str) -> str:
    """The paragraphs of a docstring, each in one line, so that they are wrapped anew to whatever width is there."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in inspect.cleandoc(text).split("\n\n"))


def add_command(app: typer.Typer, name: str, command: Callable[..., None], example: str, *, heading: str | None = None) -> None:
    """Adds a command to an app. Its help is the function's docstring; it ends with the example: what one may type."""
    help_text = unwrapped(command.__doc__ or "")
    app.command(name, cls=PlainCommand, help=help_text, epilog=f"Example: {example}", rich_help_panel=heading)(command)
