"""The buttons of the way out of FAILED: whatever the cause, they lead to CONNECTED, as is documented."""

import html
import re
from collections.abc import Callable

import pytest

from hsmstore.domain.causes import CAUSES
from hsmstore.domain.keystore import ConnectionErrorCode as Code
from tests.console.forms import BELOW, Form, forms_of
from tests.server import Server
from tests.wire.failing import NEW_PASSWORD, Played

OF_CLUSTERS = [code for code in CAUSES if not code.startswith("XKS")]


class Presser:
    """Somebody who presses the button of each step that is to be taken, and reads what the page says."""

    def __init__(self, played: Played) -> None:
        self._server = played.server
        self.page = f"{BELOW}/key-stores/{played.store}"

    def step(self) -> Form | None:
        """Return the step that is to be taken."""
        return next((form for form in forms_of(self._server, self.page) if form.current), None)

    def press(self, step: Form) -> str:
        """Take the step; return the command that the page says does the same."""
        text = html.unescape(step.send(self._server, NEW_PASSWORD).body.decode())
        (command,) = re.findall(r"The same: <code>hsmstore (.*?)</code>", text)
        return str(command)


def lock_out(played: Played) -> None:
    """Let KMS try a wrong password five times."""
    played.update(KeyStorePassword="wrongPassword1")
    for _ in range(5):
        played.fails("INVALID_CREDENTIALS")


def delete_cluster(played: Played) -> None:
    """Delete the cluster, after KMS has changed the password that the backup has."""
    played.back_up()
    played.works()
    played.disconnect()
    played.manage("DELETE")


def delete_subnet(played: Played) -> None:
    """Delete a subnet, after a backup that may lack keys and is not to be taken."""
    played.back_up()
    played.set_subnet(Exists=False)


def fail_within(played: Played) -> None:
    """Let a fault say so."""
    fault = {"Point": "connect", "Effect": "connection-error", "Error": "INTERNAL_ERROR"}
    assert played.server.manage("POST", "/faults", {**fault, "CustomKeyStoreId": played.store})[0] == 200


BRING_ABOUT: dict[Code, Callable[[Played], object]] = {
    Code.INVALID_CREDENTIALS: lambda played: played.set_password("otherPassword3"),
    Code.USER_LOCKED_OUT: lock_out,
    Code.USER_LOGGED_IN: lambda played: played.manage("POST", "/kmsuser/session"),
    Code.USER_NOT_FOUND: lambda played: played.manage("DELETE", "/kmsuser"),
    Code.INSUFFICIENT_CLOUDHSM_HSMS: lambda played: played.stop_hsms(),
    Code.CLUSTER_NOT_FOUND: delete_cluster,
    Code.NETWORK_ERRORS: lambda played: played.set_network(reachable=False),
    Code.SUBNET_NOT_FOUND: delete_subnet,
    Code.INSUFFICIENT_FREE_ADDRESSES_IN_SUBNET: lambda played: played.set_subnet(FreeAddresses=0),
    Code.INTERNAL_ERROR: fail_within,
}


def documented(code: Code) -> tuple[str, ...]:
    """Return how the commands begin that stand between disconnect and connect, and those two."""
    mend = [part for command in CAUSES[code].mend for part in command.split("  # or: ")]
    ways = ["store disconnect", *mend, "store connect"]
    return tuple(re.findall("^[a-z -]+", f"{way} ")[0].rstrip() + " " for way in ways)


@pytest.mark.parametrize("code", OF_CLUSTERS)
def test_the_buttons_lead_out(town: Server, code: Code) -> None:
    """Each cause for real; its steps are the documented ones, and after the last the store is CONNECTED."""
    played = Played(town, f"way out of {code}")
    BRING_ABOUT[code](played)
    assert played.connect() == ("FAILED", code)
    presser, pressed = Presser(played), list[str]()
    failed = code
    while step := presser.step():
        failed = Code(played.state()[1] or failed)  # the password of a backup may be an older one
        pressed.append(presser.press(step))
        assert f"{pressed[-1]} ".startswith(documented(failed))
        assert len(pressed) < 10, pressed
    assert played.state() == ("CONNECTED", None)


def test_no_way_out_without_a_backup(town: Server) -> None:
    """Of a cluster that is gone without a backup the page says so, and does not send round in circles."""
    played = Played(town, "no way out")
    played.manage("DELETE")
    assert played.connect() == ("FAILED", Code.CLUSTER_NOT_FOUND)
    presser = Presser(played)
    step = presser.step()
    assert step is not None
    assert presser.press(step).startswith("store disconnect")
    assert presser.step() is None
    assert b"there is none" in town.request("GET", presser.page).body


def test_kmsuser_of_one_hsm(town: Server) -> None:
    """A switch beside each HSM takes kmsuser from that one alone; there it can be made again."""
    played = Played(town, "kmsuser of one HSM")
    beside = {"ClusterId": played.cluster_id, "HsmId": played.hsms[1]}

    def press(act: str) -> None:
        forms = [form for form in forms_of(town, f"{BELOW}/clusters/{played.cluster_id}") if form.act == act]
        (form,) = [form for form in forms if beside.items() <= form.fields.items()]
        form.send(town, NEW_PASSWORD)

    press("delete_kmsuser")
    assert [hsm["HasKmsuser"] for hsm in played.manage("GET")["Hsms"]] == [True, False]
    played.fails(Code.USER_NOT_FOUND)
    press("create_kmsuser")
    played.update(KeyStorePassword=NEW_PASSWORD)
    played.works()
