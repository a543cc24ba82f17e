"""Where an archive has the files of a promotion, for what makes archives and what verifies them. Pure."""

from phase5_ops.gate.attestation.observation import Observation
from phase5_ops.gate.records import Release

#: The file of a promotion that shows that the target took the order.
PUBLICATION_FILE = "publication.dsse.json"


def promotion_folder(release: Release, series: int, override: str) -> str:
    """The folder of a promotion; `override` is the id of the order, "" where the gate was open."""
    return f"releases/{release.name}/{series:06d}/promotion{f'-{override}' if override else ''}"


def publication_of(seen: Observation) -> str:
    """The file of the publication that an observation names."""
    return f"{promotion_folder(seen.release, seen.series, seen.override)}/{PUBLICATION_FILE}"
