"""docs/deployment.md is followed step by step, as far as that goes without AWS: on the sandbox, with what the template makes."""

import json
import os
import re
import shlex
from collections.abc import Callable

import pytest
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket

from phase5_ops.cli import app as cli
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.settings import load_settings
from phase5_ops_tests.deploy.template import GIVEN, RESOURCES, TEMPLATE, apply
from phase5_ops_tests.places import ROOT

GUIDE = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
SETTINGS = (ROOT / "deploy" / "phase5.env").read_text(encoding="utf-8")
BUCKET_AND_TABLE = 'doctor --part "state table" --part "evidence bucket"'


def lines_of(file: str) -> dict[str, str]:
    """The settings of an environment file, as ECS and a shell read it."""
    found = {}
    for line in file.splitlines():
        if line and not line.startswith("#"):
            assert re.fullmatch(r"[A-Z0-9_]+=[^\s'\"$]+", line), line
            name, _, value = line.partition("=")
            found[name] = value
    return found


def overrides() -> list[dict]:
    """What the guide has tasks do, in its order."""
    return [json.loads(each) for each in re.findall(r"--overrides '(\{.*\})'", GUIDE)]


def test_the_settings_of_the_guide_are_valid_once_each_place_is_filled_in(monkeypatch):
    for name, value in lines_of(SETTINGS).items():
        monkeypatch.setenv(name, re.sub(r"<[\w-]+>", "example", value))
    settings = load_settings()
    assert settings.sends_canaries
    assert settings.evidence_s3_uri == "s3://example/evidence"
    parameters = TEMPLATE["Parameters"]
    assert settings.canary_tenants == {parameters["TenantA"]["Default"], parameters["TenantB"]["Default"]}
    assert settings.environment == parameters["Environment"]["Default"]


def test_a_place_that_was_left_is_refused(monkeypatch):
    for name, value in lines_of(SETTINGS).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Exception, match="PHASE5_EVIDENCE_S3_URI"):
        load_settings()


def test_the_stack_is_made_with_every_parameter_that_it_needs():
    (command,) = re.findall(r"^    (aws cloudformation deploy (?:[^\n]*\\\n)*[^\n]*)$", GUIDE, re.MULTILINE)
    words = shlex.split(command.replace("\\\n", " "))
    given = {word.partition("=")[0] for word in words[words.index("--parameter-overrides") + 1 :]}
    needed = {name for name, each in TEMPLATE["Parameters"].items() if "Default" not in each}
    assert given == needed
    assert words[words.index("--template-file") + 1] == "deploy/template.yaml"
    assert words[words.index("--capabilities") + 1] == "CAPABILITY_IAM"  # enough, as nothing of IAM has a name of its own:
    assert not [name for name, each in RESOURCES.items() if {"RoleName", "ManagedPolicyName"} & each.get("Properties", {}).keys()]
    (copied,) = re.findall(r"^    aws s3 cp (\S+) s3://(\S+)$", GUIDE, re.MULTILINE)
    (settings,) = [word for word in words if word.startswith("SettingsFileArn=")]
    assert settings == f"SettingsFileArn=arn:aws:s3:::{copied[1]}"


def test_every_alarm_and_file_is_explained():
    alarms = {name for name, each in RESOURCES.items() if each["Type"] == "AWS::CloudWatch::Alarm"}
    assert alarms == set(re.findall(r"^\| `(\w+)` \|", GUIDE, re.MULTILINE))
    for name in re.findall(r"\]\(\.\./(deploy/[\w.]+)\)", GUIDE):
        assert (ROOT / name).is_file()


@pytest.mark.slow
def test_the_guide_is_followed_to_the_first_readiness_run(start: Callable[[str], Sandbox], monkeypatch, capsys, tmp_path):
    sandbox = start("healthy")
    (tmp_path / "state").mkdir()  # the volume of the tasks
    aws = sandbox.session()
    aws.client("dynamodb").delete_table(TableName="phase5-readiness")
    kms = aws.client("kms")
    for alias in kms.list_aliases()["Aliases"]:
        if alias["AliasName"].startswith("alias/phase5-"):
            kms.delete_alias(AliasName=alias["AliasName"])
    # moto weighs no condition of a bucket policy, and would refuse everything by the one that denies requests without TLS
    monkeypatch.setattr(FakeBucket, "get_permission", lambda *_: PermissionResult.NEUTRAL)
    monkeypatch.setenv("PHASE5_EVIDENCE_S3_URI", f"s3://{GIVEN['EvidenceBucketName']}/evidence")
    missing = lines_of(SETTINGS).keys() - os.environ.keys()
    assert missing <= {"PHASE5_DAGSTER_URL", "PHASE5_PROBE_USERS__A__SECRET_ID", "PHASE5_PROBE_USERS__B__SECRET_ID"}

    def phase5(command: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["phase5", *shlex.split(command)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code, capsys.readouterr().out

    code, said = phase5("doctor --part runbook")  # step 2
    assert code == 0
    assert re.match(r"settings +ok ", said)
    assert "can be read" in said
    code, said = phase5('doctor --part "probe users"')  # step 3
    assert code == 0
    assert "user name and password of a, b" in said
    code, said = phase5(BUCKET_AND_TABLE)  # before step 5
    assert code == 1
    assert "table phase5-readiness is not there" in said
    assert "bucket phase5-evidence is not there" in said
    apply(aws)  # step 5
    assert phase5(BUCKET_AND_TABLE)[0] == 0

    init, check = (each["containerOverrides"][0]["command"] for each in overrides())
    assert init[0] == check[0] == "phase5"
    code, said = phase5(shlex.join(init[1:]))  # step 6
    assert code == 0
    assert said.count(" is new\n") == 4
    assert "keys.json" in said

    code, _ = phase5(shlex.join([*check[1:], "--row", "1.2"]))  # step 7, one row of it
    assert code == 0
    (run,) = (path.name for path in (tmp_path / "state" / "evidence").iterdir() if path.is_dir())
    kept = aws.client("s3").list_objects_v2(Bucket=GIVEN["EvidenceBucketName"], Prefix=f"evidence/{run}/")["Contents"]
    assert f"evidence/{run}/manifest.json" in {each["Key"] for each in kept}

    code, said = phase5("doctor --format json")
    assert code == 1
    wrong = {each["part"] for each in json.loads(said)["checks"] if each["outcome"] in ("problem", "unknown")}
    # of the stack these are the daemon, which does not run here, and what a sandbox does not have: permissions
    assert wrong == {"Dagster", "gate", "permissions"}
