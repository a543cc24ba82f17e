"""JSON of others: a value or one error, whoever reads it."""

import pytest

from phase5_ops.engines.partials import Partial, PartialUnusable
from phase5_ops.gate.attestation.waiver import waiver_of
from phase5_ops.gate.state.items import MalformedItem
from phase5_ops.gate.state.notice_box import _watched
from phase5_ops.input_files.json_text import json_value
from phase5_ops.input_files.written_twice import distinct_json
from phase5_ops.probing.channel import token_part
from phase5_ops.probing.guard import tenants_claimed, tenants_of_token
from phase5_ops.probing.identity import parse_accounts
from phase5_ops.probing.kept_token import _load

DEEP = "[" * 100_000
NOTICES = {"pk": "n", "sk": "RUNS", "version": 1, "seen": DEEP, "due": "[]", "leased_until": "", "holder": ""}


@pytest.mark.parametrize("read", [json_value, distinct_json, waiver_of])
def test_what_is_nested_too_deep_is_no_json(read):
    with pytest.raises(ValueError, match="nested too deep"):
        read(DEEP)


def test_claims_that_are_nested_too_deep_name_nothing_but_themselves(tmp_path):
    assert tenants_claimed(DEEP) == [DEEP]
    assert parse_accounts(DEEP) is None
    assert tenants_of_token(f"Bearer {token_part({})}.{'W1tb' * 30_000}.x") == []
    (tmp_path / "probe_tokens.json").write_text(DEEP)
    assert _load(tmp_path / "probe_tokens.json") == {}


def test_items_and_kept_results_that_are_nested_too_deep_are_malformed():
    with pytest.raises(MalformedItem, match="nested too deep"):
        _watched(NOTICES)
    with pytest.raises(PartialUnusable, match="first lines"):
        Partial.unpacked(b"phase5-partial/1\n" + DEEP.encode(), scan="s", part="p", depends_on={})
