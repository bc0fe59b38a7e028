"""Who meets policies in the tests of the wire: users with policies of their own, and a server that asks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import boto3
from botocore.config import Config

from hsmstore.bootstrap.principals import add_principal, new_token
from hsmstore.domain.principal import PrincipalType
from tests.server import PASSWORD, Server, running
from tests.wire.enclave import IMAGE
from tests.wire.keys import fresh
from tests.wire.refusals import Refusal

ACCOUNT = "111122223333"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
ALIAS_ARN = f"arn:aws:kms:us-east-1:{ACCOUNT}:alias"


def allow(*actions: str, resource: str = "*", **members: Any) -> dict[str, Any]:
    """Return a statement that allows."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **members}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    """Return a policy."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def random_if(operator: str, key: str, value: str) -> dict[str, Any]:
    """Return a statement that allows GenerateRandom on one condition."""
    return allow("kms:GenerateRandom", Condition={operator: {key: value}})


DENY_ONE = {
    "Effect": "Deny",
    "Action": "kms:GenerateRandom",
    "Resource": "*",
    "Condition": {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}},
}
USERS: dict[str, dict[str, Any] | None] = {
    "root": None,
    "nobody": None,
    "reader": policy(allow("kms:Describe*", "kms:GenerateRandom"), DENY_ONE),
    "user": policy(allow("kms:Encrypt", "kms:Decrypt", "kms:DescribeKey")),
    "local": policy(random_if("IpAddress", "aws:SourceIp", "127.0.0.0/8")),
    "remote": policy(random_if("IpAddress", "aws:SourceIp", "192.0.2.0/24")),
    "namer": policy(
        allow("kms:*Alias", resource=f"{ALIAS_ARN}/${{aws:username}}-*"),
        allow("kms:*", resource="arn:aws:kms:*:*:key/*"),
    ),
    "tagged": policy(
        allow(
            "kms:DescribeKey",
            Condition={"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}},
        )
    ),
    "aliased": policy(
        allow("kms:DescribeKey", Condition={"StringLike": {"kms:RequestAlias": "alias/aliased-*"}})
    ),
    "enclave": policy(
        random_if("StringEqualsIgnoreCase", "kms:RecipientAttestation:ImageSha384", IMAGE.hex().upper())
    ),
}


class Place(NamedTuple):
    """A server that asks policies, its principals, and a key store of the account."""

    server: Server
    file: Path
    credentials: dict[str, dict[str, Any]]

    def client(self, name: str, region: str = "us-east-1") -> Any:
        """Return a boto3 client for a principal; for one that is not there, with a key that nobody has."""
        credential = self.credentials.get(name, {"AccessKeyId": "AKIANOBODYHASEXAMPLE"})
        return boto3.client(
            "kms",
            endpoint_url=self.server.endpoint,
            region_name=region,
            aws_access_key_id=credential["AccessKeyId"],
            aws_secret_access_key=credential.get("SecretAccessKey", "none"),
            aws_session_token=credential.get("SessionToken"),
            config=Config(retries={"total_max_attempts": 1}),
        )

    def store(self) -> str:
        """Make a key store and connect it, as root."""
        cluster = self.server.new_cluster(AccountId=ACCOUNT)
        root = self.client("root")
        store: str = root.create_custom_key_store(
            CustomKeyStoreName=fresh("iam"),
            CloudHsmClusterId=cluster["CloudHsmClusterId"],
            TrustAnchorCertificate=cluster["TrustAnchorCertificate"],
            KeyStorePassword=PASSWORD,
        )["CustomKeyStoreId"]
        root.connect_custom_key_store(CustomKeyStoreId=store)
        return store


def serving(place: Path, *options: str) -> Iterator[Place]:
    """Serve with the principals above."""
    file = place / "principals.json"
    credentials = {}
    for name, document in USERS.items():
        kind = PrincipalType.ROOT if name == "root" else PrincipalType.USER
        tags = {"team": "red"} if name in {"tagged", "nobody"} else {}
        credentials[name] = add_principal(file, name, account=ACCOUNT, kind=kind, tags=tags, policy=document)
    add_principal(file, "builder", account=ACCOUNT, kind=PrincipalType.ROLE, tags={}, policy=None)
    credentials["builder"] = new_token(file, "builder", account=ACCOUNT, seconds=3600, session="run-1")
    with running(place / "data", "--profile", "instant", "--principals", str(file), *options) as server:
        yield Place(server, file, credentials)


def denied(name: str, action: str, resource: str, cause: str) -> Refusal:
    """Return the refusal of a user."""
    who = f"arn:aws:iam::{ACCOUNT}:user/{name}"
    what = f"User: {who} is not authorized to perform: kms:{action} on resource: {resource}"
    return Refusal(400, "AccessDeniedException", f"{what} {cause}")


NO_IDENTITY = "because no identity-based policy allows the kms:{} action"
