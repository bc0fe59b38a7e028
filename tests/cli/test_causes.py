"""Every cause of a failed connect, brought about and mended with the very commands that `explain` tells."""

import re
import shlex
from collections.abc import Iterator

import pytest

from hsmstore.cli.exits import ExitCode
from hsmstore.domain.causes import CAUSES
from hsmstore.domain.keystore import ConnectionErrorCode as Code
from tests.cli.conftest import CommandLine
from tests.server import PASSWORD, external_members

NEW_PASSWORD = "kmsuser2password"
OF_CLUSTERS = [code for code in CAUSES if not code.startswith("XKS")]


class Reader:
    """Somebody who types what is told, and fills in what stands in capitals."""

    def __init__(self, client: CommandLine, name: str) -> None:
        self._client = client
        self.cluster = client("cluster", "create", "--kmsuser-password", PASSWORD, "--json").json
        self.cluster_id: str = self.cluster["CloudHsmClusterId"]
        arguments = ("--cluster", self.cluster_id, "--password", PASSWORD, "--json")
        self.store: str = client("store", "create", name, *arguments).json["CustomKeyStoreId"]
        self.backup: str = client("cluster", "backup", self.cluster_id, "--json").json["BackupId"]
        self._filled = {
            "SUBNET": self.cluster["Subnets"][0]["SubnetId"],
            "BACKUP": self.backup,
            "NEW-PASSWORD": NEW_PASSWORD,
        }

    def type(self, text: str) -> int:
        """Run a command as it is told; return the exit code of the last of its runs."""
        command, _, remark = text.partition("  # ")
        words = shlex.split(command.format(store=self.store, cluster=self.cluster_id))
        codes = [self._run(variant) for variant in self._variants(words, remark)]
        return codes[-1]

    def _variants(self, words: list[str], remark: str) -> Iterator[list[str]]:
        """Yield the command once, or for each HSM."""
        hsms = [hsm["HsmId"] for hsm in self.cluster["Hsms"]] if "HSM" in words else [""]
        for hsm in hsms if remark == "each of them" else hsms[:1]:
            yield [hsm if word == "HSM" else self._filled.get(word, word) for word in words]

    def _run(self, words: list[str]) -> int:
        code, out, err = self._client(*words)
        assert code in {0, ExitCode.REFUSED}, err
        if words[:2] == ["cluster", "restore"]:
            self._filled["NEW-CLUSTER"] = out.split()[1]
        elif words[:2] == ["cluster", "backup"]:
            self._filled["BACKUP"] = out.split()[0]
        return code


def _bring_about(reader: Reader, code: Code) -> None:
    """Type the command of the table; five times, with a wrong password, where its remark says so."""
    if code is Code.USER_LOCKED_OUT:
        reader.type(CAUSES[Code.INVALID_CREDENTIALS].command)
        for _ in range(5):
            assert reader.type(CAUSES[code].command) == ExitCode.REFUSED
            reader.type("store disconnect {store}")
    else:
        reader.type(CAUSES[code].command)


@pytest.mark.parametrize("code", OF_CLUSTERS)
def test_cause_and_fix(client: CommandLine, code: Code) -> None:
    """The command of the table causes the code, and the commands of `explain` end CONNECTED, with bytes."""
    reader = Reader(client, f"cause of {code}")
    _bring_about(reader, code)
    failed = client("store", "connect", reader.store)
    assert failed.code == ExitCode.REFUSED
    assert f"is FAILED: {code};" in failed.err
    told = client("store", "explain", reader.store, "--json").json
    assert told["Why"].startswith(CAUSES[code].meaning)
    codes = [reader.type(command.removeprefix("hsmstore ")) for command in told["Fix"]]
    assert codes == [0] * len(codes)
    assert client("random", reader.store).code == 0


def test_external_store_has_no_proxy(client: CommandLine) -> None:
    """An external key store does not connect here, and says why."""
    members = external_members("cli-cause")
    credential = members["XksProxyAuthenticationCredential"]
    store = client(
        *("store", "create", "cli cause", "--xks-uri-endpoint", members["XksProxyUriEndpoint"], "--json"),
        *("--xks-uri-path", members["XksProxyUriPath"], "--xks-connectivity", "PUBLIC_ENDPOINT"),
        *("--xks-access-key-id", credential["AccessKeyId"], "--xks-secret-stdin"),
        stdin=credential["RawSecretAccessKey"],
    ).json["CustomKeyStoreId"]
    assert client("store", "connect", store).code == ExitCode.REFUSED
    shown = client("store", "explain", store).out
    assert re.search(r"^error +XKS_PROXY_NOT_REACHABLE$", shown, re.MULTILINE)
