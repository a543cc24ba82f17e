"""The command that says what of an installation is not as it must be."""

from typing import Annotated

import typer

from phase5_ops.cli import completion
from phase5_ops.cli.errors import refuse
from phase5_ops.cli.options import PlainFormat, PlainFormatOption, purpose_named
from phase5_ops.cli.output import width_of
from phase5_ops.cli.progress import progress


def doctor(
    purposes: Annotated[
        list[str] | None,
        typer.Option(
            "--for",
            metavar="PURPOSE",
            help="What this machine does, as `phase5 iam-policy` names it; may be repeated. Default: readiness, gate and doctor.",
            autocompletion=completion.purposes,
            show_default=False,
        ),
    ] = None,
    role: Annotated[
        str | None, typer.Option("--role", help="Whose key a signer signs with.", autocompletion=completion.roles)
    ] = None,
    part: Annotated[
        list[str] | None,
        typer.Option("--part", metavar="PART", help="Only this part of the page, as it is named there; may be repeated."),
    ] = None,
    output_format: PlainFormatOption = PlainFormat.table,
) -> None:
    """Say in one page what of this installation is not as it must be, and what to do about each.

    Looks at settings, credentials, clock, the platform's tables, permissions, the state table, keys, the evidence bucket, the
    runbook, probe users, Cost Explorer ($0.01), the state folder, and Dagster with its daemon. Changes nothing.
    """
    from phase5_ops.commands.doctor import PARTS, as_json, as_text, diagnose, wrong_settings
    from phase5_ops.gate.attestation.keys import GATE
    from phase5_ops.permissions.purposes import Purpose, policy_for
    from phase5_ops.settings import ConfigurationError, load_settings
    from phase5_ops.text import did_you_mean, printable

    chosen = [purpose_named(name) for name in purposes or (Purpose.readiness, Purpose.gate, Purpose.doctor)]
    if role is not None and Purpose.signer not in chosen:
        refuse("--role goes with --for signer")
    for name in part or ():
        if name not in PARTS:
            every = f"the parts are {', '.join(PARTS)}"
            refuse(f"--part {printable(name)}{did_you_mean(name, PARTS, every)}")
    try:
        settings = load_settings()
    except ConfigurationError as error:
        page = wrong_settings(error)
    else:
        policies = {}
        for purpose in chosen:
            whose = role if purpose is Purpose.signer else None
            name = f"{purpose} --role {whose}" if whose else str(purpose)
            policies[name] = policy_for(purpose, settings, whose)["Statement"]
        signing = [GATE] * (Purpose.gate in chosen) + [str(role)] * (Purpose.signer in chosen)
        with progress("looking at the installation"):
            in_role = {Purpose.readiness, Purpose.gate} & set(chosen)  # the machine that makes runs, and not a person or pipeline
            page = diagnose(settings if in_role else settings.with_own_credentials, policies, signing, part or PARTS)
    print(as_json(page) if output_format is PlainFormat.json else as_text(page, width_of(None)), flush=True)
    raise typer.Exit(page.exit_code)
