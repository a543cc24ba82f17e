"""The key grammar: whole segments, approved exceptions that refer to the execution, tenants in attributes. No false answers."""

import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from phase5_ops.ccnative.keys import (
    APPROVED,
    ExecutionScope,
    KeyScope,
    Reference,
    distinctive,
    holds_token,
    judge_key,
    plain_item,
    tenants_named,
)
from phase5_ops_tests.places import ROOT

pytestmark = pytest.mark.slow

TABLES = json.loads((ROOT / "phase5_ops" / "sandbox" / "tables.json").read_text(encoding="utf-8"))
INTENT, TRACE = "ai_1795424883915_l91245", "trace-1795424883938-a1f4"


def scope(tenant="acme", *others, **more):
    ids = {
        "accounts": {"acct-1"},
        "intents": {INTENT},
        "traces": {TRACE},
        "decisions": {"dec_1"},
        "idempotency_keys": {"5a5c"},
        "action_types": {"CREATE_INTERNAL_NOTE"},
        "connectors": {"internal"},
        **more,
    }
    return ExecutionScope(tenant, other_tenants=frozenset(others), **{name: frozenset(value) for name, value in ids.items()})


def verdict(table, key, of=None, index="", **more):
    return judge_key(table, index, key, of or scope("acme", "acme-eu", "zeta"), **more).scope


def test_a_key_of_the_tenant_is_in_scope():
    for pk in ("TENANT#acme", "TENANT#acme#ACCOUNT#a-1", "ACCOUNT#acme#a-1", "SIGNAL#acme#s1", "TENANT#acme#ACCOUNT#"):
        assert verdict("cc-native-ledger", {"pk": pk, "sk": "ENTRY#x"}) is KeyScope.OWN, pk


@pytest.mark.parametrize(
    "pk",
    [
        "TENANT#acme-eu",
        "TENANT#acme-eu#ACCOUNT#acme",
        "TENANT#acm",
        "TENANT#acmee",
        "TENANT# acme",
        "TENANT#acme ",
        "TENANT#Acme",
        "TENANT#unheard-of",
        "TENANT#acme#eu",  # an id of its own: `eu` is no segment name
        "ACCOUNT#zeta#acme",
        "SIGNAL#acme-eu#acme",
        "TENANT#zeta#ACCOUNT#TENANT",
    ],
)
def test_a_key_of_any_other_tenant_is_foreign(pk):
    assert verdict("cc-native-ledger", {"pk": pk, "sk": "acme"}) is KeyScope.FOREIGN


@pytest.mark.parametrize("pk", ["acme", "TENANT#", "TENANT", "tenant#acme", "LEDGER", "", "ACCOUNT#acme", "XTENANT#acme"])
def test_a_key_that_carries_no_tenant_segment_has_no_tenant(pk):
    assert verdict("cc-native-ledger", {"pk": pk, "sk": "acme"}) is KeyScope.WITHOUT_TENANT


def test_prefixes_of_tenants_are_told_apart_in_both_directions():
    assert verdict("cc-native-ledger", {"pk": "TENANT#acme"}, scope("acme-eu", "acme")) is KeyScope.FOREIGN
    assert verdict("cc-native-ledger", {"pk": "TENANT#acme-eu"}, scope("acme", "acme-eu")) is KeyScope.FOREIGN
    assert verdict("cc-native-ledger", {"pk": "TENANT#acme-eu#ACCOUNT#1"}, scope("acme-eu", "acme")) is KeyScope.OWN


def test_a_tenant_id_with_the_separator_is_one_tenant():
    assert verdict("t", {"pk": "TENANT#a#b#ACCOUNT#1"}, scope("a#b", "a")) is KeyScope.OWN
    assert verdict("t", {"pk": "TENANT#a#b#ACCOUNT#1"}, scope("a", "a#b")) is KeyScope.FOREIGN
    assert verdict("t", {"pk": "TENANT#a"}, scope("a#b", "a")) is KeyScope.FOREIGN


def test_two_tenants_that_fit_the_same_key_are_not_guessed():
    assert verdict("t", {"pk": "TENANT#a#ACCOUNT#1"}, scope("a", "a#ACCOUNT#1")) is KeyScope.AMBIGUOUS
    assert verdict("t", {"pk": "TENANT#a#ACCOUNT#1"}, scope("a#ACCOUNT#1", "a")) is KeyScope.AMBIGUOUS


def test_a_sort_key_that_names_another_tenant_is_foreign():
    assert verdict("cc-native-identities", {"pk": "USER#u1", "sk": "TENANT#acme"}) is KeyScope.OWN
    assert verdict("cc-native-identities", {"pk": "USER#u1", "sk": "TENANT#acme-eu"}) is KeyScope.FOREIGN
    assert verdict("cc-native-x", {"pk": "TENANT#acme", "sk": "COPY#TENANT#zeta"}) is KeyScope.FOREIGN


@pytest.mark.parametrize("shared", ["ALL", "NOTES", "OUTCOMES", "GLOBAL", "ACCOUNT#zeta", "tenant#zeta", "new-tenant"])
def test_a_sort_key_does_not_make_a_partition_of_all_the_tenants_own(shared):
    for sort in ("TENANT#acme", "TENANT#acme#NOTE#1", "ENTRY#TENANT#acme"):
        assert verdict("cc-native-x", {"pk": shared, "sk": sort}) is KeyScope.WITHOUT_TENANT


def test_another_tenants_bare_id_as_partition_key_is_its_own_whatever_the_sort_key_names():
    assert verdict("cc-native-x", {"pk": "zeta", "sk": "TENANT#acme"}) is KeyScope.FOREIGN


@pytest.mark.parametrize("table", ["cc-native-tenants", "cc-native-signals", "cc-native-policy-config"])
def test_tables_keyed_by_a_bare_tenant_id_need_it_whole(table):
    assert verdict(table, {"tenantId": "acme", "x": "zeta"}) is KeyScope.OWN
    for other in ("acme-eu", "TENANT#acme", "acme#ACCOUNT#1", "Acme"):
        assert verdict(table, {"tenantId": other, "x": "acme"}) is KeyScope.FOREIGN
    assert verdict(table, {"tenantId": ""}) is KeyScope.WITHOUT_TENANT


def test_a_cache_key_holds_the_tenant_as_a_segment():
    for key in ("acme", "plan:acme:1", "TENANT#acme#plan", "x/acme", "plan|acme"):
        assert verdict("cc-native-cache", {"cacheKey": key}) is KeyScope.OWN, key
    for key in ("plan:acme-eu", "acme:zeta", "TENANT#zeta"):
        assert verdict("cc-native-cache", {"cacheKey": key}) is KeyScope.FOREIGN, key
    for key in ("plan:1", "plan:acmeX", "acct-1", "xacme"):
        assert verdict("cc-native-cache", {"cacheKey": key}) is KeyScope.WITHOUT_TENANT, key


APPROVED_EXAMPLES = {
    Reference.CONNECTOR: ("internal", "crm_salesforce"),
    Reference.ACTION_TYPE: ("CREATE_INTERNAL_NOTE", "CREATE_CRM_TASK"),
    Reference.IDEMPOTENCY_KEY: ("5a5c", "ffff"),
    Reference.INTENT: (INTENT, "ai_2_x"),
    Reference.TRACE: (TRACE, TRACE + "0"),
    Reference.ACCOUNT: ("acct-1", "acct-10"),
    Reference.DECISION: ("dec_1", "dec_10"),
}


@pytest.mark.parametrize("form", APPROVED, ids=lambda form: f"{form.table} {form.index} {form.attribute}")
def test_an_approved_form_counts_only_for_this_execution_and_only_in_its_place(form):
    own, other = APPROVED_EXAMPLES[form.reference]

    def key(reference):
        return (
            {"pk": form.prefix, form.reference_in: reference} if form.reference_in else {form.attribute: form.prefix + reference}
        )

    assert verdict(form.table, key(own), index=form.index, written=False) is KeyScope.APPROVED
    assert verdict(form.table, key(own), index=form.index) is (KeyScope.APPROVED if form.written else KeyScope.WITHOUT_TENANT)
    for wrong in (other, ""):
        assert verdict(form.table, key(wrong), index=form.index) is KeyScope.WITHOUT_TENANT
    assert verdict("cc-native-world-state", key(own), index=form.index) is KeyScope.WITHOUT_TENANT
    assert verdict(form.table, key(own), index="another-index") is KeyScope.WITHOUT_TENANT


def test_a_connector_in_the_gateways_form_is_the_same_connector():
    assert (
        verdict("cc-native-resilience", {"pk": "CONNECTOR#internal-create-note___internal", "sk": "STATE"}) is KeyScope.APPROVED
    )


def test_every_exception_is_about_a_table_and_index_of_the_platform_and_says_why():
    known = {(table["name"], index) for table in TABLES for index in ("", *table.get("indexes", {}))}
    for form in APPROVED:
        assert (form.table, form.index) in known
        assert form.justification.endswith(".")
        assert form.form


def test_an_empty_tenant_has_no_scope():
    with pytest.raises(ValueError, match="tenant"):
        ExecutionScope("")


# Attributes


def named(document, of=None):
    of = of or scope("acme", "acme-eu", "zeta", foreign_markers={"phase5-canary-b"})
    return {(naming.path, naming.tenant, naming.scope) for naming in tenants_named(document, of)}


@pytest.mark.parametrize(
    ("document", "path", "tenant"),
    [
        ({"tenantId": "zeta"}, "tenantId", "zeta"),
        ({"tenant_id": "acme-eu"}, "tenant_id", "acme-eu"),
        ({"sourceTenantId": "zeta"}, "sourceTenantId", "zeta"),
        ({"tenant": {"id": "zeta"}}, "tenant.id", "zeta"),
        ({"tenant": "zeta"}, "tenant", "zeta"),
        ({"tenantIds": ["acme", "zeta"]}, "tenantIds", "zeta"),
        ({"shared_with_tenant_ids": ["unheard-of"]}, "shared_with_tenant_ids", "unheard-of"),
        ({"tenants": ["acme", "zeta"]}, "tenants", "zeta"),
        ({"tenants": [{"id": "unheard-of"}]}, "tenants[0].id", "unheard-of"),
        ({"limits": {"TENANT#zeta": 5}}, "limits.TENANT#zeta", "zeta"),
        ({"limits": {"phase5-canary-b": 5}}, "limits.phase5-canary-b", "phase5-canary-b"),
        ({"data": ' \n{"tenant_id": "zeta"}'}, "data.tenant_id", "zeta"),
        ({"data": '"{\\"a\\": {\\"tenant_id\\": \\"zeta\\"}}"'}, "data.a.tenant_id", "zeta"),
        ({"data": '{"a": "{\\"tenant_id\\": \\"zeta\\"}"}'}, "data.a.tenant_id", "zeta"),
        ({"text": "pk=TENANT#zeta;sk=x"}, "text", "zeta"),
        ({"text": "<b>TENANT#zeta</b>"}, "text", "zeta"),
        ({"text": "own: TENANT#acme, other;TENANT#unheard-of&more"}, "text", "unheard-of"),
        ({"data": {"refs": [{"tenantId": "zeta"}]}}, "data.refs[0].tenantId", "zeta"),
        ({"data": '{"a": {"tenant_id": "zeta"}}'}, "data.a.tenant_id", "zeta"),
        ({"s3_key": "audit-exports/zeta/exp-1.json"}, "s3_key", "zeta"),
        ({"s3_key": "audit-exports/acme-eu/acme.json"}, "s3_key", "acme-eu"),
        ({"evidence": {"s3Uri": "execution://zeta/acct/ai_1"}}, "evidence.s3Uri", "zeta"),
        ({"key": "TENANT#zeta#ACCOUNT#1"}, "key", "zeta"),
        ({"url": "https://x/y?tenant_id=zeta&a=1"}, "url", "zeta"),
        ({"content": "copied from phase5-canary-b."}, "content", "phase5-canary-b"),
        ({"tenantId": "unheard-of"}, "tenantId", "unheard-of"),
    ],
)
def test_another_tenant_in_an_attribute_is_found_wherever_it_stands(document, path, tenant):
    foreign = {(at, name) for at, name, relation in named(document) if relation is KeyScope.FOREIGN}
    assert ((path, tenant) in foreign) if tenant else not foreign


@pytest.mark.parametrize(
    "document",
    [
        {"tenantId": "acme", "data": {"tenant_id": "acme"}},
        {"s3_key": "audit-exports/acme/exp-1.json", "ref": "execution://acme/acct/ai_1"},
        {"tenantId": None, "tenant_id": ""},
        {"tenant": "Acme Ltd"},
        {"content": "phase5-canary-bb, xphase5-canary-b, phase5-canary-b_1"},
        {"pk": "TENANT#acme#ACCOUNT#zeta"},
        {"text": "<b>TENANT#acme</b>, pk=TENANT#acme; (TENANT#acme) 'TENANT#acme#ACCOUNT#1' TENANT#acme, and SUBTENANT#zeta"},
        {"text": "keys begin with TENANT#<tenant> or TENANT#"},
        {"tenants": ["Acme Ltd", "acme"], "limits": {"TENANT#acme": 5}, "by": {"zeta": 5}},
        {"id": "zeta", "name": "zeta", "account_id": "acme-eu"},
    ],
)
def test_what_names_no_other_tenant_is_left_alone(document):
    assert not [entry for entry in named(document) if entry[2] is not KeyScope.OWN]


def test_dynamodb_json_is_read_through():
    item = {"tenantId": {"S": "acme"}, "data": {"M": {"x": {"L": [{"M": {"tenant_id": {"S": "zeta"}}}]}, "n": {"N": "1"}}}}
    plain = plain_item(item)
    assert plain == {"tenantId": "acme", "data": {"x": [{"tenant_id": "zeta"}], "n": "1"}}
    assert ("data.x[0].tenant_id", "zeta", KeyScope.FOREIGN) in named(plain)


def test_ids_too_common_for_free_text_are_not_looked_for_there():
    assert not distinctive("a")
    assert not distinctive("TENANT")
    assert not distinctive("internal")
    assert distinctive("phase5-canary-b")
    of = scope("acme", "null", foreign_markers={"null", "TENANT"})
    assert not tenants_named({"content": "null", "pk": "TENANT#acme"}, of)[1:]


def test_deep_and_broken_documents_do_not_break_the_reading():
    deep: dict = {}
    inner = deep
    for _ in range(500):
        inner["x"] = {}
        inner = inner["x"]
    assert named({"deep": deep, "text": '{"a": ', "nested": "[" * 10_000}) == set()


# Properties

tenant_ids = st.one_of(
    st.sampled_from(
        ["a", "null", "acme", "acme-eu", "TENANT", "TENANT#x", "ACCOUNT", "a#b", "a#ACCOUNT#b", "münchen", "x/y", "a@b.co"]
    ),
    st.text(min_size=1, max_size=12),
)
MANY = settings(max_examples=150, deadline=None)
FORMS = ("TENANT#{}", "TENANT#{}#ACCOUNT#acct-1", "ACCOUNT#{}#acct-1", "SIGNAL#{}#s")


@MANY
@given(own=tenant_ids, other=tenant_ids, form=st.sampled_from(FORMS))
def test_no_key_of_another_known_tenant_is_ever_in_scope(own, other, form):
    assume(own != other)
    assert verdict("cc-native-ledger", {"pk": form.format(other)}, scope(own, other)) in (KeyScope.FOREIGN, KeyScope.AMBIGUOUS)


@MANY
@given(own=tenant_ids, others=st.lists(tenant_ids, max_size=4), form=st.sampled_from(FORMS))
def test_no_key_of_the_tenant_is_ever_foreign(own, others, form):
    judged = verdict("cc-native-ledger", {"pk": form.format(own)}, scope(own, *others))
    fits = [other for other in others if other != own and (own.startswith(other + "#") or other.startswith(own + "#"))]
    assert judged is KeyScope.OWN or (judged is KeyScope.AMBIGUOUS and fits)


@MANY
@given(own=tenant_ids, other=tenant_ids, table=st.sampled_from(["cc-native-tenants", "cc-native-signals"]))
def test_a_bare_tenant_key_is_in_scope_exactly_for_its_tenant(own, other, table):
    assert (verdict(table, {"tenantId": other}, scope(own)) is KeyScope.OWN) == (own == other)


@MANY
@given(own=tenant_ids, other=tenant_ids)
def test_an_attribute_of_the_tenant_is_never_foreign_and_one_of_another_always(own, other):
    assume(own != other)
    of = scope(own, other)
    assert {naming.scope for naming in tenants_named({"tenantId": own}, of) if naming.how == "field"} == {KeyScope.OWN}
    assert KeyScope.FOREIGN in {naming.scope for naming in tenants_named({"x": {"tenant_id": other}}, of)}


@MANY
@given(token=st.text(min_size=1, max_size=6), before=st.text(max_size=4), after=st.text(max_size=4))
def test_a_token_is_found_exactly_where_no_word_character_touches_it(token, before, after):
    text = before + token + after

    def touches(character):
        return character.isalnum() or character in "_-"

    starts = [at for at in range(len(text)) if text.startswith(token, at)]
    whole = [
        at
        for at in starts
        if not (at and touches(text[at - 1])) and not (at + len(token) < len(text) and touches(text[at + len(token)]))
    ]
    assert holds_token(text, token) == bool(whole)
