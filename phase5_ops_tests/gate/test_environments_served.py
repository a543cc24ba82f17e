"""Two environments of a list under a real `phase5 ui`: each with its platform, its runs, its candidates and its pages."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import pytest
import yaml

from phase5_ops.checklist import ROLES
from phase5_ops.evidence.run_tags import ENVIRONMENT_TAG
from phase5_ops.gate.records import Release
from phase5_ops.gate.state.items import Fate
from phase5_ops.sandbox.process import sandbox_process
from phase5_ops_tests.gate.aws_by_role import aws_by_role
from phase5_ops_tests.gate.serving import Ended, Serving, ended, ui, until

pytestmark = pytest.mark.slow(200)

GOOD, BAD = "healthy-eu", "broken-us"
PLATFORMS = {GOOD: "healthy", BAD: "breaker-open-under-traffic"}
DIGEST = "sha256:" + "a" * 64
NAME = "r-1"
PATIENCE = 240  # seconds; each step takes some ten on an idle machine
FURTHER = {
    "flow": {"tick_seconds": 5, "attempt_minutes": 60},
    "non_production_environments": [*PLATFORMS],
    # its link to the embedded S3 is taken for one in an environment with the sandbox's name alone
    "gate": {"extra_checks_warn_only": ["audit_export_is_whole"]},
}


def role_of(environment: str) -> str:
    return f"arn:aws:iam::123456789012:role/phase5-of-{environment}"


def settings_of(environment: str, exports: Mapping[str, str]) -> dict[str, Any]:
    """The entry of the list that says what a sandbox's variables say."""
    entry: dict[str, Any] = {}
    for name, value in exports.items():
        if name.startswith("PHASE5_") and name != "PHASE5_STATE_DIR":
            *sections, last = name.removeprefix("PHASE5_").lower().split("__")
            place = entry
            for section in sections:
                place = place.setdefault(section, {})
            place[last] = json.loads(value) if value[:1] in ("[", "{") else value
    return {**FURTHER, **entry, "environment": environment, "aws": {"role_arn": role_of(environment)}}


@dataclass
class Together:
    """The running UI, and each environment as its people and its pipeline see it, with credentials of its account.

    `alone`: what a release pipeline's machine knows that has never heard of a list.
    """

    served: Serving
    of: Mapping[str, Serving]
    alone: Mapping[str, str]


@pytest.fixture
def together(tmp_path, monkeypatch) -> Iterator[Together]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PHASE5_", "AWS_", "DAGSTER_"))}
    with ExitStack() as stack:
        exports = {name: stack.enter_context(sandbox_process(scenario)) for name, scenario in PLATFORMS.items()}
        config = tmp_path / "environments.yaml"
        config.write_text(yaml.safe_dump([settings_of(name, given) for name, given in exports.items()]), encoding="utf-8")
        endpoint = stack.enter_context(
            aws_by_role(
                {role_of(name): given["AWS_ENDPOINT_URL"] for name, given in exports.items()},
                {given["PHASE5_USER_POOL_ID"]: given["AWS_ENDPOINT_URL"] for given in exports.values()},
            )
        )
        aws = {name: value for name, value in exports[GOOD].items() if name.startswith("AWS_")}
        home = {"PHASE5_CONFIG": str(config), "PHASE5_STATE_DIR": str(tmp_path / "state")}
        served = stack.enter_context(ui({**clean, **aws, **home, "AWS_ENDPOINT_URL": endpoint}, tmp_path))
        of = {}
        for name, given in exports.items():
            own = {key: value for key, value in given.items() if key.startswith("AWS_")}
            of[name] = replace(served, environment={**clean, **own, **home, "PHASE5_ENVIRONMENT": name}, location=name)
        yield Together(served, of, {**clean, **aws})


def done(ended: Ended) -> Ended:
    assert ended.code == 0, ended
    return ended


LOCATIONS = """{workspaceOrError {... on Workspace {locationEntries {name loadStatus locationOrLoadError {
  ... on RepositoryLocation {repositories {schedules {name scheduleState {status}}
    assetNodes {groupName assetKey {path} dependencyKeys {path}}}}}}}}}"""
CHECKS = """query($asset: AssetKeyInput!) {assetNodeOrError(assetKey: $asset) {... on AssetNode {
  assetChecksOrError {... on AssetChecks {checks {name executionForLatestMaterialization {status runId}}}}
  assetMaterializations {partition runId}}}}"""
RUNS = "{runsOrError {... on Runs {results {runId jobName repositoryOrigin {repositoryLocationName} tags {key value}}}}}"


def loaded(served: Serving) -> dict[str, Any] | None:
    """What each code location of the workspace has, by its name, once all are loaded."""
    try:
        entries = served.graphql(LOCATIONS)["workspaceOrError"]["locationEntries"]
    except OSError:
        return None
    found = {each["name"]: each["locationOrLoadError"]["repositories"][0] for each in entries if each["loadStatus"] == "LOADED"}
    return found if found.keys() == PLATFORMS.keys() else None


def asset(served: Serving, *path: str) -> dict[str, Any]:
    return served.graphql(CHECKS, asset={"path": list(path)})["assetNodeOrError"]


def fate(place: Serving, environment: str) -> Fate | None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", place.environment["AWS_ENDPOINT_URL"])
        found = place.state.candidate(Release(NAME, DIGEST, environment))
    return found.fate if found is not None else None


def test_a_release_of_the_same_name_is_promoted_in_one_environment_and_closed_in_the_other(together, tmp_path):
    served, good, bad = together.served, together.of[GOOD], together.of[BAD]

    # every environment has a location of its own, with its schedule and its lineage, in which nothing is another's
    for name, location in until("the code locations", lambda: loaded(served), PATIENCE).items():
        assert {each["name"]: each["scheduleState"]["status"] for each in location["schedules"]} == {"daily_readiness": "RUNNING"}
        keys = [each["assetKey"]["path"] for each in location["assetNodes"]]
        parents = [parent["path"] for each in location["assetNodes"] for parent in each["dependencyKeys"]]
        assert {path[0] for path in (*keys, *parents)} == {name}
        assert {each["groupName"].partition("__")[0] for each in location["assetNodes"]} == {name.replace("-", "_")}

    # a pipeline that knows its environment's name alone registers there, and nowhere where that is not served
    url = f"http://127.0.0.1:{served.port}"
    for place in together.of.values():
        done(place.phase5("init"))
    pipeline = {**together.alone, "PHASE5_ENVIRONMENT": GOOD}
    done(good.phase5("promote", NAME, "--digest", DIGEST, "--url", url, environment=pipeline))
    done(bad.phase5("promote", NAME, "--digest", DIGEST))
    elsewhere = served.phase5(
        "promote", NAME, "--digest", DIGEST, "--url", url, environment={**pipeline, "PHASE5_ENVIRONMENT": "x"}
    )
    assert (elsewhere.code, f"this Dagster serves {BAD}, {GOOD}, and not x" in elsewhere.err) == (2, True), elsewhere

    # the one waits for signatures, and the other is closed by its own breaker
    until("ready to sign", lambda: fate(good, GOOD) is Fate.READY_TO_SIGN or None, PATIENCE)
    until("blockers", lambda: bad.tick_that_says(NAME, "2.2 FAIL"), PATIENCE)
    people = [
        good.start("sign-off", NAME, "--role", role, "--yes", environment=good.person(name))
        for name, role in zip(("alice", "bob", "carol"), ROLES, strict=True)
    ]
    for person in people:
        done(ended(person))
    until("promoted", lambda: fate(good, GOOD) is Fate.PROMOTED or None, PATIENCE)
    assert fate(bad, BAD) is Fate.PENDING

    # Dagster's records, pages and folders of the two are apart
    runs = served.graphql(RUNS)["runsOrError"]["results"]
    where = {run["runId"]: run["repositoryOrigin"]["repositoryLocationName"] for run in runs}
    tags = {run["runId"]: {tag["key"]: tag["value"] for tag in run["tags"]} for run in runs}
    assert {run_id: tags[run_id].get(ENVIRONMENT_TAG) for run_id in where} == where
    jobs = {name: {run["jobName"] for run in runs if where[run["runId"]] == name} for name in PLATFORMS}
    assert jobs == {GOOD: {"readiness_job", "sign_off_job", "promotion_job"}, BAD: {"readiness_job"}}
    breakers = {name: asset(served, name, "breaker_snapshot") for name in PLATFORMS}
    found = {
        name: {c["name"]: c["executionForLatestMaterialization"] for c in each["assetChecksOrError"]["checks"]}
        for name, each in breakers.items()
    }
    check = "open_breaker_has_operator_action"
    assert {name: each[check]["status"] for name, each in found.items()} == {GOOD: "SUCCEEDED", BAD: "FAILED"}
    assert all(where[each[check]["runId"]] == name for name, each in found.items())
    assert [each["partition"] for each in asset(served, GOOD, "promotion")["assetMaterializations"]] == [NAME]
    assert asset(served, BAD, "promotion")["assetMaterializations"] == []
    for name in PLATFORMS:
        left = {path.name for path in (tmp_path / "state" / "environments" / name / "evidence").iterdir()}
        assert left
        assert {where[run_id] for run_id in left} == {name}
    assert not (tmp_path / "state" / "evidence").exists()

    # and so are the answers of commands
    listed = {name: json.loads(done(place.phase5("releases", "--format", "json")).out) for name, place in together.of.items()}
    assert [len(listed[name]["history"]) for name in (GOOD, BAD)] == [1, 0]
