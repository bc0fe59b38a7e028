"""Keys for the tests: a connected key store to make them in."""

import json
from typing import Any, NamedTuple
from uuid import uuid4  # noqa: TID251  # a name that no other test has

from tests.server import Answer, Server

NO_KEY = "00000000-0000-4000-8000-000000000000"


def fresh(name: str) -> str:
    """Return a name that no other test has."""
    return f"{name}-{uuid4().hex}"


class Keys(NamedTuple):
    """A connected CloudHSM key store, and a client for it."""

    server: Server
    kms: Any
    account: str
    store: str

    @classmethod
    def on(cls, server: Server, name: str, *, account: str = "000000000000") -> "Keys":
        """Make the key store, on a cluster of its own, and connect it."""
        kms, store = server.kms(account=account), server.new_store(name, account=account)
        kms.connect_custom_key_store(CustomKeyStoreId=store)
        return cls(server, kms, account, store)

    def create(self, **members: Any) -> str:
        """Make a key; return its id."""
        key_id: str = self.kms.create_key(**self.members(**members))["KeyMetadata"]["KeyId"]
        return key_id

    def members(self, **others: Any) -> dict[str, Any]:
        """Return what CreateKey needs, and `others`."""
        return {"Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": self.store, **others}

    def arn(self, key_id: str) -> str:
        """Return a key's ARN."""
        return f"arn:aws:kms:us-east-1:{self.account}:key/{key_id}"

    def alias_arn(self, name: str) -> str:
        """Return an alias's ARN."""
        return f"arn:aws:kms:us-east-1:{self.account}:{name}"

    def described(self, name: str) -> dict[str, Any]:
        """Return the key's metadata."""
        metadata: dict[str, Any] = self.kms.describe_key(KeyId=name)["KeyMetadata"]
        return metadata

    def state(self, name: str) -> str:
        """Return the key's state."""
        state: str = self.described(name)["KeyState"]
        return state

    def call(self, operation: str, body: dict[str, Any]) -> Answer:
        """Send an awsJson1.1 request as it stands, for the account of the key store."""
        credential = f"AWS4-HMAC-SHA256 Credential={self.account}/20260101/us-east-1/kms/aws4_request"
        headers = {
            "X-Amz-Target": f"TrentService.{operation}",
            "Content-Type": "application/x-amz-json-1.1",
            "Authorization": credential,
        }
        return self.server.request("POST", "/", json.dumps(body).encode(), headers)
