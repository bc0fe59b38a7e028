"""The settings of a server: the fields, and where their values come from.

Precedence: command line, environment (`HSMSTORE_<NAME>`), TOML file, default. Only the value that wins is
looked at, so an option can always overrule a bad variable; a TOML file is refused for any key that it should
not have. An empty variable counts as unset. A relative path in a TOML file counts from that file.

This is the only file that reads the process's environment.
"""

import difflib
import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from hsmstore.domain.attestation import AWS_ROOT, Root
from hsmstore.domain.checkpoints import Checkpoint
from hsmstore.domain.lease import LEASE
from hsmstore.domain.masking import mask
from hsmstore.domain.principal import AuthMode
from hsmstore.domain.profile import Profile
from hsmstore.domain.quotas import RATES, QuotaMode

PREFIX: Final = "HSMSTORE_"
CONFIG_VARIABLE: Final = "HSMSTORE_CONFIG"
ENDPOINT_VARIABLE: Final = "HSMSTORE_ENDPOINT"
DEBUG_VARIABLE: Final = "HSMSTORE_DEBUG"
REGION_VARIABLES: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")
CREDENTIAL_VARIABLES: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
LOCAL_ENDPOINT: Final = "http://127.0.0.1:4599"


class BadSetting(Exception):
    """A value that cannot be used. The text is one line: where it came from, the value, what is allowed."""


def environment() -> Mapping[str, str]:
    """Return the environment of this process."""
    return os.environ  # noqa: TID251 - this is the place that the ban points to


def default_data_dir(environment: Mapping[str, str]) -> Path:
    """Return `hsmstore` under XDG_DATA_HOME; the XDG specification says to ignore a relative one."""
    base = Path(environment.get("XDG_DATA_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".local" / "share") / "hsmstore"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a server is told. Each description is the field's text in `--help` and in docs/cli.md."""

    host: Annotated[
        str,
        Meta(description="Address to listen on.", min_length=1, extra={"allowed": "a host name or address"}),
    ] = "127.0.0.1"
    port: Annotated[int, Meta(description="TCP port to listen on.", ge=1, le=65535)] = 4599
    data_dir: Annotated[
        Path, Meta(description="Directory of the registry, the tokens and the master key.")
    ] = msgspec.field(default_factory=lambda: default_data_dir(environment()))
    database_url: (
        Annotated[
            str,
            Meta(
                description="SQLAlchemy URL of the registry; without it, SQLite in the data directory.",
                pattern=r"^[a-z][a-z0-9+_]*://",
                extra={"allowed": "a database URL such as postgresql+psycopg://user:password@host/name"},
            ),
        ]
        | None
    ) = None
    upstream: (
        Annotated[
            str,
            Meta(
                description="URL of another emulator, to which goes what is not in a custom key store.",
                pattern=r"^https?://[^/\s]+\S*\Z",
                extra={"allowed": "a URL such as http://127.0.0.1:5000"},
            ),
        ]
        | None
    ) = None
    master_key: (
        Annotated[
            Path,
            Meta(
                description="File of the key that the registry's secrets are sealed with, the same for all "
                "replicas; without it, master.key in the data directory."
            ),
        ]
        | None
    ) = None
    lease: Annotated[
        int,
        Meta(
            description="Seconds that a replica may go on drawing when it cannot reach its PostgreSQL, and "
            "that a disconnect waits, and a little more, for one that has crashed.",
            ge=1,
            le=60,
        ),
    ] = LEASE
    profile: Annotated[
        Profile,
        Meta(
            description="How long connecting and disconnecting take: not at all, about a second, "
            "or the minutes that AWS documents."
        ),
    ] = Profile.LIFELIKE
    threads: Annotated[
        int, Meta(description="Threads for calls that wait for the registry or an HSM.", ge=1, le=256)
    ] = 4
    demo: Annotated[
        bool, Meta(description="On the very first start, make a key store named demo and connect it.")
    ] = True
    account: Annotated[
        str,
        Meta(
            description="Account of requests that name none.",
            pattern=r"^[0-9]{12}\Z",
            extra={"allowed": "a string of twelve digits"},
        ),
    ] = "000000000000"
    region: Annotated[
        str,
        Meta(
            description="Region of requests that name none.",
            pattern=r"^[a-z]{2,}(-[a-z]+)+-[0-9]{1,2}\Z",
            extra={"allowed": "a Region such as us-east-1"},
        ),
    ] = "us-east-1"
    auth: Annotated[
        AuthMode,
        Meta(description="What signatures are for: nothing, to tell who calls, or to let in who has signed."),
    ] = AuthMode.IDENTIFY
    principals: (
        Annotated[Path, Meta(description="File of who may call, with their access keys and policies.")] | None
    ) = None
    trail: Annotated[
        bool, Meta(description="Record every call in the data directory, as CloudTrail does.")
    ] = True
    trail_keep: Annotated[
        int, Meta(description="Days for which records of calls are kept.", ge=1, le=36_500)
    ] = 90
    quotas: Annotated[QuotaMode, Meta(description="Request quotas: none, or those that AWS documents.")] = (
        QuotaMode.OFF
    )
    quota_rate: Annotated[
        tuple[Annotated[str, Meta(pattern=rf"^({'|'.join(RATES)})=[1-9][0-9]{{0,6}}\Z")], ...],
        Meta(
            description="Another rate of a request quota, in calls a second; repeatable.",
            min_length=1,
            extra={"allowed": "a quota and its rate such as CreateKey=50, once or several times"},
        ),
    ] = ()
    key_store_quota: Annotated[
        int, Meta(description="Custom key stores that an account may have in a Region.", ge=1, le=100_000)
    ] = 10
    pkcs11_profile: Annotated[
        str,
        Meta(
            description="Which of the configurations in softhsm/ new clusters use.",
            pattern=r"^[a-z0-9][a-z0-9_-]*\Z",
            extra={"allowed": "the name of a configuration in softhsm/"},
        ),
    ] = "softhsm2"
    pkcs11_module: (
        Annotated[Path, Meta(description="PKCS#11 module to load instead of the configuration's own.")] | None
    ) = None
    attestation_root: Annotated[
        tuple[Root, ...],
        Meta(
            description="Root that may vouch for a Recipient: a certificate's file, or `aws`; repeatable.",
            min_length=1,
            extra={"allowed": "aws or the path of a certificate, once or several times"},
        ),
    ] = ()
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="Least severity that is logged, to standard error."),
    ] = "info"
    crash_at: (
        Annotated[
            Checkpoint,
            Meta(
                description="Kill the server at this instant, to try recovery: for tests of hsmstore itself."
            ),
        ]
        | None
    ) = None

    @property
    def registry_url(self) -> str:
        """The registry's SQLAlchemy URL, whether it was set or not."""
        return self.database_url or f"sqlite:///{self.data_dir / 'registry.sqlite3'}"

    def masked(self) -> "Settings":
        """Return these settings without the secrets in them, to be shown."""
        urls = {"database_url": self.database_url, "upstream": self.upstream}
        return msgspec.structs.replace(self, **{name: url and mask(url) for name, url in urls.items()})


class Field(NamedTuple):
    """One setting as a reader meets it."""

    name: str
    type: type
    description: str
    allowed: str
    default: str
    choices: Sequence[str] = ()

    @property
    def option(self) -> str:
        """Its command-line option."""
        name = self.name.replace("_", "-")
        return f"--{name}/--no-{name}" if self.type is bool else f"--{name}"

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return PREFIX + self.name.upper()


def _field(name: str, annotation: Any) -> Field:
    kind, meta = get_args(annotation)
    choices = _choices(kind)
    return Field(
        name=name,
        type=str if get_origin(kind) is Literal else get_origin(kind) or kind,
        description=meta.description,
        allowed=_allowed(kind, meta, choices),
        default=_default(name),
        choices=choices,
    )


def _choices(kind: Any) -> tuple[str, ...]:
    if get_origin(kind) is Literal:
        return get_args(kind)
    return tuple(kind) if isinstance(kind, type) and issubclass(kind, StrEnum) else ()


def _allowed(kind: Any, meta: Meta, choices: Sequence[str]) -> str:
    if choices:
        return f"{', '.join(choices[:-1])} or {choices[-1]}"
    if kind is bool:
        return "true or false"
    if kind is int:
        return f"a whole number from {meta.ge} to {meta.le}"
    return "a path" if kind is Path else str((meta.extra or {})["allowed"])


def _default(name: str) -> str:
    if name == "data_dir":  # the text must not depend on who asks for help
        return "$XDG_DATA_HOME/hsmstore or ~/.local/share/hsmstore"
    default = next(field.default for field in msgspec.structs.fields(Settings) if field.name == name)
    if default in {None, ()}:
        return ""
    return str(default).lower() if isinstance(default, bool) else str(default)


def _given(annotation: Any) -> Any:
    """Return the type of a field that is set: of `Annotated[...] | None`, the first part."""
    return next((part for part in get_args(annotation) if get_origin(part) is Annotated), annotation)


_TYPES: Final = {
    name: _given(annotation) for name, annotation in get_type_hints(Settings, include_extras=True).items()
}

FIELDS: Final[Mapping[str, Field]] = MappingProxyType(
    {name: _field(name, annotation) for name, annotation in _TYPES.items()}
)
"""Every setting, in the order of `Settings`."""


RELOADED: Final = ("profile", "key_store_quota", "quotas", "quota_rate", "log_level")
"""What SIGHUP changes in a server that runs."""


class Loaded(NamedTuple):
    """Settings, and for each field where its value came from, such as `HSMSTORE_PORT`.

    `again` settles them anew, from the same options and from the files as they are by then.
    """

    settings: Settings
    origins: Mapping[str, str]
    again: Callable[[], "Loaded"]


class _Source(NamedTuple):
    """One place that gives values. `label` names the place of a field; `base` is where its paths start."""

    values: Mapping[str, object]
    label: Callable[[str], str]
    base: Path
    text_only: bool


def load(options: Mapping[str, object], environment: Mapping[str, str], config: Path | None = None) -> Loaded:
    """Settle the settings: `options` are the command line's by field name, `config` is a TOML file.

    Raises:
        BadSetting: a value is not allowed, or the TOML file cannot be read or has a key that is no setting.

    """
    sources = (_from_options(options), _from_environment(environment), _from_toml(environment, config))
    values: dict[str, Any] = {"data_dir": default_data_dir(environment)}
    origins = dict.fromkeys(FIELDS, "default")
    for name in FIELDS:
        source = next((source for source in sources if name in source.values), None)
        if source is not None:
            values[name] = _converted(name, source)
            origins[name] = source.label(name)
    return Loaded(Settings(**values), origins, partial(load, options, environment, config))


def checked(name: str, text: str, source: str) -> str:
    """Return `text` if it could be the value of a setting that is a text.

    Raises:
        BadSetting: it could not; `source` is where it came from.

    """
    return str(_converted(name, _Source({name: text}, lambda _: source, Path.cwd(), text_only=True)))


def _from_options(options: Mapping[str, object]) -> _Source:
    given = {name: value for name, value in options.items() if value is not None and value != []}
    return _Source(given, lambda name: f"--{name.replace('_', '-')}", Path.cwd(), text_only=True)


def _from_environment(environment: Mapping[str, str]) -> _Source:
    given = {name: environment.get(field.variable) for name, field in FIELDS.items()}
    return _Source(
        {
            name: value.split(os.pathsep) if FIELDS[name].type is tuple else value
            for name, value in given.items()
            if value
        },
        lambda name: FIELDS[name].variable,
        Path.cwd(),
        text_only=True,
    )


def _from_toml(environment: Mapping[str, str], config: Path | None) -> _Source:
    named_by, path = ("--config", config) if config else (CONFIG_VARIABLE, environment.get(CONFIG_VARIABLE))
    if not path:
        return _Source({}, str, Path.cwd(), text_only=False)
    file = _home_expanded(Path(path)).absolute()
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadSetting(f"{named_by}: cannot read {file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # TOML's own error, UTF-8's, and arrays in arrays in arrays
        raise BadSetting(f"{file}: this is not TOML: {error}") from error
    for key in values.keys() - FIELDS.keys():
        raise BadSetting(f"{file}: there is no setting {key!r}; {_suggestion(key)}")
    return _Source(values, lambda name: f"{name} in {file}", file.parent, text_only=False)


def _suggestion(key: str) -> str:
    close = difflib.get_close_matches(key.lower().replace("-", "_"), FIELDS, n=1)
    return f"did you mean {close[0]!r}?" if close else f"the settings are {', '.join(FIELDS)}"


def _home_expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # ~nobody: no such user; the name is then a name
        return path


def _converted(name: str, source: _Source) -> Any:
    raw = source.values[name]

    def path(kind: type, value: object) -> Path | Root:
        if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
            raise TypeError
        if kind is Root and value == AWS_ROOT:
            return AWS_ROOT
        found = source.base / _home_expanded(Path(value))
        return Root(found) if kind is Root else found

    several = [raw] if FIELDS[name].type is tuple and isinstance(raw, str) else raw
    try:
        return msgspec.convert(several, _TYPES[name], strict=not source.text_only, dec_hook=path)
    except msgspec.ValidationError as error:
        only = raw[0] if isinstance(raw, list) and len(raw) == 1 else raw
        shown = mask(only) if isinstance(only, str) else only
        raise BadSetting(f"{source.label(name)}: {shown!r} is not {FIELDS[name].allowed}") from error
