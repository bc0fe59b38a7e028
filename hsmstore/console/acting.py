"""From a form to an act: its fields become the members of a request, which is served and answered."""

import re
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import parse_qsl

import msgspec

from hsmstore.console.acts import ACTS, CREDENTIAL, Act, KmsAct
from hsmstore.console.pages import BELOW, HOME, cluster_page, key_store_page
from hsmstore.domain.errors import (
    AwsError,
    CloudHsmInternalFailureException,
    CloudHsmInvalidRequestException,
    EnvironmentUnfit,
)
from hsmstore.domain.identifiers import new_uuid
from hsmstore.domain.limits import REQUEST_BODY_MAX
from hsmstore.service import clusters
from hsmstore.service.shapes import Response
from hsmstore.service.world import Call, World

NOTICES_MAX: Final = 256

SECRETS: Final = frozenset({"Password", "KmsuserPassword", "KeyStorePassword", "RawSecretAccessKey"})
"""Members that are never shown again."""

_LOCATION: Final = re.compile("[!-~]+")


class Kms(Protocol):
    """Serves an operation of KMS for whoever sits at the console."""

    def __call__(self, name: str, members: Mapping[str, Any], source: str, agent: bytes) -> Response:
        """Return the response to `members`, named as on the wire.

        Raises:
            AwsError, EnvironmentUnfit: it is refused, or the machine cannot do it.

        """


class Form(NamedTuple):
    """A form that was sent: where it stands, its id there, and what was filled in."""

    page: str
    id: str
    fields: dict[str, str]


class Visitor(NamedTuple):
    """Who sits at the console, as the trail says it: an address and a User-Agent."""

    source: str
    agent: bytes


class Notice(NamedTuple):
    """What came of an act: that it is done, or why not, and how else it can be said.

    `form` is the id of the form that it belongs to; `shown` is what was asked for.
    """

    text: str
    code: str = ""
    form: str = ""
    command: str = ""
    api: str = ""
    shown: str = ""
    fields: Mapping[str, str] = {}  # never changed


class Outcome(NamedTuple):
    """What to answer: the status, the page to go to or to show, and what to tell there."""

    status: int
    page: str
    notice: Notice


class Notices:
    """The last notices, for the page that a browser is sent to. Old ones are forgotten."""

    def __init__(self, world: World) -> None:
        """Begin with none."""
        self._bits = world.entropy.public_bits
        self._kept: OrderedDict[str, Notice] = OrderedDict()

    def keep(self, notice: Notice) -> str:
        """Keep a notice, and return its name."""
        name = f"{self._bits(64):016x}"
        self._kept[name] = notice
        while len(self._kept) > NOTICES_MAX:
            self._kept.popitem(last=False)
        return name

    def find(self, name: str) -> Notice | None:
        """Return the notice of this name, if it is still there."""
        return self._kept.get(name)


def form_of(body: bytes) -> Form:
    """Read the body of a POST. Fields that were left empty are left out.

    Raises:
        CloudHsmInvalidRequestException: it is no form.

    """
    if len(body) > REQUEST_BODY_MAX:
        raise CloudHsmInvalidRequestException(f"The form is larger than {REQUEST_BODY_MAX} bytes.")
    try:
        pairs = parse_qsl(body.decode("ascii"), strict_parsing=bool(body), errors="strict", max_num_fields=50)
    except ValueError as error:
        raise CloudHsmInvalidRequestException("This is not a form of the console.") from error
    fields = dict(pairs)
    page = fields.pop("page", HOME)
    return Form(page if _is_ours(page) else HOME, fields.pop("form", ""), fields)


def act_on(world: World, kms: Kms, name: str, form: Form, visitor: Visitor) -> Outcome:
    """Do what a form asks for; whatever goes wrong is part of the outcome."""
    act = ACTS[name]
    try:
        response = _serve(world, kms, act, form, visitor)
    except AwsError as error:
        return Outcome(error.status, form.page, _refused(act, form, error))
    except EnvironmentUnfit as error:
        failure = CloudHsmInternalFailureException(str(error))
        return Outcome(failure.status, form.page, _refused(act, form, failure))
    page = _next_page(act, form, response)
    return Outcome(303 if not _shown(response) else 200, page, _done(act, form, response))


def _is_ours(page: str) -> bool:
    """Tell whether a browser may be sent there: a page of the console, in letters that a header can hold."""
    return _LOCATION.fullmatch(page) is not None and (
        page == HOME or page.startswith((f"{HOME}?", f"{BELOW}/"))
    )


def _serve(world: World, kms: Kms, act: Act, form: Form, visitor: Visitor) -> Response:
    if isinstance(act, KmsAct):
        return kms(act.name, _kms_members(world, act, form.fields), visitor.source, visitor.agent)
    try:
        typed = msgspec.convert(_management_members(form.fields), act.request, strict=False)
    except msgspec.ValidationError as error:
        text = re.sub(r" - at `\$\.?(.*)`", r" at '\1'", str(error))  # never the value
        raise CloudHsmInvalidRequestException(text) from error
    return act.serve(typed, Call(world.home, new_uuid(world.entropy.public_bits(128))), world)


def _management_members(fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the members of a request of the management API: a moment is typed as a date, in UTC."""
    members: dict[str, Any] = dict(fields)
    if "Until" in members:
        try:
            members["Until"] = datetime.fromisoformat(members["Until"]).replace(tzinfo=UTC).timestamp()
        except ValueError as error:
            raise CloudHsmInvalidRequestException("Until is a date such as 2026-01-31T12:00.") from error
    return members


def _kms_members(world: World, act: KmsAct, fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the members of a KMS request: the certificate of a new store's cluster is put in."""
    members: dict[str, Any] = {name: value for name, value in fields.items() if "." not in name}
    credential = {
        name.removeprefix(CREDENTIAL): value for name, value in fields.items() if name.startswith(CREDENTIAL)
    }
    if credential:
        members[CREDENTIAL.rstrip(".")] = credential
    count = members.get("NumberOfBytes", "")
    if count.isdecimal():
        members["NumberOfBytes"] = int(count)
    cluster_id = members.get("CloudHsmClusterId")
    if act.name == "CreateCustomKeyStore" and cluster_id and "TrustAnchorCertificate" not in members:
        cluster = clusters.find_cluster(world, cluster_id)
        members["TrustAnchorCertificate"] = cluster.trust_anchor_certificate
    return members


def _next_page(act: Act, form: Form, response: Response) -> str:
    """Return where to go: to what is new, away from what is gone, otherwise back."""
    match act.name:
        case "CreateCustomKeyStore":
            return key_store_page(str(getattr(response, "custom_key_store_id", "")))
        case "DeleteCustomKeyStore":
            return HOME
        case "restore_backup" if form.page.startswith(f"{BELOW}/key-stores/"):  # a way out goes on there
            return form.page
        case "create_cluster" | "restore_backup":
            return cluster_page(str(getattr(response, "cloud_hsm_cluster_id", "")))
        case "delete_cluster":
            return f"{BELOW}/clusters"
    return form.page


def _shown(response: Response) -> str:
    """Return the bytes that were drawn, as hexadecimal digits."""
    drawn = getattr(response, "plaintext", None)
    return drawn.hex() if isinstance(drawn, bytes) else ""


def _done(act: Act, form: Form, response: Response) -> Notice:
    members = {name: "…" if _is_secret(name) else value for name, value in form.fields.items()}
    said = act.says({name: value for name, value in members.items() if value})
    shown = _shown(response)
    return Notice(
        said.done,
        form=form.id,
        command=said.command,
        api=act.api(members),
        shown=shown,
        fields=form.fields if shown else {},
    )


def _refused(act: Act, form: Form, error: AwsError) -> Notice:
    kept = {name: value for name, value in form.fields.items() if not _is_secret(name)}
    return Notice(error.message or error.code, error.code, form.id, api=act.api(form.fields), fields=kept)


def _is_secret(name: str) -> bool:
    return name.removeprefix(CREDENTIAL) in SECRETS
