"""Items of the resilience table and of the tenants' kill switches: rows 2.1 and 2.2."""

from phase5_ops.verdict import Verdict
from phase5_ops_tests.fuzz.source import Source
from phase5_ops_tests.sections.breakers.support import Platform, number, state, tenant

READS = "items of the resilience table and of tenants (`ccnative/breaker_records`, `sections/breakers/evidence`)"
MALFORMED = "`breaker_record_malformed` or another blocking finding of rows 2.1 and 2.2; never PASS"

#: Attributes of a STATE item, with values that the platform never writes.
BROKEN = {
    "state": ({"S": "BROKEN"}, {"N": "1"}, {"S": ""}, {"M": {}}, "CLOSED", None),
    "failure_count": (number(-1), {"N": "NaN"}, {"N": "1.5"}, {"N": "9" * 400}, {"S": "0"}, {"N": 0}, []),
    "window_start_epoch_sec": ({"N": "Infinity"}, {"N": "\u0661x"}, {"BOOL": True}, {"N": "1e400"}, {}),
    "ttl_epoch_sec": ({"S": "soon"}, {"N": "-5"}, {"N": "1", "S": "1"}, 5),
    "half_open_probe_in_flight": ({"S": "true"}, {"N": "1"}, {"BOOL": "yes"}),
}


def fuzz(data: bytes) -> None:
    """Judges a platform of altered items; one item that is surely broken never passes."""
    source = Source(data)
    broken = source.chance(2)
    platform = Platform()
    if not data:
        assert (platform.observable().verdict, platform.operated().verdict) == (Verdict.PASS, Verdict.PASS)
    platform.items = source.changed(platform.items, attributes=True)
    platform.tenants = source.changed([tenant("tenant-a", execution_enabled={"BOOL": True}), tenant("tenant-b")], attributes=True)
    if not isinstance(platform.items, list) or not isinstance(platform.tenants, list):
        return
    if broken:
        name = source.one_of(sorted(BROKEN))
        platform.items.append(state("fax", **{name: source.one_of(BROKEN[name])}))
    observable, operated = platform.observable(), platform.operated()
    assert not broken or Verdict.PASS not in (observable.verdict, operated.verdict) or observable.verdict.blocks, (
        "a broken item passes"
    )
