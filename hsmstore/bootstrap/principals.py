"""The file of principals as `hsmstore principal` keeps it. Answers name their members as AWS's tools do."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from hsmstore.domain.principal import (
    Principal,
    PrincipalType,
    new_access_key_id,
    new_secret_access_key,
    new_session_token,
)
from hsmstore.settings import BadSetting
from hsmstore.system.clock import real_time
from hsmstore.system.entropy import SystemEntropy
from hsmstore.system.principals import (
    AccessKeyEntry,
    PrincipalEntry,
    PrincipalsDocument,
    TemporaryEntry,
    changing,
    read_principals,
)

DAY: Final = 86_400.0
"""Seconds for which a temporary credential is kept after its end, so that its user is told why not."""

_CREDENTIAL_PROCESS: Final = 1
"""The version of what the AWS SDKs take from a `credential_process`."""


def add_principal(
    file: Path,
    name: str,
    *,
    account: str,
    kind: PrincipalType,
    tags: Mapping[str, str],
    policy: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Add a principal to the file, which is made where there is none; return it with its access key.

    A role has no access key: its credentials are temporary.

    Raises:
        BadSetting: the account has one of this name.
        EnvironmentUnfit: the file cannot be used.

    """
    entropy = SystemEntropy()
    entry = PrincipalEntry(name=name, type=kind, account=account, tags=dict(tags))
    if policy is not None:
        entry.policies.append(dict(policy))
    if kind is not PrincipalType.ROLE:
        key = AccessKeyEntry(
            access_key_id=new_access_key_id(entropy.random_bytes),
            secret_access_key=new_secret_access_key(entropy.random_bytes),
        )
        entry.access_keys.append(key)
    with changing(file, entropy) as document:
        if any(other.name == name and other.account == account for other in document.principals):
            raise BadSetting(f"{name!r} is a principal of account {account} already, in {file}")
        document.principals.append(entry)
    shown = _shown(entry)
    return shown | {name: value for key in entry.access_keys for name, value in _builtins(key).items()}


def list_principals(file: Path) -> list[dict[str, Any]]:
    """Return the principals of the file, without their secrets.

    Raises:
        EnvironmentUnfit: the file cannot be used.

    """
    return [
        _shown(entry)
        | {
            "AccessKeyIds": [key.access_key_id for key in entry.access_keys],
            "TemporaryCredentials": [
                {"AccessKeyId": lent.access_key_id, "Expiration": _builtins(lent)["Expiration"]}
                for lent in entry.temporary_credentials
            ],
        }
        for entry in read_principals(file).principals
    ]


def new_token(file: Path, name: str, *, account: str, seconds: float, session: str | None) -> dict[str, Any]:
    """Make a temporary credential for a principal; return it as a `credential_process` does.

    Raises:
        BadSetting: the account has no such principal.
        EnvironmentUnfit: the file cannot be used.

    """
    entropy, now = SystemEntropy(), real_time()
    lent = TemporaryEntry(
        access_key_id=new_access_key_id(entropy.random_bytes, temporary=True),
        secret_access_key=new_secret_access_key(entropy.random_bytes),
        session_token=new_session_token(entropy.random_bytes),
        expiration=datetime.fromtimestamp(int(now + seconds), UTC),
        session_name=session,
    )
    with changing(file, entropy) as document:
        entry = _found(document, file, name, account)
        kept = [old for old in entry.temporary_credentials if old.expiration.timestamp() + DAY > now]
        entry.temporary_credentials = [*kept, lent]
    members = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
    return {"Version": _CREDENTIAL_PROCESS} | {member: _builtins(lent)[member] for member in members}


def _found(document: PrincipalsDocument, file: Path, name: str, account: str) -> PrincipalEntry:
    for entry in document.principals:
        if (entry.name, entry.account) == (name, account):
            return entry
    raise BadSetting(f"{name!r} is no principal of account {account} in {file}")


def _shown(entry: PrincipalEntry) -> dict[str, Any]:
    principal = Principal(name=entry.name, type=entry.type, account=entry.account)
    return {
        "Name": entry.name,
        "Type": entry.type.value,
        "Account": entry.account,
        "Arn": principal.arn,
        "PrincipalId": principal.id,
    }


def _builtins(entry: msgspec.Struct) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(entry)
    return found
