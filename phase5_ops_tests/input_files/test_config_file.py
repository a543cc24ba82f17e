"""The file of settings: one environment, or a list of several that nothing confuses."""

import pytest
import yaml

from phase5_ops.input_files.config_file import ConfigFile, NoConfig, config_file


def listed(*entries: object) -> ConfigFile:
    return config_file(yaml.safe_dump(list(entries)))


def test_a_single_mapping_is_the_settings_whatever_environment_is_asked_for():
    file = config_file("environment: staging\nprobe_mode: off\n")
    assert file.environments is None
    assert file.entry(None) == file.entry("production") == {"environment": "staging", "probe_mode": False}


def test_an_empty_file_gives_no_settings():
    assert config_file("# nothing yet\n") == ConfigFile()


def test_of_a_list_each_environment_has_its_own_entry_in_the_order_of_the_file():
    file = listed({"environment": "eu", "runbook": "a"}, {"environment": "us", "runbook": "b"})
    assert file.environments == ("eu", "us")
    assert (file.entry("eu")["runbook"], file.entry("us")["runbook"]) == ("a", "b")


def test_entries_may_share_settings_by_an_anchor():
    file = config_file("- &all {environment: eu, runbook: a, tools: [{name: x}]}\n- {<<: *all, environment: us}\n")
    assert file.entry("us") == {"environment": "us", "runbook": "a", "tools": [{"name": "x"}]}


@pytest.mark.parametrize(
    ("asked", "said"), [(None, "none is chosen"), ("us-2", "no us-2 among them"), ("EU", "no EU among them")]
)
def test_of_a_list_nothing_is_taken_that_was_not_named_and_the_names_are_said(asked, said):
    with pytest.raises(NoConfig, match=f"{said}.*: set PHASE5_ENVIRONMENT to one of eu, us$"):
        listed({"environment": "eu"}, {"environment": "us"}).entry(asked)


ODD_NAMES = [None, "", 7, "a/b", "..", "-eu", "_eu", ".eu", "x" * 65, "eu west", "é", "defs", ["eu"], True]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_an_entry_without_a_usable_name_of_its_own_is_refused_by_its_number(name):
    with pytest.raises(NoConfig, match="entry 2 of the list needs a name of its own as environment"):
        listed({"environment": "eu"}, {"environment": name})


@pytest.mark.parametrize(
    ("name", "said"), [("eu-1", "stands twice"), ("eu_1", "too much like eu-1"), ("EU.1", "too much like eu-1")]
)
def test_two_environments_are_not_named_alike(name, said):
    with pytest.raises(NoConfig, match=said):
        listed({"environment": "eu-1"}, {"environment": "us"}, {"environment": name})


@pytest.mark.parametrize("content", ["[]", "- a\n- b\n", "- {environment: eu}\n- 3\n", "- {environment: eu, 1: 2}\n", "a", "3"])
def test_what_is_neither_settings_nor_a_list_of_them_is_refused(content):
    with pytest.raises(NoConfig):
        config_file(content)


@pytest.mark.parametrize(
    ("setting", "first", "second"),
    [
        ("evidence_s3_uri", "s3://kept/evidence", "s3://kept/evidence/"),
        ("engine", {"partials": "s3://kept/partials"}, {"partials": "s3://kept/partials"}),
    ],
)
def test_two_environments_do_not_keep_what_they_find_in_one_place(setting, first, second):
    with pytest.raises(NoConfig, match=r"of us is that of eu: give each environment a place of its own"):
        listed({"environment": "eu", setting: first}, {"environment": "us", setting: second})
    with_own = ({"environment": "eu", setting: first}, {"environment": "us"})
    assert listed(*with_own).environments == ("eu", "us")


@pytest.mark.parametrize("other", [{}, {"state_dir": "/b"}])
def test_all_have_the_folder_of_one_dagster_instance(other):
    with pytest.raises(NoConfig, match="state_dir must be the same in every entry"):
        listed({"environment": "eu", "state_dir": "/a"}, {"environment": "us", **other})
    assert listed({"environment": "eu", "state_dir": "/a"}, {"environment": "us", "state_dir": "/a"}).environments == ("eu", "us")
