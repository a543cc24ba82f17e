"""Items of the tenants table become kill switches."""

from phase5_ops.ccnative.tenants import KillSwitch, parse_kill_switches

REAL = {
    "tenantId": {"S": "tenant-c"},
    "name": {"S": "Charlie Ltd"},
    "status": {"S": "active"},
    "config": {"M": {"name": {"S": "Charlie Ltd"}}},
    "metadata": {"M": {}},
    "execution_enabled": {"BOOL": False},
    "disabled_action_types": {"L": [{"S": "CREATE_CRM_TASK"}]},
}


def test_the_platforms_own_item_is_read():
    switches = parse_kill_switches([REAL], "tenants")
    assert switches.tenants == (KillSwitch("tenant-c", "active", False, frozenset({"CREATE_CRM_TASK"})),)


def test_absent_switches_mean_enabled_and_nothing_disabled():
    (tenant,) = parse_kill_switches([{"tenantId": {"S": "a"}}], "tenants").tenants
    assert (tenant.status, tenant.execution_enabled, tenant.disabled_action_types) == ("", True, frozenset())
    assert not tenant.stops({"X"})
    assert not tenant.stops(set())


def test_every_action_type_must_be_listed_to_stop_a_connector():
    tenant = KillSwitch("a", "active", True, frozenset({"X", "Y"}))
    assert tenant.stops({"X"})
    assert tenant.stops({"X", "Y"})
    assert not tenant.stops({"X", "Z"})
    assert not tenant.stops(set())
    assert KillSwitch("a", "active", False, frozenset()).stops(set())


def test_inactive_tenants_are_told_by_their_status_without_case():
    items = [
        {"tenantId": {"S": name}, "status": {"S": status}} for name, status in (("b", "Deleted"), ("a", "active"), ("c", ""))
    ]
    switches = parse_kill_switches(items, "tenants")
    assert [tenant.tenant for tenant in switches.active(["deleted"])] == ["a", "c"]


def test_what_cannot_be_read_is_named():
    switches = parse_kill_switches([{**REAL, "execution_enabled": {"S": "no"}}, {"name": {"S": "x"}}, None], "tenants")
    assert [(record.key, record.attribute) for record in switches.malformed] == [
        ("tenant-c", "execution_enabled"),
        ("None", "tenantId"),
        ("None", "item"),
    ]
