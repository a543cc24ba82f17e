"""Documents made from code: the README's rows, the rooms of docs/architecture.md, docs/findings.md and docs/settings.md.

`python -m phase5_ops.documentation` writes them; a test fails where they differ from the code.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from phase5_ops.checklist import EXTRA_CHECKS, ROWS, Row
from phase5_ops.documentation.rooms import rooms_table
from phase5_ops.report.document import SCHEMA_FILE, json_schema
from phase5_ops.settings import ENV_PREFIX, ProbeUsers, Settings

_ROWS_BEGIN, _ROWS_END = "<!-- rows: made from phase5_ops/checklist.py -->", "<!-- end of rows -->"
_ROOMS_BEGIN, _ROOMS_END = "<!-- rooms: made from the packages' docstrings -->", "<!-- end of rooms -->"


def rows_table(implemented: frozenset[str]) -> str:
    """The README's table of rows, as Markdown."""
    lines = [
        "| row | check | asset | what passes | owner | evidence at most | waivable | judged |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [_row_line(row, implemented) for row in (*ROWS, *EXTRA_CHECKS)]
    return "\n".join(lines)


def _row_line(row: Row, implemented: frozenset[str]) -> str:
    name = f"{row.id} {row.title}" if row.id != row.check else f"extra: {row.title}"
    judged = "yes" if row.check in implemented else "not yet (ERROR `not_implemented`)"
    waivable = "yes" if row.waivable else "no"
    cells = (name, f"`{row.check}`", f"`{row.asset}`", row.requirement, row.owner, f"{row.max_age_hours:g} h", waivable, judged)
    return f"| {' | '.join(cells)} |"


def readme_with_rows(readme: str, implemented: frozenset[str]) -> str:
    """The README text with its table of rows made anew.

    Raises:
        ValueError: the README has no place for it.
    """
    return _between(readme, _ROWS_BEGIN, _ROWS_END, rows_table(implemented))


def architecture_with_rooms(text: str, root: Path) -> str:
    """The text of docs/architecture.md with its table of rooms made anew.

    Raises:
        ValueError: the text has no place for it.
    """
    return _between(text, _ROOMS_BEGIN, _ROOMS_END, rooms_table(root))


def _between(text: str, begin: str, end: str, made: str) -> str:
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"there are no markers {begin} and {end}")
    return pattern.sub(lambda _: f"{begin}\n{made}\n{end}", text, count=1)


def settings_markdown() -> str:
    """Every setting with its default and meaning."""
    lines = [
        "# Settings",
        "",
        "Precedence: command line, environment, the YAML file named by `PHASE5_CONFIG` (the same names in lower case, nested),",
        "defaults. An unknown `PHASE5_` name or a bad value is exit code 3 with the name and the remedy, before anything is",
        "read. Lists and mappings in the environment are JSON. AWS itself is set the usual way: `AWS_REGION` (required),",
        "`AWS_PROFILE`, `AWS_ENDPOINT_URL`, ...",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
        *(_setting_line(name, field) for name, field in _fields(Settings, ENV_PREFIX)),
        "",
    ]
    return "\n".join(lines)


def _fields(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        full = f"{prefix}{name}".upper()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _fields(field.annotation, f"{full}__")
        else:
            yield full, field


def _setting_line(name: str, field: FieldInfo) -> str:
    meaning = field.description or _MEANING.get(name, "")
    return f"| `{name}` | {_default(field.default)} | {meaning.replace('|', chr(92) + '|')} |"


def _default(value: Any) -> str:  # noqa: ANN401 - a default of any field
    if value is None or value is PydanticUndefined:
        return ""
    if isinstance(value, tuple):
        plain = [item.model_dump() if isinstance(item, BaseModel) else item for item in value]
        return f"`{json.dumps(plain)}`"
    return f"`{value}`"


_MEANING = {
    "PHASE5_CONTROL_CENTER_URL": "address of the Control Center",
    "PHASE5_USER_POOL_ID": "Cognito user pool of the platform's users",
    "PHASE5_USER_POOL_CLIENT_ID": "app client of that pool",
    "PHASE5_PROBE_MODE": "which probes may be sent: full, refusals, off",
    "PHASE5_METRICS_NAMESPACE": "namespace of the platform's tool metrics",
    "PHASE5_EVENT_BUS": "event bus of the platform",
    "PHASE5_READING__CONNECT_TIMEOUT_SECONDS": "longest wait for a connection",
    "PHASE5_READING__READ_TIMEOUT_SECONDS": "longest wait for an answer of one try",
    "PHASE5_SCHEDULE__HOUR": "hour at which the daily run starts",
    "PHASE5_SCHEDULE__MINUTE": "minute at which the daily run starts",
    "PHASE5_SCHEDULE__TIMEZONE": "time zone of the daily run",
    "PHASE5_BREAKERS__COOLDOWN_SECONDS": "how long a breaker stays open before its probe",
    "PHASE5_BREAKERS__TTL_MIN_DAYS": "shortest life of a breaker's state",
    "PHASE5_BREAKERS__TTL_MAX_DAYS": "longest life of a breaker's state",
    "PHASE5_RUNBOOK_POLICY__ALARM_ANCHOR": "section that alarms point to",
    "PHASE5_RUNBOOK_POLICY__BREAKER_ANCHOR": "section on an open breaker",
    **{f"PHASE5_PROBE_USERS__{who}__TENANT_ID": f"dedicated test tenant {who}" for who in "AB"},
    **{f"PHASE5_PROBE_USERS__{who.upper()}__USERNAME": str(field.description) for who, field in ProbeUsers.model_fields.items()},
    **{f"PHASE5_PROBE_USERS__{who.upper()}__PASSWORD": "its password" for who in ProbeUsers.model_fields},
}


def write_all(root: Path) -> None:
    """Writes everything that is made from code below the repository's `root`."""
    from phase5_ops.build import CATALOGUE, judged_checks

    readme = root / "README.md"
    readme.write_text(readme_with_rows(readme.read_text(encoding="utf-8"), judged_checks()), encoding="utf-8")
    docs = root / "docs"
    docs.mkdir(exist_ok=True)
    architecture = docs / "architecture.md"
    architecture.write_text(architecture_with_rooms(architecture.read_text(encoding="utf-8"), root), encoding="utf-8")
    (docs / "findings.md").write_text(CATALOGUE.as_markdown(), encoding="utf-8")
    (docs / "settings.md").write_text(settings_markdown(), encoding="utf-8")
    schema = json.dumps(json_schema(), indent=2) + "\n"
    (root / "phase5_ops" / "report" / SCHEMA_FILE).write_text(schema, encoding="utf-8")
