"""The probes of rows 3.1 and 3.3 are what is tested here, so that every one is sent."""

from collections.abc import Iterator

import pytest

from phase5_ops_tests.sections.replay.probes.few_probes import every_probe


@pytest.fixture(scope="module", autouse=True)
def sent_probes() -> Iterator[None]:
    with every_probe():
        yield
