"""What a person reads in an archive: the period in one page, and how each file is verified with OpenSSL alone. Pure.

The page is made of the same files as everything else and is no proof of anything: each line names the folder that proves it.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from phase5_ops.clock import iso
from phase5_ops.gate.attestation.decision_statement import decision_facts
from phase5_ops.gate.attestation.envelopes import MalformedEnvelope, read_envelope
from phase5_ops.gate.attestation.readiness_statement import readiness_facts
from phase5_ops.gate.attestation.statement import read_statement
from phase5_ops.gate.audit.contents import AuditPeriod, Contents
from phase5_ops.gate.audit.publications import PUBLICATION_FILE
from phase5_ops.gate.inputs.promotion_records import DECISION_FILE, READINESS_FILE
from phase5_ops.input_files.json_text import json_value
from phase5_ops.text import printable

README = Path(__file__).with_name("archive_readme.md").read_text(encoding="utf-8")
"""How an archive is verified; a file of every archive."""


def summary_of(contents: Contents, environment: str, period: AuditPeriod, notes: Mapping[str, str]) -> str:
    """The page. `notes` are further lines: what they are about -> what is said."""
    files = contents.files
    lines = [f"# {environment}, {iso(period.begins)} to {iso(period.ends)}", ""]
    parts: list[tuple[str, list[str]]] = [
        ("Went to production", list(_promotions(files))),
        ("Went past the gate, or back", list(_overrides(files))),
        ("Waived", list(_waivers(files))),
        ("Candidates", list(_candidates(files))),
        ("Seen deployed", list(_deployed(files))),
        ("Accepted histories", list(_accepted(files))),
        ("Keys", list(_keys(files))),
        ("Missing", [f"{each.what}, named by {each.named_by}: {each.why}" for each in contents.missing]),
        ("About this archive", [f"{what}: {said}" for what, said in notes.items()]),
    ]
    for title, entries in parts:
        lines += [f"## {title}", "", *(f"* {_plain(entry)}" for entry in entries or ["nothing"]), ""]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Text from outside in a line of Markdown: nothing in it is markup."""
    said = " ".join(printable(text).split())
    return "".join(f"\\{each}" if each in "\\`*_[]<>#|!" else each for each in said)


def _payload(content: bytes) -> dict[str, Any]:
    return dict(json_value(base64.b64decode(json.loads(content)["payload"])))


def _promotions(files: Mapping[str, bytes]) -> Iterator[str]:
    said_in = {
        folder: _payload(content)["predicate"]
        for folder, _, file, content in ((*name.rpartition("/"), content) for name, content in files.items())
        if file == PUBLICATION_FILE
    }
    for folder, said in sorted(said_in.items(), key=lambda each: (each[1]["promotedAt"], each[0])):
        try:
            decided = decision_facts(read_statement(read_envelope(files[f"{folder}/{DECISION_FILE}"]).payload))
            people = ", ".join(f"{each.role}: {each.person}" for each in decided.signers) or "nobody named"
            went = f"{said['promotedAt']} {decided.name} {decided.digest} ({', '.join(decided.levels)})"
            yield f"{went}, signed by {people}: {folder}"
            basis = files.get(f"{folder}/{READINESS_FILE}")
            if basis is not None:
                facts = readiness_facts(read_statement(read_envelope(basis).payload))
                for waiver in facts.waivers:
                    until = f"until {iso(waiver.until)}, by {waiver.identity}: {waiver.reason} ({waiver.ticket})"
                    yield f"under waiver {waiver.id} of {waiver.row} {until}"
        except (KeyError, MalformedEnvelope, ValueError) as error:
            yield f"{folder}: cannot be read ({error})"


def _overrides(files: Mapping[str, bytes]) -> Iterator[str]:
    for name in sorted(each for each in files if each.startswith("overrides/") and each.endswith("override.dsse.json")):
        said, folder = _payload(files[name]), name.rpartition("/")[0]
        order = said["predicate"]
        signed = ", ".join(f"{each['role']}: {each['identity']}" for each in json.loads(files[f"{folder}/signatures.json"]))
        promoted = any(f"/promotion-{order['id']}/" in each for each in files)
        effect = "took effect" if promoted else "without effect"
        about = f"{order['requestedAt']} {order['kind']} {said['subject'][0]['name']}, {effect}"
        yield f"{about}, signed by {signed or 'nobody'}: {order['reason']} ({order['ticket']}): {folder}"
        yield from (f"past: {each}" for each in order.get("goesPast", ()))


def _waivers(files: Mapping[str, bytes]) -> Iterator[str]:
    for name in sorted(each for each in files if "/waivers/" in each):
        said = _payload(files[name])
        about = (
            f"{said['issued_at']} {name.split('/')[1]} {said['row']} {said['pairs']} by {said['identity']} until {said['until']}"
        )
        yield f"{about}: {said['reason']} ({said['ticket']}): {name}"


def _candidates(files: Mapping[str, bytes]) -> Iterator[str]:
    for name in sorted(each for each in files if each.endswith("/candidate.json")):
        said = json.loads(files[name])
        because = f": {said['closed_because']}" if said.get("closed_because") else ""
        yield f"{said['registered_at']} {said['name']} {said['digest']} series {said['series']} {said['fate']}{because}"


def _deployed(files: Mapping[str, bytes]) -> Iterator[str]:
    for name in sorted(each for each in files if each.startswith("deployed/")):
        said = _payload(files[name])
        yield f"{said['observed_at']} {said['release']['name']} {said['agreement']}: {said['how']}: {name}"


def _accepted(files: Mapping[str, bytes]) -> Iterator[str]:
    for name in sorted(each for each in files if each.startswith("acceptances/")):
        said = _payload(files[name])
        who = f"{said['at']} run {said['run_id']} by {said['identity']} for {said['role']}"
        yield f"{who}: {said['reason']} ({said['ticket']}): {name}"


def _keys(files: Mapping[str, bytes]) -> Iterator[str]:
    for each in json.loads(files["keys.json"])["keys"]:
        yield f"{each['role']}: {each['key_id']}, {'revoked ' + each['revoked_at'] if each['revoked_at'] else 'in use'}"
    for item in json.loads(files["keys-pinned.json"]):
        if "present" in item:
            yield f"pinned {item['pinned_at']}: {', '.join(f'{role} {key}' for role, key in sorted(item['present'].items()))}"
