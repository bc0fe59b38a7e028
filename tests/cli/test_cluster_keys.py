"""`hsmstore cluster key` against a real server."""

from hsmstore.cli.exits import ExitCode
from tests.cli.conftest import CommandLine
from tests.server import Server
from tests.wire.keys import Keys, fresh


def test_keys_on_a_token(client: CommandLine, server: Server) -> None:
    """They are listed for people and for programs, and one that is deleted is gone."""
    keys = Keys.on(server, fresh("cli keys"))
    kept, gone = keys.create(), keys.create()
    cluster = keys.described(kept)["CloudHsmClusterId"]
    listed = client("cluster", "key", "list", cluster, "--json").json["Keys"]
    assert listed == sorted(
        ({"Label": keys.arn(key_id), "KeyId": key_id} for key_id in (kept, gone)),
        key=lambda key: key["Label"],
    )
    assert gone in client("cluster", "key", "list", cluster).out
    assert client("cluster", "key", "delete", cluster, gone).out == f"the material of {gone} is deleted\n"
    assert gone not in client("cluster", "key", "list", cluster).out
    again = client("cluster", "key", "delete", cluster, gone, "--json")
    assert again.code == ExitCode.REFUSED
    assert gone in again.err
    keys.kms.disconnect_custom_key_store(CustomKeyStoreId=keys.store)
    assert "must be connected" in client("cluster", "key", "list", cluster).err
