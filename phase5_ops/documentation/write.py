"""Documents made from code: the README's rows, the rooms of docs/architecture.md, docs/findings.md and docs/settings.md.

Also made from it are the policies of deploy/template.yaml, the readiness document's JSON Schema, `findings.json`, from which
codes are explained without Dagster, and the empty databases of Dagster's storage.
`python -m phase5_ops.documentation` writes them; a test fails where they differ from the code.
"""

import json
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from phase5_ops.checklist import EXTRA_CHECKS, ROWS, Row
from phase5_ops.documentation.rooms import rooms_table
from phase5_ops.report.document import SCHEMA_FILE, json_schema
from phase5_ops.report.findings import FINDINGS_FILE
from phase5_ops.settings import ProbeUsers, variables

#: Between which lines a table stands that is made from code, in a document that people write.
_ROWS = ("<!-- rows: made from phase5_ops/checklist.py -->", "<!-- end of rows -->")
_POLICIES = ("  # policies: made by python -m phase5_ops.documentation from what phase5 iam-policy prints", "  # end of policies")
_ROOMS = ("<!-- rooms: made from the packages' docstrings -->", "<!-- end of rooms -->")


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


def _with_table(document: Path, markers: tuple[str, str], table: str) -> str:
    """The text of a document with the table between its markers made anew.

    Raises:
        ValueError: the document has no such markers.
    """
    begin, end = markers
    made, count = re.subn(
        f"{re.escape(begin)}.*?{re.escape(end)}",
        lambda _: f"{begin}\n{table}\n{end}",
        document.read_text(encoding="utf-8"),
        count=1,
        flags=re.DOTALL,
    )
    if not count:
        raise ValueError(f"{document} has no markers {begin} and {end}: put them where the table belongs")
    return made


def settings_markdown() -> str:
    """Every setting with its default and meaning."""
    lines = [
        "# Settings",
        "",
        "Precedence: command line, environment, the YAML file named by `PHASE5_CONFIG` (the same names in lower case, nested),",
        "defaults. An unknown `PHASE5_` name or a bad value is exit code 3 with the name and the remedy, before anything is",
        "read. Lists and mappings in the environment are JSON. AWS itself is set the usual way: `AWS_REGION` (required),",
        "`AWS_PROFILE`, `AWS_ENDPOINT_URL`, ... Where the file holds a list, each entry is one of [several",
        "environments](environments.md), and `PHASE5_ENVIRONMENT` chooses.",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
        *(_setting_line(name, field) for name, field in variables() if not isinstance(field.default, BaseModel)),
        "",
    ]
    return "\n".join(lines)


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


#: What settings mean that the declaration of their type cannot say, since several users have the type.
_MEANING = {
    **{f"PHASE5_PROBE_USERS__{who}__TENANT_ID": f"dedicated test tenant {who}" for who in "AB"},
    **{f"PHASE5_PROBE_USERS__{who.upper()}__USERNAME": str(field.description) for who, field in ProbeUsers.model_fields.items()},
}


def documents(root: Path) -> dict[Path, str]:
    """Every document below the repository's `root` that is made from code, and the text that it must have.

    Raises:
        ValueError: a document has no place for its table.
    """
    from phase5_ops.build import CATALOGUE, EVIDENCE, judged_checks
    from phase5_ops.documentation.dagster_databases import empty_databases
    from phase5_ops.orchestration.sqlite_storage import EMPTY_DATABASES
    from phase5_ops.permissions import deployed

    readme, docs, template = root / "README.md", root / "docs", root / "deploy" / "template.yaml"
    return {
        readme: _with_table(readme, _ROWS, rows_table(judged_checks())),
        docs / "architecture.md": _with_table(docs / "architecture.md", _ROOMS, rooms_table(root)),
        template: _with_table(template, _POLICIES, deployed.as_yaml()),
        docs / "findings.md": CATALOGUE.as_markdown(),
        root / "phase5_ops" / "report" / FINDINGS_FILE: CATALOGUE.as_json({each.name: each.description for each in EVIDENCE}),
        docs / "settings.md": settings_markdown(),
        root / "phase5_ops" / "report" / SCHEMA_FILE: json.dumps(json_schema(), indent=2) + "\n",
        root / "phase5_ops" / "orchestration" / EMPTY_DATABASES: empty_databases(),
    }


def write_all(root: Path) -> None:
    """Writes everything that is made from code below the repository's `root`."""
    for path, text in documents(root).items():
        path.write_text(text, encoding="utf-8")
