"""One validated Settings object: environment, AWS names, policy. Read once, before anything else is.

Precedence: command line, environment (`PHASE5_*`, nested with `__`), the YAML file named by PHASE5_CONFIG, defaults. An unknown
name or a bad value is a `ConfigurationError` that names it and the remedy; the command line turns it into exit code 3.
Standard AWS variables (AWS_REGION, AWS_ENDPOINT_URL, AWS_PROFILE, ...) are boto3's own and are not repeated here.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import (
    AnyHttpUrl,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from phase5_ops.clock import Clock
from phase5_ops.files import sha256_of
from phase5_ops.input_files.config_file import ConfigFile, NoConfig, config_file
from phase5_ops.input_files.unreadable import why_unreadable
from phase5_ops.input_files.written_twice import WrittenTwice, distinct_json
from phase5_ops.policy import (
    DEFAULT_ENVIRONMENT,
    AlarmPolicy,
    AlarmReplayPolicy,
    BreakerPolicy,
    BudgetPolicy,
    ChangePolicy,
    CostPolicy,
    DeployedPolicy,
    EnginePolicy,
    ExecutionPolicy,
    ExportPolicy,
    FlowPolicy,
    GatePolicy,
    IsolationPolicy,
    JudgesNothing,
    Less,
    LogScanPolicy,
    More,
    Name,
    Neither,
    NotificationPolicy,
    OverridePolicy,
    ProbePolicy,
    PromotionPolicy,
    ReplayPolicy,
    RetentionPolicy,
    RunbookPolicy,
    SigningPolicy,
    SloPolicy,
    Stricter,
    ToolSetting,
)
from phase5_ops.text import did_you_mean, printable, refusal

SANDBOX_ENVIRONMENT = "sandbox"
_ENDPOINT = "AWS_ENDPOINT_URL"

ENV_PREFIX = "PHASE5_"
CONFIG_VARIABLE = "PHASE5_CONFIG"
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})

#: What may be set by variable where several environments are served together: it is the same for all of them.
_OF_AN_INSTANCE = frozenset({CONFIG_VARIABLE, *(f"{ENV_PREFIX}{name}" for name in ("STATE_DIR", "DAGSTER_URL", "NOW"))})

#: Settings that change no verdict: where and when, and how the gate carries out what it decided.
_NO_VERDICT = frozenset(
    {
        "now",
        "state_dir",
        "dagster_url",
        "schedule",
        "flow",
        "overrides",
        "notifications",
        "retention",
        "engine",
        "evidence_s3_uri",
        "refresh_costs",
        "aws",
    }
)


class ConfigurationError(Exception):
    """A setting is unknown or invalid; the message names it and the remedy."""


class SettingsSection(BaseModel):
    """Base of nested settings: immutable, and no unknown field is accepted."""

    model_config = ConfigDict(frozen=True, extra="forbid")


EnvironmentName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
TableName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:/-]{3,1024}$"), Stricter.NEITHER]


class Tables(SettingsSection):
    """DynamoDB table names; the defaults are the platform's literals."""

    ledger: TableName = "cc-native-ledger"
    resilience: TableName = "cc-native-resilience"
    action_intent: TableName = "cc-native-action-intent"
    execution_attempts: TableName = "cc-native-execution-attempts"
    execution_outcomes: TableName = "cc-native-execution-outcomes"
    action_type_registry: TableName = "cc-native-action-type-registry"
    external_write_dedupe: TableName = "cc-native-external-write-dedupe"
    autonomy_config: TableName = "cc-native-autonomy-config"
    autonomy_budget_state: TableName = "cc-native-autonomy-budget-state"
    decision_budget: TableName = "cc-native-decision-budget"
    tenants: TableName = "cc-native-tenants"
    audit_export: TableName = "cc-native-audit-export"
    signals: TableName = "cc-native-signals"
    accounts: TableName = "cc-native-accounts"
    account_posture_state: TableName = "cc-native-account-posture-state"
    connector_config: TableName = "cc-native-connector-config"
    decision_proposal: TableName = "cc-native-decision-proposal"
    internal_notes: TableName = "cc-native-internal-notes"
    internal_tasks: TableName = "cc-native-internal-tasks"
    readiness: TableName = Field("phase5-readiness", description="state of phase5 itself; `phase5 init` creates it")


class PoolUser(SettingsSection):
    """A user of the user pool that probes sign in as."""

    username: JudgesNothing[str | None] = None
    password: JudgesNothing[SecretStr | None] = Field(None, description="its password")
    client_secret: JudgesNothing[SecretStr | None] = Field(None, description="secret of the user pool client, where it has one")
    secret_id: JudgesNothing[str | None] = Field(
        None,
        description="Secrets Manager id of {username, password}; client_secret, other_client_secret where the clients have one",
    )


class ProbeUser(PoolUser):
    """A user of a dedicated test tenant; its executions never count as the platform's own traffic."""

    tenant_id: JudgesNothing[str | None] = None


class ProbeUsers(SettingsSection):
    """The users of the two dedicated test tenants, and further users of the pool whose tokens must not get in.

    A probe that needs a user that is not named is not tried.
    """

    a: ProbeUser = Field(ProbeUser(), description="user of test tenant A")
    b: ProbeUser = Field(ProbeUser(), description="user of test tenant B")
    unscoped: PoolUser = Field(PoolUser(), description="user of test tenant A without custom:account_ids")
    unclaimed: PoolUser = Field(PoolUser(), description="user without custom:tenant_id")
    claim_empty: PoolUser = Field(PoolUser(), description="user whose custom:tenant_id is set to nothing")
    claim_blanks: PoolUser = Field(PoolUser(), description="user whose custom:tenant_id is test tenant A's id between blanks")
    claim_case: PoolUser = Field(PoolUser(), description="user whose custom:tenant_id is test tenant A's id in another case")
    claim_list: PoolUser = Field(PoolUser(), description="user whose custom:tenant_id is a JSON list of both test tenants' ids")

    @model_validator(mode="after")
    def _tenants_differ(self) -> Self:
        if self.a.tenant_id is not None and self.a.tenant_id == self.b.tenant_id:
            raise ValueError("the users a and b must be of two different test tenants")
        return self


class ReadingSettings(SettingsSection):
    """Bounds of reading AWS; what does not end in time is an ERROR of its rows, never a hang."""

    connect_timeout_seconds: JudgesNothing[float] = Field(5, gt=0, le=60, description="longest wait for a connection")
    read_timeout_seconds: JudgesNothing[float] = Field(20, gt=0, le=300, description="longest wait for an answer of one try")
    max_attempts: JudgesNothing[int] = Field(4, ge=1, le=10, description="tries a call, with botocore's standard backoff")
    deadline_seconds: JudgesNothing[float] = Field(120, gt=0, le=3600, description="all reading of one run together")


class AwsAccess(SettingsSection):
    """Which account and region of AWS an environment is in, and the role that reads it."""

    region: JudgesNothing[str | None] = Field(
        None, pattern=r"^[a-z]{2,}(-[a-z]+)+-[0-9]+$", description="region of the platform; default: AWS_REGION, or the profile's"
    )
    role_arn: JudgesNothing[str | None] = Field(
        None,
        pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$",
        max_length=2048,
        description="role that readiness runs, sensors and promotions assume for every call; people and pipelines keep their own",
    )
    external_id: JudgesNothing[str | None] = Field(
        None,
        pattern=r"^[A-Za-z0-9_+=,.@:/-]+$",
        min_length=2,
        max_length=1224,
        description="external id that the role's trust policy asks for",
    )
    session_name: JudgesNothing[str] = Field(
        "phase5", pattern=r"^[A-Za-z0-9_+=,.@-]{2,64}$", description="name of the role's sessions, as CloudTrail shows it"
    )

    @model_validator(mode="after")
    def _of_a_role(self) -> Self:
        if self.external_id is not None and self.role_arn is None:
            raise ValueError("external_id goes with role_arn")
        return self


class Schedule(SettingsSection):
    """When the daily readiness run starts."""

    hour: JudgesNothing[int] = Field(6, ge=0, le=23, description="hour at which the daily run starts")
    minute: JudgesNothing[int] = Field(0, ge=0, le=59, description="minute at which the daily run starts")
    timezone: JudgesNothing[str] = Field("UTC", description="time zone of the daily run")

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"unknown time zone {value!r}; use a name such as Europe/Berlin")
        return ZoneInfo(value).key


class Settings(BaseSettings):
    """Everything that can be set. See `docs/settings.md` for the table of names, defaults and meanings."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, nested_model_default_partial_update=True
    )

    environment: JudgesNothing[EnvironmentName] = Field(DEFAULT_ENVIRONMENT, description="name of what is judged")
    non_production_environments: Less[tuple[EnvironmentName, ...]] = Field(
        (),
        description="environments that are not production: reads that could not be judged do not keep their row 4.1 closed; every"
        " other but the sandbox is production, whatever its name",
    )
    state_dir: JudgesNothing[Path] = Field(Path(".phase5"), description="where evidence, history and Dagster's storage live")
    now: JudgesNothing[datetime | None] = Field(None, description="fixes evaluation time (ISO-8601 with zone)")
    evidence_s3_uri: JudgesNothing[str | None] = Field(
        None, pattern=r"^s3://[a-z0-9.-]{3,63}(/.*)?$", description="also copy each run's evidence to this s3:// location"
    )
    dagster_url: JudgesNothing[AnyHttpUrl | None] = Field(
        None, description="address of the Dagster webserver: for links to runs, and for registering candidates over HTTP"
    )
    control_center_url: JudgesNothing[AnyHttpUrl | None] = Field(None, description="address of the Control Center")
    decision_api_url: JudgesNothing[AnyHttpUrl | None] = Field(
        None, description="address of the decision API; default: the Control Center's, and WARN where it is not there"
    )
    decision_api_key: JudgesNothing[SecretStr | None] = Field(None, description="API key of the decision API, sent as x-api-key")
    user_pool_id: JudgesNothing[str | None] = Field(None, description="Cognito user pool of the platform's users")
    user_pool_client_id: JudgesNothing[str | None] = Field(None, description="app client of that pool")
    probe_mode: Neither[Literal["full", "refusals", "off"]] = Field(
        "full", description="which probes may be sent: full, refusals, off"
    )
    probe_users: ProbeUsers = ProbeUsers()
    tables: Tables = Tables()
    metrics_namespace: Neither[str] = Field(
        "CCNative/Execution", min_length=1, max_length=255, description="namespace of the platform's tool metrics"
    )
    event_bus: Neither[str] = Field("cc-native-events", min_length=1, description="event bus of the platform")
    runbook: JudgesNothing[str] = Field(
        "docs/runbooks/phase_5_7_reliability.md", min_length=1, description="path, http(s) URL or s3:// location"
    )
    runbook_url: JudgesNothing[str | None] = Field(
        None, description="address people open; default: the runbook setting itself if it is a URL"
    )
    tools: Neither[tuple[ToolSetting, ...]] = Field(
        (), description="tools that must be there beside the registry's, or whose traffic is rare"
    )
    connectors: More[tuple[Name, ...]] = Field((), description="connectors that must be there beside those of the tools")
    slo: SloPolicy = SloPolicy()
    alarms: AlarmPolicy = AlarmPolicy()
    alarm_replay: AlarmReplayPolicy = AlarmReplayPolicy()
    runbook_policy: RunbookPolicy = RunbookPolicy()
    breakers: BreakerPolicy = BreakerPolicy()
    probes: ProbePolicy = ProbePolicy()
    replay: ReplayPolicy = ReplayPolicy()
    isolation: IsolationPolicy = IsolationPolicy()
    logs: LogScanPolicy = LogScanPolicy()
    budget: BudgetPolicy = BudgetPolicy()
    changes: ChangePolicy = ChangePolicy()
    exports: ExportPolicy = ExportPolicy()
    costs: CostPolicy = CostPolicy()
    executions: ExecutionPolicy = ExecutionPolicy()
    gate: GatePolicy = GatePolicy()
    flow: FlowPolicy = FlowPolicy()
    signing: SigningPolicy = SigningPolicy()
    deployed: DeployedPolicy = DeployedPolicy()
    promotion: PromotionPolicy = PromotionPolicy()
    overrides: OverridePolicy = OverridePolicy()
    notifications: NotificationPolicy = NotificationPolicy()
    retention: RetentionPolicy = RetentionPolicy()
    engine: EnginePolicy = EnginePolicy()
    reading: ReadingSettings = ReadingSettings()
    aws: AwsAccess = AwsAccess()
    schedule: Schedule = Schedule()

    #: No field, since it is not to be set: `load_settings` sees it.
    _listed: bool = PrivateAttr(default=False)

    @model_validator(mode="after")
    def _hours_are_whole(self) -> Self:
        if self.engine.log_scan == "dagster" and self.logs.sample_share < 1:
            raise ValueError("logs.sample_share must be 1 where engine.log_scan is dagster: hours are scanned whole")
        return self

    @field_validator("control_center_url", "decision_api_url")
    @classmethod
    def _tokens_stay_secret(cls, value: AnyHttpUrl | None) -> AnyHttpUrl | None:
        """Tokens of the probe users go there, so the connection must be encrypted unless it stays on this machine."""
        if value is not None and value.scheme != "https" and value.host not in LOOPBACK_HOSTS:
            raise ValueError("needs https:// (http:// is taken for a loopback address only)")
        return value

    @field_validator("dagster_url", "control_center_url", "decision_api_url")
    @classmethod
    def _only_an_address(cls, value: AnyHttpUrl | None) -> AnyHttpUrl | None:
        """Addresses appear in what people sign and in reports, so nothing secret may be in them."""
        if value is not None and (value.username or value.password or value.query or value.fragment):
            raise ValueError("must not contain a user, a query or a fragment")
        return value

    refresh_costs: JudgesNothing[bool] = Field(False, description="ask Cost Explorer again although today's answer is kept")

    @field_validator("now", mode="before")
    @classmethod
    def _not_a_number(cls, value: object) -> object:
        if isinstance(value, str) and not value.strip():
            return None
        if isinstance(value, (int, float)) or (isinstance(value, str) and value.strip().lstrip("+-").replace(".", "").isdigit()):
            raise ValueError("needs an ISO-8601 timestamp with a time zone, e.g. 2026-11-23T09:16:41Z")
        return value

    @field_validator("now")
    @classmethod
    def _zone_given(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("needs a time zone, e.g. 2026-11-23T09:16:41Z")
        return value.astimezone(UTC) if value is not None else None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line and environment; the file comes in as the lowest source, see `load_settings`."""
        return init_settings, _EnvironmentSource(settings_cls), _FileSource(settings_cls)

    @property
    def clock(self) -> Clock:
        """The evaluation clock of these settings."""
        return Clock(self.now)

    @property
    def with_own_credentials(self) -> Self:
        """The same, for whoever acts as themselves: nothing is done in the role of the runs."""
        own = self.aws.model_copy(update={"role_arn": None, "external_id": None})
        return self.model_copy(update={"aws": own})

    @property
    def shares_instance(self) -> bool:
        """Whether the environment is one of a list in PHASE5_CONFIG, and so has others beside it in its Dagster instance."""
        return self._listed

    @property
    def own_folder(self) -> Path:
        """Where evidence, histories, pinned keys and what is kept between runs are: the state folder, or its part of it.

        The state folder itself is the home of the Dagster instance, which environments of a list have together.
        """
        return self.state_dir / "environments" / self.environment if self.shares_instance else self.state_dir

    @property
    def probes_partition(self) -> str:
        """The partition key under which probes note their lease and what they must put back, in phase5's own state table.

        Environments of a list may have one table together, and do not wait for the probes of another's platform.
        """
        return f"PROBES#{self.environment}" if self.shares_instance else "PROBES"

    @property
    def partials_folder(self) -> Path:
        """The folder for partial results of scans on this machine."""
        return self.own_folder / "partials"

    @property
    def partials_location(self) -> str:
        """Where partial results of scans are kept: a folder or an s3:// prefix."""
        return self.engine.partials or str(self.partials_folder)

    @property
    def runbook_address(self) -> str | None:
        """Where people open the runbook, if that is an http(s) address."""
        address = self.runbook_url or self.runbook
        return address.split("#", 1)[0] if address.startswith(("https://", "http://")) else None

    def run_address(self, run_id: str) -> str | None:
        """Where people find a run: its page of the Dagster webserver, else the copy of its evidence; None if neither is set."""
        if self.dagster_url is not None:
            return f"{str(self.dagster_url).rstrip('/')}/runs/{run_id}"
        return f"{self.evidence_s3_uri.rstrip('/')}/{run_id}/" if self.evidence_s3_uri else None

    @property
    def canary_tenants(self) -> frozenset[str]:
        """The dedicated test tenants."""
        users = (self.probe_users.a, self.probe_users.b)
        return frozenset(user.tenant_id for user in users if user.tenant_id)

    @property
    def sends_canaries(self) -> bool:
        """Whether runs have test executions of their own on the platform."""
        return self.probe_mode == "full" and len(self.canary_tenants) > 1 and self.control_center_url is not None

    def verdict_settings(self) -> dict[str, Any]:
        """Every setting that can change a verdict, as JSON values; secrets, our own paths and the schedule are left out."""
        chosen = self.model_dump(mode="json", exclude=set(_NO_VERDICT))
        for user in chosen["probe_users"].values():
            user.pop("password", None)
            user.pop("client_secret", None)
        chosen["probes"].pop("expired_token_file")
        chosen.pop("decision_api_key")
        return chosen

    def policy_digest(self, *, checklist_version: str, account: str) -> str:
        """`sha256:...` over checklist version, every setting that can change a verdict, environment and account."""
        content = {"checklist_version": checklist_version, "account": account, "settings": self.verdict_settings()}
        return sha256_of(json.dumps(content, sort_keys=True, separators=(",", ":")).encode())


class _EnvironmentSource(EnvSettingsSource):
    """The environment's variables, whose lists and mappings are JSON."""

    def __init__(self, settings: type[BaseSettings]) -> None:
        super().__init__(settings)
        prefix = ENV_PREFIX.lower()  # of the others there are many, and each section would look through all of them
        self.env_vars = {name: value for name, value in self.env_vars.items() if name.lower().startswith(prefix)}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:  # noqa: ANN401 - as the base class
        """The list or mapping in a variable.

        Raises:
            ValueError: it is not JSON, or a name stands twice in it.
        """
        del field_name, field
        return distinct_json(value)


class _FileSource(PydanticBaseSettingsSource):
    """The YAML file named by PHASE5_CONFIG; of a list, the entry of the environment that command line or variable names."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ANN401 - signature of the base class
        raise NotImplementedError

    def __call__(self) -> dict[str, Any]:
        """The settings that the file gives, or nothing where no file is named."""
        try:
            return dict((_BEING_LOADED.get() or _config()).entry(self.current_state.get("environment")))
        except NoConfig as error:
            raise ConfigurationError(f"{CONFIG_VARIABLE}={os.environ[CONFIG_VARIABLE]}: {error}") from error


#: What `load_settings` has read of the file, for the source: read twice, it could be a list the one time and none the other.
_BEING_LOADED: ContextVar[ConfigFile | None] = ContextVar("file of the settings that are being loaded", default=None)


def _config() -> ConfigFile:
    """What the file of PHASE5_CONFIG holds; nothing where none is named."""
    name = os.environ.get(CONFIG_VARIABLE)
    if not name:
        return ConfigFile()
    try:
        return config_file(Path(name).read_text(encoding="utf-8"))
    except NoConfig as error:
        raise ConfigurationError(f"{CONFIG_VARIABLE}={name}: {error}") from error
    except WrittenTwice as error:
        raise ConfigurationError(f"{CONFIG_VARIABLE}={name}: {error}; keep one of them") from error
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{CONFIG_VARIABLE}={name}: the file cannot be read: {why_unreadable(error)}") from error


def listed_environments() -> tuple[str, ...] | None:
    """The environments of the list in the file of PHASE5_CONFIG; None where it holds no list.

    Raises:
        ConfigurationError: the file cannot be used.
    """
    return _config().environments


def variables(model: type[BaseModel] = Settings, prefix: str = ENV_PREFIX) -> Iterator[tuple[str, FieldInfo]]:
    """The environment variable of every setting, and how it is declared; a section stands before its settings."""
    for name, field in model.model_fields.items():
        full = f"{prefix}{name}".upper()
        yield full, field
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            yield from variables(section, f"{full}__")


@cache
def known_variables() -> frozenset[str]:
    """Every environment variable that the settings understand."""
    return frozenset((*(name for name, _ in variables()), CONFIG_VARIABLE))


def _check_names(environment: Mapping[str, str]) -> None:
    known = known_variables()
    for name in sorted(environment):
        if name.upper().startswith(ENV_PREFIX) and name not in known:
            hint = did_you_mean(name, known, "see docs/settings.md for the names")
            raise ConfigurationError(f"unknown setting {printable(name)}{hint}")


def load_settings(**overrides: Any) -> Settings:  # noqa: ANN401 - values of any field
    """The settings of this process.

    Args:
        overrides: values from the command line; None means not given.

    Raises:
        ConfigurationError: an unknown `PHASE5_` name, a bad value, an unreadable file, or one that lists environments of which
            none is chosen.
    """
    _check_names(os.environ)
    config = _config()
    loading = _BEING_LOADED.set(config)
    try:
        settings = Settings(**{name: value for name, value in overrides.items() if value is not None})
        settings._listed = config.environments is not None
    except ValidationError as error:
        file = _given_file(overrides.get("environment"), config)
        refused = [_refused(problem, file) for problem in error.errors(include_url=False, include_input=False)]
        raise ConfigurationError("invalid settings: " + "; ".join(dict.fromkeys(refused))) from error
    except UnicodeEncodeError as error:  # of a choice, which pydantic writes into its refusal
        where = f"{CONFIG_VARIABLE}={os.environ[CONFIG_VARIABLE]} or " if os.environ.get(CONFIG_VARIABLE) else ""
        odd = ascii(error.object[error.start : error.end])
        said = f"invalid settings: {where}a {ENV_PREFIX} variable holds {odd}, which is no text; write it anew"
        raise ConfigurationError(said) from error
    except SettingsError as error:  # unparsable JSON of a list or mapping
        field = re.search(r'field "(\w+)"', str(error))
        name = f"{ENV_PREFIX}{field.group(1).upper()}" if field else "a setting"
        raise ConfigurationError(f"invalid settings: {name}: not valid JSON ({error.__cause__})") from error
    finally:
        _BEING_LOADED.reset(loading)
    return settings


def load_served_settings(environment: str) -> Settings:
    """The settings of one environment of the list, for a process that serves it beside others with the same variables.

    Raises:
        ConfigurationError: as `load_settings` and `refuse_variables_of_one`.
    """
    refuse_variables_of_one()
    settings = load_settings(environment=environment)
    if not settings.shares_instance:
        raise ConfigurationError(f"{environment} is asked for by name, and {CONFIG_VARIABLE} names no list of environments")
    return settings


def refuse_variables_of_one() -> None:
    """Raises ConfigurationError where a variable would give every environment of a list the same value."""
    given = sorted(name for name in os.environ if name.startswith(ENV_PREFIX) and name not in _OF_AN_INSTANCE)
    if given:
        raise ConfigurationError(
            f"{', '.join(given)}: would hold for every environment of the list in {CONFIG_VARIABLE}, since they are served"
            " together; put it into the entries that it is meant for, and unset it here"
            f" ({', '.join(sorted(_OF_AN_INSTANCE))} may be set)"
        )


def _given_file(environment: object, config: ConfigFile) -> str | None:
    """The file of settings as messages name it, with the entry that was chosen of a list; None where no file is named."""
    file = os.environ.get(CONFIG_VARIABLE)
    if not file:
        return None
    chosen = environment or os.environ.get(f"{ENV_PREFIX}ENVIRONMENT")
    entry = f", entry {printable(str(chosen))}" if config.environments else ""
    return f"{CONFIG_VARIABLE}={file}{entry}"


def _refused(problem: ErrorDetails, file: str | None) -> str:
    """Which setting is refused, by the name that the person gave it, and what it needs."""
    where = problem["loc"]
    if problem["type"] != "extra_forbidden":
        return f"{_given_name(where, file)}: {refusal(problem)}"
    siblings = {name for model in _models_at(where[:-1]) for name in model.model_fields}
    name = str(where[-1])
    if elsewhere := [each for each in map(_dotted, known_variables()) if each.rpartition(".")[2] == name.casefold()]:
        return f"{_given_name(where, file)}: no such setting; did you mean {' or '.join(sorted(elsewhere)[:3])}?"
    meant = name.casefold().removeprefix(ENV_PREFIX.casefold())
    known = f"the settings here are {', '.join(sorted(siblings))}" if where[:-1] else "see docs/settings.md for the names"
    return f"{_given_name(where, file)}: no such setting{did_you_mean(meant, siblings, known)}"


def _given_name(where: Sequence[str | int], file: str | None) -> str:
    """The variable, or the key of the YAML file and the file's name; entries of lists by number, from 0."""
    names = [str(part) for part in takewhile(lambda part: isinstance(part, str), where)]
    variables_of = (
        ["__".join([f"{ENV_PREFIX}{names[0]}", *names[1:n]]).upper() for n in range(len(names), 0, -1)] if names else []
    )
    given = next((name for name in variables_of if name in os.environ), None)
    if given is None and file:
        return f"{_path(where)} of {file}"
    known = known_variables()
    name = given or next((name for name in variables_of if name in known), ENV_PREFIX.rstrip("_"))
    rest = where[len(name.removeprefix(ENV_PREFIX).split("__")) :]
    return f"{name}{f' at {_path(rest)}' if rest else ''}"


def _path(where: Sequence[str | int]) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{printable(part)}" for part in where]
    return "".join(parts).removeprefix(".")


def _dotted(variable: str) -> str:
    """A setting's name in the YAML file, by its variable."""
    return variable.removeprefix(ENV_PREFIX).lower().replace("__", ".")


def _models_at(where: Sequence[str | int]) -> list[type[BaseModel]]:
    """The models that a place of the settings may hold."""
    models: list[type[BaseModel]] = [Settings]
    for part in where:
        if isinstance(part, str):
            declared = [model.model_fields[part].annotation for model in models if part in model.model_fields]
            models = [model for annotation in declared for model in _models_in(annotation)]
    return models


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - an annotation may be anything
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def in_sandbox(settings: Settings) -> bool:
    """Whether what is judged is a sandbox on this machine: it has that name, and every AWS endpoint is on this machine.

    Neither the name nor an address alone makes a sandbox, and no service may have an endpoint elsewhere. See
    https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html for the variables.
    """
    given = {name: urlsplit(value).hostname for name, value in os.environ.items() if name.startswith(_ENDPOINT) and value}
    ignored = os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true"
    here = _ENDPOINT in given and not ignored and all(host in LOOPBACK_HOSTS for host in given.values())
    return settings.environment == SANDBOX_ENVIRONMENT and here


def is_production(settings: Settings) -> bool:
    """Whether what is judged counts as production."""
    return not in_sandbox(settings) and settings.environment not in settings.non_production_environments
