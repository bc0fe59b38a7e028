"""What a server can be told: the fields of `Settings`, and each as a reader of `--help` meets it."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from hsmstore.domain.attestation import Root
from hsmstore.domain.checkpoints import Checkpoint
from hsmstore.domain.door import HOST_PATTERN
from hsmstore.domain.lease import LEASE
from hsmstore.domain.logformat import LogFormat
from hsmstore.domain.masking import mask
from hsmstore.domain.policy.decision import IamMode
from hsmstore.domain.principal import AuthMode
from hsmstore.domain.profile import Profile
from hsmstore.domain.quotas import RATES, QuotaMode
from hsmstore.settings.environment import PREFIX, TOKEN_FILE, default_data_dir, environment


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a server is told. Each description is the field's text in `--help` and in docs/cli.md."""

    host: Annotated[
        str,
        Meta(description="Address to listen on.", min_length=1, extra={"allowed": "a host name or address"}),
    ] = "127.0.0.1"
    port: Annotated[int, Meta(description="TCP port to listen on.", ge=1, le=65535)] = 4599
    allow_host: Annotated[
        tuple[Annotated[str, Meta(pattern=HOST_PATTERN)], ...],
        Meta(
            description="Further name that requests may call this server by; .NAME for all below it, "
            "* for any; repeatable.",
            min_length=1,
            extra={"allowed": "a host name such as hsmstore or .example.com, once or several times"},
        ),
    ] = ()
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
    tls: Annotated[
        bool,
        Meta(
            description="Serve HTTPS; without --tls-cert, with a certificate that is made in the data "
            "directory, and clients trust tls/ca.pem there."
        ),
    ] = False
    tls_cert: (
        Annotated[
            Path,
            Meta(description="PEM file of the certificate for HTTPS, with its chain; SIGHUP reads it again."),
        ]
        | None
    ) = None
    tls_key: (
        Annotated[Path, Meta(description="PEM file of its key, if that is not in the same file.")] | None
    ) = None
    tls_client_ca: (
        Annotated[
            Path,
            Meta(description="PEM file of authorities; only clients with a certificate of one are served."),
        ]
        | None
    ) = None
    allow_plain_http: Annotated[
        bool, Meta(description="Let --host reach beyond this machine without TLS.")
    ] = False
    allow_unsigned: Annotated[
        bool, Meta(description="Let --host reach beyond this machine without --auth verify.")
    ] = False
    token_file: (
        Annotated[
            Path,
            Meta(
                description="File of the token of the management API and the console, made where it is "
                "missing; without it, management.token in the data directory."
            ),
        ]
        | None
    ) = None
    trust_local: Annotated[
        bool,
        Meta(
            description="Let who is on this machine use the management API without the token, as long as "
            "the server listens on loopback only."
        ),
    ] = True
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
    connections: Annotated[
        int,
        Meta(
            description="Clients that may be connected at once; for one more, the most silent are sent away.",
            ge=16,
            le=60_000,
        ),
    ] = 12_000
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
    iam: Annotated[IamMode, Meta(description="Policies: ignored, only warned of, or enforced.")] = IamMode.OFF
    principals: (
        Annotated[Path, Meta(description="File of who may call, with their access keys and policies.")] | None
    ) = None
    trail: Annotated[
        bool, Meta(description="Record every call in the data directory, as CloudTrail does.")
    ] = True
    trail_keep: Annotated[
        int, Meta(description="Days for which records of calls are kept.", ge=1, le=36_500)
    ] = 90
    trail_size: Annotated[
        int,
        Meta(
            description="Megabytes (MiB) of records that are kept; of more, the oldest file goes.",
            ge=128,
            le=1_000_000,
        ),
    ] = 1024
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
    log_format: Annotated[
        LogFormat, Meta(description="How the log is written: as lines for people, or a JSON object a line.")
    ] = LogFormat.PRETTY
    traces: Annotated[
        bool,
        Meta(description="Send OpenTelemetry traces, as the OTEL_ variables say; needs hsmstore[otel]."),
    ] = False
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

    @property
    def has_tls(self) -> bool:
        """Whether it serves HTTPS."""
        return self.tls or self.tls_cert is not None

    @property
    def management_token_file(self) -> Path:
        """The file of the token, whether it was set or not."""
        return self.token_file or self.data_dir / TOKEN_FILE

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


TYPES: Final = {
    name: _given(annotation) for name, annotation in get_type_hints(Settings, include_extras=True).items()
}

FIELDS: Final[Mapping[str, Field]] = MappingProxyType(
    {name: _field(name, annotation) for name, annotation in TYPES.items()}
)
"""Every setting, in the order of `Settings`."""


RELOADED: Final = ("profile", "key_store_quota", "quotas", "quota_rate", "log_level")
"""What SIGHUP changes in a server that runs."""
