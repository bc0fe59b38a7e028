"""What a form can do: each act is one call of the management API or of KMS, and one command.

A test compares the acts with the management API's routes, the operation table and the command line.
"""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple, get_type_hints

import msgspec

from hsmstore.service import backups, clock, clusters, faults, hsms, kmsuser
from hsmstore.service.shapes import Response
from hsmstore.service.world import Call, World

PREFIX: Final = "/_hsmstore"

CREDENTIAL: Final = "XksProxyAuthenticationCredential."
"""How the fields of a form begin that are members of this member."""

Members = Mapping[str, str]


class Said(NamedTuple):
    """What a person is told when it is done, and the command that does the same."""

    done: str
    command: str


Says = Callable[[Members], Said]


@dataclass(frozen=True, slots=True)
class ManagementAct:
    """A route of the management API and the function behind it."""

    method: str
    path: str
    serve: Callable[[Any, Call, World], Response]
    says: Says

    @property
    def name(self) -> str:
        """The operationId in the OpenAPI document."""
        return self.serve.__name__

    @property
    def request(self) -> type[msgspec.Struct]:
        """The type of the request."""
        kind: type[msgspec.Struct] = next(iter(get_type_hints(self.serve).values()))
        return kind

    def api(self, members: Members) -> str:
        """Name the call, with the ids filled in."""
        path = re.sub(r"{(\w+)}", lambda name: members.get(name[1], name[0]), self.path)
        return f"{self.method} {PREFIX}{path}"


@dataclass(frozen=True, slots=True)
class KmsAct:
    """An operation of KMS."""

    name: str
    says: Says

    def api(self, _: Members) -> str:
        """Name the call."""
        return f"kms:{self.name}"


Act = ManagementAct | KmsAct


def _says(done: str, command: str, **options: str) -> Says:
    """Say always the same; `options` are the command's, for the members that may be given.

    A secret's option is the one that reads it from standard input: what it is stands in no command.
    """

    def says(members: Members) -> Said:
        shown = {name: shlex.quote(value) for name, value in members.items()}
        given = [
            f" {option}" if option.endswith("-stdin") else f" {option} {shown[name]}"
            for name, option in options.items()
            if name in shown
        ]
        return Said(done, f"hsmstore {command.format_map(shown)}{''.join(given)}")

    return says


def _network(members: Members) -> Said:
    restored = members["Reachable"] == "true"
    done = "The network is restored." if restored else "KMS cannot reach the cluster any more."
    return _says(done, f"cluster network {'restore' if restored else 'cut'} {{ClusterId}}")(members)


def _subnet(members: Members) -> Said:
    if "Exists" in members:
        back = members["Exists"] == "true"
        done = "The subnet is back." if back else "The subnet is gone."
        return _says(done, f"cluster subnet {'restore' if back else 'delete'} {{ClusterId}} {{SubnetId}}")(
            members
        )
    command = "cluster subnet set {ClusterId} {SubnetId} --free-addresses {FreeAddresses}"
    return _says("The subnet has that many free addresses.", command)(members)


def _rate(members: Members) -> Said:
    match members["Rate"]:
        case "0":
            return _says("The clock stands still.", "clock freeze")(members)
        case "1":
            return _says("The clock runs as in life.", "clock run")(members)
    return _says("The clock runs at that rate.", "clock scale {Rate}")(members)


def _fault(members: Members) -> Said:
    what = "{Error}" if "Error" in members else "{Seconds}s" if "Seconds" in members else ""
    until = {"Until": f"{members['Until']}Z"} if "Until" in members else {}
    return _says(
        "The fault is in the plan.",
        f"fault add {{Point}} {{Effect}} {what}".rstrip(),
        CustomKeyStoreId="--store",
        ClusterId="--cluster",
        Times="--times",
        Every="--every",
        Probability="--probability",
        Seed="--seed",
        Until="--until",
    )({**members, **until})


def _update(members: Members) -> Said:
    done = "Renamed." if "NewCustomKeyStoreName" in members else "KMS uses that from the next connect on."
    return _says(
        done,
        "store update {CustomKeyStoreId}",
        NewCustomKeyStoreName="--name",
        KeyStorePassword="--password-stdin",  # the option's name
        CloudHsmClusterId="--cluster",
        XksProxyUriEndpoint="--xks-uri-endpoint",
        XksProxyUriPath="--xks-uri-path",
    )(members)


_KMSUSER: Final = "/clusters/{ClusterId}/kmsuser"
_HSM: Final = "/clusters/{ClusterId}/hsms/{HsmId}"
_SUBNET: Final = "/clusters/{ClusterId}/subnets/{SubnetId}"

_MANAGEMENT: Final = (
    ManagementAct(
        "POST",
        "/clusters",
        clusters.create_cluster,
        _says(
            "The cluster is there.",
            "cluster create",
            HsmCount="--hsms",
            KmsuserPassword="--kmsuser-password-stdin",  # the option's name
        ),
    ),
    ManagementAct(
        "DELETE",
        "/clusters/{ClusterId}",
        clusters.delete_cluster,
        _says("The cluster is gone.", "cluster delete {ClusterId}"),
    ),
    ManagementAct(
        "POST",
        _KMSUSER,
        kmsuser.create_kmsuser,
        _says(
            "kmsuser is there.",
            "cluster kmsuser create {ClusterId}",
            HsmId="--hsm",
            Password="--password-stdin",  # noqa: S106  # the option's name
        ),
    ),
    ManagementAct(
        "PUT",
        _KMSUSER,
        kmsuser.set_kmsuser_password,
        _says(
            "kmsuser has that password in the cluster.",
            "cluster kmsuser set-password {ClusterId}",
            Password="--password-stdin",  # noqa: S106  # the option's name
        ),
    ),
    ManagementAct(
        "DELETE",
        _KMSUSER,
        kmsuser.delete_kmsuser,
        _says("kmsuser is gone.", "cluster kmsuser delete {ClusterId}", HsmId="--hsm"),
    ),
    ManagementAct(
        "POST",
        f"{_KMSUSER}/session",
        kmsuser.log_in_kmsuser,
        _says("kmsuser is logged in elsewhere, so KMS cannot log in.", "cluster kmsuser login {ClusterId}"),
    ),
    ManagementAct(
        "DELETE",
        f"{_KMSUSER}/session",
        kmsuser.log_out_kmsuser,
        _says("The other session of kmsuser has ended.", "cluster kmsuser logout {ClusterId}"),
    ),
    ManagementAct(
        "POST",
        "/clusters/{ClusterId}/hsms",
        hsms.add_hsm,
        _says("The cluster has another HSM.", "cluster hsm add {ClusterId}"),
    ),
    ManagementAct(
        "DELETE", _HSM, hsms.remove_hsm, _says("The HSM is gone.", "cluster hsm remove {ClusterId} {HsmId}")
    ),
    ManagementAct(
        "POST",
        f"{_HSM}/stop",
        hsms.stop_hsm,
        _says("The HSM answers no more.", "cluster hsm stop {ClusterId} {HsmId}"),
    ),
    ManagementAct(
        "POST",
        f"{_HSM}/start",
        hsms.start_hsm,
        _says("The HSM answers again.", "cluster hsm start {ClusterId} {HsmId}"),
    ),
    ManagementAct("PUT", "/clusters/{ClusterId}/network", hsms.set_network, _network),
    ManagementAct("PUT", _SUBNET, hsms.set_subnet, _subnet),
    ManagementAct(
        "POST",
        "/clusters/{ClusterId}/backups",
        backups.create_backup,
        _says("The cluster is backed up.", "cluster backup {ClusterId}"),
    ),
    ManagementAct(
        "DELETE",
        "/backups/{BackupId}",
        backups.delete_backup,
        _says("The backup is gone.", "cluster delete-backup {BackupId}"),
    ),
    ManagementAct(
        "POST",
        "/backups/{BackupId}/restore",
        backups.restore_backup,
        _says("A cluster has been made from the backup.", "cluster restore {BackupId}"),
    ),
    ManagementAct(
        "POST",
        "/clock/advance",
        clock.advance_clock,
        _says("The clock has been set forward.", "clock advance {Seconds}s"),
    ),
    ManagementAct("PUT", "/clock/rate", clock.scale_clock, _rate),
    ManagementAct("POST", "/faults", faults.add_fault, _fault),
    ManagementAct("DELETE", "/faults", faults.clear_faults, _says("The plan is empty.", "fault clear")),
    ManagementAct(
        "DELETE",
        "/faults/{FaultId}",
        faults.remove_fault,
        _says("The fault is out of the plan.", "fault remove {FaultId}"),
    ),
)

_KMS: Final = (
    KmsAct(
        "CreateCustomKeyStore",
        _says(
            "The key store is there, DISCONNECTED.",
            "store create {CustomKeyStoreName}",
            CloudHsmClusterId="--cluster",
            **{
                "KeyStorePassword": "--password-stdin",
                "XksProxyUriEndpoint": "--xks-uri-endpoint",
                "XksProxyUriPath": "--xks-uri-path",
                "XksProxyConnectivity": "--xks-connectivity",
                f"{CREDENTIAL}AccessKeyId": "--xks-access-key-id",
                f"{CREDENTIAL}RawSecretAccessKey": "--xks-secret-stdin",
            },
        ),
    ),
    KmsAct("ConnectCustomKeyStore", _says("Connecting.", "store connect {CustomKeyStoreId}")),
    KmsAct("DisconnectCustomKeyStore", _says("Disconnecting.", "store disconnect {CustomKeyStoreId}")),
    KmsAct("UpdateCustomKeyStore", _update),
    KmsAct("DeleteCustomKeyStore", _says("The key store is gone.", "store delete {CustomKeyStoreId}")),
    KmsAct("GenerateRandom", _says("Drawn just now.", "random {CustomKeyStoreId} -n {NumberOfBytes}")),
)

ACTS: Final[Mapping[str, Act]] = MappingProxyType({act.name: act for act in (*_MANAGEMENT, *_KMS)})
"""By name."""
