"""`phase5 doctor`: looks at every part of an installation, and says in one page what is not as it must be. Changes nothing.

Exit codes: 0 all is well; 1 something is not as it must be; 2 something could not be found out; 3 a setting is wrong.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from phase5_ops.aws.iam_statements import Statement
from phase5_ops.aws.sessions import configured_region
from phase5_ops.commands.state_folder import open_dagster, why_unusable
from phase5_ops.doctor.account import ask_who, look_at_clock, look_at_credentials, look_at_platform, look_at_settings
from phase5_ops.doctor.bucket import look_at_bucket
from phase5_ops.doctor.examination import Examined, Installation, Part, examine, problem
from phase5_ops.doctor.keys import keys_of
from phase5_ops.doctor.machine import dagster_of, look_at_gate, state_folder_of
from phase5_ops.doctor.permitted import permissions_of
from phase5_ops.doctor.platform import look_at_costs, look_at_probe_users, look_at_runbook
from phase5_ops.gate.inputs.install_check import Checked, InstallOutcome, check_table, exit_code
from phase5_ops.report.wrapping import hanging, labelled
from phase5_ops.settings import Settings
from phase5_ops.text import printable

SCHEMA = "phase5.doctor/v1"
EXIT_SETTINGS = 3

_INIT = "run phase5 init"
_ALLOW = "allow what `phase5 iam-policy --for doctor` prints"
_WORDS = {InstallOutcome.PROBLEM: "not as it must be", InstallOutcome.UNKNOWN: "not known", InstallOutcome.OK: "as it must be"}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The page.

    Attributes:
        environment: its name; None where the settings do not tell.
        found: every thing that was looked at, in the page's order.
        exit_code: as the module's docstring lists them.
    """

    environment: str | None
    found: tuple[Examined, ...]
    exit_code: int


def wrong_settings(error: Exception) -> Diagnosis:
    """The page where the settings cannot be used: nothing else can be looked at."""
    seen = problem(str(error), "correct it; docs/settings.md lists every setting")
    return Diagnosis(None, (Examined("settings", seen),), EXIT_SETTINGS)


def _look_at_table(installation: Installation) -> Iterator[Checked]:
    yield from check_table(installation.session().reader, installation.settings.tables.readiness)


def _parts(policies: Mapping[str, Sequence[Statement]], signing: Sequence[str]) -> list[Part]:
    return [
        Part("platform", look_at_platform, _ALLOW),
        Part("permissions", permissions_of(policies), _ALLOW),
        Part("state table", _look_at_table, _INIT),
        Part("keys", keys_of(signing), f"{_INIT}; docs/signing.md says how keys are made"),
        Part("evidence bucket", look_at_bucket, _ALLOW),
        Part("runbook", look_at_runbook, "name it with PHASE5_RUNBOOK, and let the caller read it"),
        Part("probe users", look_at_probe_users, "put {username, password} into the secret, and let the caller read it"),
        Part("costs", look_at_costs, "ask in the account that pays, with what `phase5 iam-policy` prints"),
        Part("state folder", state_folder_of(why_unusable), "let this user write it, or name another", asks_aws=False),
        Part(
            "Dagster", dagster_of(open_dagster), "look at dagster.yaml in the state folder, and at its database", asks_aws=False
        ),
        Part("gate", look_at_gate, _ALLOW),
    ]


#: The names of the parts that can be chosen, in the page's order; settings, credentials and clock are always looked at.
PARTS = tuple(part.name for part in _parts({}, ()))


def diagnose(
    settings: Settings,
    policies: Mapping[str, Sequence[Statement]],
    signing: Sequence[str],
    chosen: Collection[str] = PARTS,
) -> Diagnosis:
    """Looks at every part, or at the chosen ones.

    Args:
        settings: valid ones.
        policies: purpose -> the statements that its policy must have, for what this machine does.
        signing: the roles (`gate`, `ops-sre`, ...) with whose keys the caller must be able to sign.
        chosen: names among `PARTS`.
    """
    installation = Installation(settings, None)
    found = [Examined("settings", each) for each in look_at_settings(settings)]
    if (region := configured_region(settings.aws)) is None:
        seen = problem("no AWS region is configured", "set AWS_REGION (or AWS_PROFILE with a region) to that of the platform")
        found.append(Examined("credentials", seen))
    else:
        asked = ask_who(installation)
        installation = Installation(settings, asked.caller)
        found += [Examined("credentials", each) for each in look_at_credentials(asked)]
        found += [Examined("clock", each) for each in look_at_clock(asked)]
    found += examine([part for part in _parts(policies, signing) if part.name in chosen], installation)
    code = EXIT_SETTINGS if region is None else exit_code([each.checked for each in found])
    return Diagnosis(settings.environment, tuple(found), code)


# --- what is printed ---------------------------------------------------------------------------------------------------------


def as_text(diagnosis: Diagnosis, width: int) -> str:
    """For people: a line for each thing, its remedy under it, and what it comes to; at most `width` columns but for addresses."""
    names = max(len(each.part) for each in diagnosis.found)
    outcomes = max(map(len, InstallOutcome))
    lines: list[str] = []
    previous = ""
    for each in diagnosis.found:
        name = "" if each.part == previous else each.part
        label = f"{name:<{names}}  {each.checked.outcome:<{outcomes}}"
        lines += labelled(label, printable(each.checked.text), width, label_width=len(label))
        if each.checked.remedy:
            lines += labelled("", printable(f"-> {each.checked.remedy}"), width, label_width=len(label))
        previous = each.part
    counted = [f"{_count(diagnosis, outcome)} {words}" for outcome, words in _WORDS.items() if _count(diagnosis, outcome)]
    return "\n".join([*lines, "", *hanging(", ".join(counted), width)])


def _count(diagnosis: Diagnosis, outcome: InstallOutcome) -> int:
    return sum(each.checked.outcome is outcome for each in diagnosis.found)


def as_json(diagnosis: Diagnosis) -> str:
    """The page as JSON text."""
    content = {
        "schema": SCHEMA,
        "environment": diagnosis.environment,
        "exit_code": diagnosis.exit_code,
        "checks": [
            {
                "part": each.part,
                "outcome": each.checked.outcome.lower(),
                "seen": each.checked.text,
                "remedy": each.checked.remedy or None,
            }
            for each in diagnosis.found
        ],
    }
    return json.dumps(content, indent=2)
