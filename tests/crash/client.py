"""A client of a server that may die: whatever it sends may raise OSError, where the server went."""

import base64
from typing import Any

from tests.crash.records import Records
from tests.crash.scene import LENGTH
from tests.load.history import Draw
from tests.load.keepalive import Exchange, KeepAlive, kms_request, management_request


class Client:
    """Sends what must be granted, and draws; draws are recorded."""

    def __init__(self, records: Records) -> None:
        self.records = records
        self._connection = KeepAlive(0)

    def attach(self, port: int) -> None:
        """Talk to the server on this port, which is a new one."""
        self._connection.close()
        self._connection = KeepAlive(port)

    def step(self) -> None:
        """Do what comes next."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def kms(self, operation: str, **members: Any) -> Exchange:
        """Send a KMS request."""
        answer = self._connection.exchange(kms_request(operation, members))
        assert answer.code == "", (operation, members, answer)
        return answer

    def manage(self, method: str, path: str, **members: Any) -> Exchange:
        """Send a request of the management API."""
        answer = self._connection.exchange(management_request(method, path, members or None))
        assert answer.status == 200, (method, path, members, answer)
        return answer

    def try_to_draw(self, key_store_id: str) -> Exchange:
        """Draw from a store of whomever, and record what came of it."""
        members = {"CustomKeyStoreId": key_store_id, "NumberOfBytes": LENGTH}
        answer = self._connection.exchange(kms_request("GenerateRandom", members))
        octets = b"" if answer.code else base64.b64decode(answer.document["Plaintext"])
        draw = Draw(0, answer.sent, answer.answered, octets, answer.code)
        self.records.of(key_store_id).draws.append(draw)
        return answer
