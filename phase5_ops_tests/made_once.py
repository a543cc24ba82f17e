"""What libraries work out anew for each sandbox, session and run, hundreds of times in a test session, and always the same.

Nothing of what is tested depends on it. What must not live here: anything that a test puts another value into.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from copy import copy
from email._policybase import Compat32
from functools import cache, lru_cache
from inspect import CO_VARKEYWORDS
from typing import Any, TypeVar
from urllib.request import getproxies_environment
from weakref import WeakKeyDictionary

import pytest
import yaml
from alembic.config import Config
from alembic.script import ScriptDirectory
from botocore.client import ClientCreator
from botocore.compat import accepts_kwargs
from botocore.context import get_context
from botocore.endpoint_provider import RuleSet
from botocore.hooks import _MIDDLE, EVENT_ALIASES, EventAliaser, NodeList, _PrefixTrie
from botocore.httpsession import create_urllib3_context
from botocore.loaders import create_loader
from botocore.model import ServiceModel
from botocore.useragent import UserAgentString, sanitize_user_agent_string_component
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from dagster_shared import yaml_utils
from joserfc._rfc7518.rsa_key import RSABinding
from pydantic.fields import FieldInfo
from pydantic_settings.sources.base import PydanticBaseEnvSettingsSource
from pydantic_settings.sources.providers.env import EnvSettingsSource
from sqlalchemy import Connection, Engine, MetaData, create_mock_engine, event
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.pool import Pool
from sqlalchemy.util import LRUCache
from typer.main import get_command

from phase5_ops import build
from phase5_ops.gate.drill.cases import drill
from phase5_ops.orchestration import sqlite_storage
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops.orchestration.wiring import evidence_asset, row_checks
from phase5_ops.probing.covering import covering
from phase5_ops.sections.replay.probes import matrix

T, M = TypeVar("T"), TypeVar("M")


@contextmanager
def made_once() -> Iterator[None]:
    """In this block it is made once for the process."""
    with made_of_aws(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(RSABinding, "import_private_key", _imported_key)  # moto's one key
        patch.setattr("jwt.algorithms.load_pem_private_key", cache(load_pem_private_key))
        patch.setattr(ScriptDirectory, "from_config", _migrations)
        patch.setattr(
            PydanticBaseEnvSettingsSource, "_extract_field_info", _of_field(PydanticBaseEnvSettingsSource._extract_field_info)
        )
        patch.setattr(EnvSettingsSource, "_field_is_complex", _of_field(EnvSettingsSource._field_is_complex))
        patch.setattr("os.fsync", lambda _: None)
        patch.setattr(sqlite_storage, "_set_waiting", lambda _, *, waits: None)
        patch.setattr("phase5_ops.gate.defs.drill_assets.drill", lru_cache(maxsize=4)(drill))  # 865 decisions of the same gate
        patch.setattr(matrix, "covering", cache(covering))  # of dimensions that are constants
        patch.setattr(build, "_only_new_garbage", nullcontext)
        patch.setattr("phase5_ops.build.evidence_asset", _once_for_each(evidence_asset))
        patch.setattr("phase5_ops.build.row_checks", _once_for_each(row_checks))
        patch.setattr(yaml, "load", _load_yaml)
        patch.setattr(yaml, "dump", _dump_yaml)
        patch.setattr("typer.main.get_command", commands := cache(get_command))
        patch.setattr("typer.testing._get_command", commands)
        patch.setattr(MetaData, "create_all", _create_all)
        patch.setattr(SQLiteDialect_pysqlite, "engine_created", _engine_created)
        patch.setattr(SQLiteDialect_pysqlite, "_type_memos", WeakKeyDictionary())
        patch.setattr(SQLiteDialect_pysqlite, "__eq__", _same_dialect)
        patch.setattr(SQLiteDialect_pysqlite, "__hash__", lambda dialect: hash(type(dialect)))
        event.listen(Pool, "connect", _not_awaited)
        try:
            yield
        finally:
            event.remove(Pool, "connect", _not_awaited)


@contextmanager
def made_of_aws() -> Iterator[None]:
    """In this block what clients of AWS work out is, and nothing of what the sandbox, Dagster or a disk does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", cache(create_loader))  # descriptions of AWS, megabytes of JSON
        patch.setattr("botocore.useragent.sanitize_user_agent_string_component", cache(sanitize_user_agent_string_component))
        patch.setattr(EventAliaser, "__init__", _aliaser)
        patch.setattr("botocore.client.ServiceModel", _service_model)
        patch.setattr(ClientCreator, "_create_client_class", _client_class)
        patch.setattr("botocore.hooks.accepts_kwargs", _accepts_kwargs)
        patch.setattr(_PrefixTrie, "__copy__", _shared_handlers)
        patch.setattr(_PrefixTrie, "append_item", _append_handler)
        patch.setattr(_PrefixTrie, "remove_item", _remove_handler)
        patch.setattr("botocore.endpoint_provider.RuleSet", _rules)
        patch.setattr("botocore.httpsession.create_urllib3_context", cache(create_urllib3_context))
        patch.setattr("urllib.request.getproxies_environment", _proxies)
        patch.setattr("botocore.utils.getproxies", _proxies)
        patch.setattr(Compat32, "header_fetch_parse", _header)
        patch.setattr(UserAgentString, "to_string", _user_agent)
        yield


_aliases: dict[str, str] = {}
_new_aliaser = EventAliaser.__init__


def _aliaser(aliaser: EventAliaser, emitter: Any, aliases: dict[str, str] | None = None) -> None:
    """Botocore looks the same thousands of names up for each session and client."""
    _new_aliaser(aliaser, emitter, aliases)
    if aliaser._event_aliases == EVENT_ALIASES:
        aliaser._alias_name_cache = _aliases


_keys: dict[str, Any] = {}
_import_key = RSABinding.import_private_key


def _imported_key(values: dict[str, str]) -> Any:
    if (key := repr(values)) not in _keys:
        _keys[key] = _import_key(values)
    return _keys[key]


_service_models: dict[int, tuple[Any, ServiceModel]] = {}


def _service_model(description: Any, service_name: str | None = None) -> ServiceModel:
    """The shapes of a service, by its description, which is loaded once; each client of it works them out anew."""
    if id(description) not in _service_models:
        _service_models[id(description)] = (description, ServiceModel(description, service_name=service_name))
    return _service_models[id(description)][1]


_classes: dict[int, type] = {}
_create_class = ClientCreator._create_client_class


def _client_class(creator: ClientCreator, service_name: str, service_model: ServiceModel) -> type:
    """The class of a service's clients, with a method for each operation and its documentation."""
    if id(service_model) not in _classes:  # kept by `_service_models`
        _classes[id(service_model)] = _create_class(creator, service_name, service_model)
    return _classes[id(service_model)]


def _accepts_kwargs(handler: Callable[..., Any]) -> bool:
    """Asked of some hundred handlers for each session."""
    code = getattr(handler, "__code__", None)
    return accepts_kwargs(handler) if code is None else bool(code.co_flags & CO_VARKEYWORDS)


_copy_trie, _append_item, _remove_item = _PrefixTrie.__copy__, _PrefixTrie.append_item, _PrefixTrie.remove_item


def _shared_handlers(trie: _PrefixTrie) -> _PrefixTrie:
    """Botocore copies some thousand handlers for each client, which changes a few: both have the same until one is changed."""
    copied = _PrefixTrie()
    copied._root = trie._root
    copied._is_shared = trie._is_shared = True
    return copied


def _append_handler(trie: _PrefixTrie, key: str, value: object, section: int = _MIDDLE) -> None:
    """Copies the nodes on the way to what is changed, and no other."""
    if not getattr(trie, "_is_shared", False):
        _append_item(trie, key, value, section)
        return
    node = trie._root = {**trie._root, "children": {**trie._root["children"]}}
    for part in key.split("."):
        children = node["children"]
        node = children.get(part, {"chunk": part, "values": None, "children": {}})
        node = children[part] = {**node, "children": {**node["children"]}}
    node["values"] = copy(node["values"] or NodeList([], [], []))
    node["values"][section].append(value)


def _remove_handler(trie: _PrefixTrie, key: str, value: object) -> None:
    if getattr(trie, "_is_shared", False):
        trie._root, trie._is_shared = _copy_trie(trie)._root, False
    _remove_item(trie, key, value)


_rule_sets: dict[tuple[int, ...], tuple[dict[str, Any], RuleSet]] = {}


def _rules(**described: Any) -> RuleSet:
    """By which a service's endpoint is chosen, by their description, which is loaded once; each client of it parses them anew."""
    key = tuple(map(id, described.values()))
    if key not in _rule_sets:
        _rule_sets[key] = (described, RuleSet(**described))  # kept with it, so that the ids stay its own
    return _rule_sets[key][1]


_read_proxies = getproxies_environment


def _proxies() -> dict[str, str]:
    """The proxies that the environment names, which has none but in tests of them; each client decodes all of it four times."""
    names = list(os.environ._data)  # type: ignore[attr-defined]  # as the system has them
    return _read_proxies() if any(name[-6:].lower() == b"_proxy" for name in names) else {}


_fetch_header = Compat32.header_fetch_parse


def _header(policy: Compat32, name: str, value: Any) -> Any:
    """A header's value, which is looked through for odd bytes each time that it is read."""
    return value if isinstance(value, str) and value.isascii() else _fetch_header(policy, name, value)


_write_user_agent = UserAgentString.to_string


def _user_agent(agent: UserAgentString) -> str:
    """What a client calls itself, which changes with the features that a call uses."""
    context, config = get_context(), agent._client_config
    features = frozenset(context.features) if context else frozenset()
    owner, texts = agent.__dict__.get("_texts", (None, {}))
    if owner is not agent:  # clients' are copies of the session's
        agent.__dict__["_texts"] = (agent, texts := {})
    key = (features, agent._session_user_agent_extra, config and config.user_agent_extra)
    if key not in texts:
        texts[key] = _write_user_agent(agent)
    return texts[key]


def _once_for_each(make: Callable[[T, DagsterNames], M]) -> Callable[[T, DagsterNames], M]:
    """What Dagster makes of a declaration: it looks into each function, and of settings and run only the names matter."""
    made: dict[tuple[int, DagsterNames], tuple[T, M]] = {}

    def kept(declared: T, names: DagsterNames) -> M:
        key = (id(declared), names)
        if key not in made:
            made[key] = (declared, make(declared, names))  # kept with it, so that the id stays its own
        return made[key][1]

    return kept


def _of_field(work_out: Callable[..., T]) -> Callable[..., T]:
    """What the declaration of a setting says, which is asked for each setting and variable whenever settings are loaded."""
    made: dict[tuple[Any, ...], tuple[Any, T]] = {}

    def kept(source: EnvSettingsSource, field: FieldInfo, *further: Any) -> T:
        key = (type(source), source.settings_cls, id(field), *map(id, further))
        if key not in made:
            made[key] = ((field, further), work_out(source, field, *further))  # kept with them, so that the ids stay their own
        return made[key][1]

    return kept


_scripts: dict[tuple[Any, ...], ScriptDirectory] = {}
_from_config = ScriptDirectory.from_config


def _migrations(config: Config) -> ScriptDirectory:
    """Dagster's migrations, seventy files, of which it asks the newest for each database in memory."""
    key = (config.config_file_name, config.get_main_option("script_location"))
    if key not in _scripts:
        _scripts[key] = _from_config(config)
    return _scripts[key]


#: Dagster's loaders of YAML, and each on libyaml's parser, which is ten times as fast.
_COMPILED = {
    loader: type(loader.__name__, (yaml.CSafeLoader,), {"yaml_implicit_resolvers": loader.yaml_implicit_resolvers})
    for loader in vars(yaml_utils).values()
    if isinstance(loader, type) and issubclass(loader, yaml.SafeLoader)
}
_read_yaml, _write_yaml = yaml.load, yaml.dump


def _load_yaml(stream: Any, Loader: type[Any]) -> Any:
    """Dagster reads its configuration for each instance; what is no YAML its own loader refuses, in its own words."""
    if Loader not in _COMPILED:
        return _read_yaml(stream, Loader)
    text = stream if isinstance(stream, str | bytes) else stream.read()
    try:
        return _read_yaml(text, _COMPILED[Loader])
    except yaml.YAMLError:
        return _read_yaml(text, Loader)


def _dump_yaml(data: Any, stream: Any = None, Dumper: type[Any] = yaml.Dumper, **options: Any) -> Any:
    """Dagster writes the configuration of each part of an instance, and reads it again."""
    return _write_yaml(data, stream, yaml.CDumper if Dumper is yaml.Dumper else Dumper, **options)


_ddl: dict[MetaData, list[str]] = {}
_create_tables = MetaData.create_all


def _create_all(metadata: MetaData, bind: Engine | Connection, **options: Any) -> None:
    """Dagster's tables in a new database, which it has compiled for each, and looks for one by one."""
    with bind.begin() if isinstance(bind, Engine) else nullcontext(bind) as connection:
        new = connection.dialect.name == "sqlite" and not options
        if not new or connection.exec_driver_sql("SELECT 1 FROM sqlite_master").first():
            _create_tables(metadata, connection, **options)
            return
        if metadata not in _ddl:
            said: list[str] = []
            mock = create_mock_engine("sqlite://", lambda ddl, *_: said.append(str(ddl.compile(dialect=connection.dialect))))
            _create_tables(metadata, mock, checkfirst=False)
            _ddl[metadata] = said
        for statement in _ddl[metadata]:
            connection.exec_driver_sql(statement)


_statements = LRUCache(2000)


def _engine_created(engine: Engine) -> None:
    """The statements that Dagster compiles are the same for each database: a run has one, an instance three."""
    engine._compiled_cache = _statements


def _same_dialect(dialect: SQLiteDialect_pysqlite, other: object) -> bool:
    """Statements are kept by the dialect that they were compiled for."""
    return type(dialect) is type(other) and dialect.paramstyle == other.paramstyle


#: The test session has seen to it that only new garbage is collected; to count what it left to itself, a run took 0.1 s.
only_new_garbage = build._only_new_garbage
set_waiting = sqlite_storage._set_waiting


def _not_awaited(connection: Any, _: Any) -> None:
    """No power cut threatens what a test stores: SQLite waits for no disk."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")
