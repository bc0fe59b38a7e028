"""`hsmstore principal`, and what `serve` says of a file that is wrong."""

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine, SameProcess

pytestmark = pytest.mark.sqlite  # no registry is met


def test_add_list_token(tmp_path: Path) -> None:
    """What is added is listed without its secret; a token is what a credential_process gives."""
    hsmstore = SameProcess(tmp_path)
    (tmp_path / "policy.json").write_text('{"Version": "2012-10-17", "Statement": []}')
    options = ("--file", "who.json", "--json")
    added = hsmstore("principal", "add", "alice", *options, "--policy", "policy.json", "--tag", "a=b=c").json
    assert re.fullmatch("AKIA[A-Z2-7]{16}", added["AccessKeyId"])
    assert len(added["SecretAccessKey"]) == 40
    assert added["Arn"] == "arn:aws:iam::000000000000:user/alice"
    role = hsmstore("principal", "add", "build", "--type", "role", "--account", "111122223333", *options).json
    assert role.keys() == {"Name", "Type", "Account", "Arn", "PrincipalId"}
    lent = hsmstore("principal", "token", "alice", "--duration", "90s", *options).json
    assert lent.keys() == {"Version", "AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"}
    assert lent["Version"] == 1
    listed = hsmstore("principal", "list", *options).json["Principals"]
    assert [one["Name"] for one in listed] == ["alice", "build"]
    assert listed[0]["AccessKeyIds"] == [added["AccessKeyId"]]
    assert listed[0]["TemporaryCredentials"][0]["AccessKeyId"] == lent["AccessKeyId"]
    shown = hsmstore("principal", "list", "--file", "who.json").out + json.dumps(listed)
    assert lent["AccessKeyId"] in shown
    assert added["SecretAccessKey"] not in shown
    assert lent["SessionToken"] not in shown
    entry = json.loads((tmp_path / "who.json").read_text())["Principals"][0]
    assert (entry["Tags"], entry["Policies"]) == ({"a": "b=c"}, [{"Version": "2012-10-17", "Statement": []}])


def test_refusals(tmp_path: Path) -> None:
    """What cannot be done is refused in one line, and changes nothing."""
    hsmstore = SameProcess(tmp_path)
    assert hsmstore("principal", "add", "alice", "--file", "who.json").code == 0
    (tmp_path / "list").write_text("[]")
    (tmp_path / "broken").write_text("{")
    before = (tmp_path / "who.json").read_text()
    for code, words, arguments in (
        (2, "is a principal of account 000000000000 already", ("add", "alice")),
        (2, "NAME: 'a b' is not", ("add", "a b")),
        (2, "--policy: list is no policy", ("add", "bob", "--policy", "list")),
        (2, "--policy: broken is not JSON", ("add", "bob", "--policy", "broken")),
        (2, "--policy: cannot read none", ("add", "bob", "--policy", "none")),
        (2, "--tag: 'x' is not KEY=VALUE", ("add", "bob", "--tag", "x")),
        (2, "is no principal of account 000000000000", ("token", "bob")),
        (2, "--duration: 'soon' is not a duration", ("token", "alice", "--duration", "soon")),
        (2, "--session: 'a/b' is not", ("token", "alice", "--session", "a/b")),
    ):
        outcome = hsmstore("principal", *arguments, "--file", "who.json")
        assert (outcome.code, words in outcome.err, outcome.err.count("\n")) == (code, True, 1), outcome
    assert (tmp_path / "who.json").read_text() == before


@pytest.mark.parametrize("name", ["none", "broken"])
def test_wrong_file(hsmstore: CommandLine, tmp_path: Path, name: str) -> None:
    """A server does not start with a file that is wrong, and neither is it listed."""
    (tmp_path / "broken").write_text('{"Principals": [{"Name": "alice"}]}')
    words = "Object missing required field `Account`" if name == "broken" else "cannot be used"
    for command in (
        ("serve", "--principals", name, "--data-dir", "data"),
        ("principal", "list", "--file", name),
    ):
        outcome = hsmstore(*command)
        assert outcome.code == 4
        assert words in outcome.err
        assert outcome.err.count("\n") == 1
