"""The commands that bring trouble about, and those that tell of it, against a real server."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from hsmstore.cli.exits import ExitCode
from hsmstore.simulator import Simulator
from tests.cli.conftest import CommandLine
from tests.server import PASSWORD, Server


@pytest.fixture
def simulator(server: Server) -> Iterator[Simulator]:
    """Return the shared server's client; the plan is empty and the clock runs again afterwards."""
    simulator = Simulator(server.endpoint)
    yield simulator
    simulator.faults.clear()
    simulator.clock.run()


@pytest.fixture
def store(simulator: Simulator) -> str:
    """Return a new key store's id."""
    cluster = simulator.create_cluster(kmsuser_password=PASSWORD)
    return simulator.create_key_store(cluster.id, cluster, password=PASSWORD)


def _cluster_of(simulator: Simulator, store: str) -> str:
    return str(simulator.key_store(store)["CloudHsmClusterId"])


def test_hsms(client: CommandLine) -> None:
    """HSMs are added, stopped, started and removed, each by its id."""
    cluster_id = client("cluster", "create", "--json").json["CloudHsmClusterId"]
    hsms = client("cluster", "hsm", "add", cluster_id, "--json").json["Hsms"]
    assert len(hsms) == 3
    last = hsms[-1]["HsmId"]
    stopped = client("cluster", "hsm", "stop", cluster_id, last)
    assert re.search(rf"^{last} +us-east-1c DEGRADED$", stopped.out, re.MULTILINE)
    assert client("cluster", "hsm", "start", cluster_id, last, "--json").json["Hsms"] == hsms
    assert client("cluster", "hsm", "remove", cluster_id, last, "--json").json["Hsms"] == hsms[:-1]
    assert client("cluster", "hsm", "stop", cluster_id, last).code == ExitCode.REFUSED


def test_network_and_subnets(client: CommandLine) -> None:
    """The network is cut and restored; a subnet loses its addresses, itself, and gets both back."""
    cluster_id = client("cluster", "create", "--json").json["CloudHsmClusterId"]
    assert client("cluster", "network", "cut", cluster_id, "--json").json["NetworkReachable"] is False
    assert re.search(
        r"^network +reachable$", client("cluster", "network", "restore", cluster_id).out, re.MULTILINE
    )
    subnet = client("cluster", "subnet", "list", cluster_id, "--json").json["Subnets"][0]["SubnetId"]
    assert client("cluster", "subnet", "set", cluster_id, subnet, "--free-addresses", "0").code == 0
    assert client("cluster", "subnet", "delete", cluster_id, subnet).code == 0
    rows = client("cluster", "subnet", "list", cluster_id).out.splitlines()
    assert rows[1].split() == [subnet, "us-east-1a", "0", "no"]
    assert client("cluster", "subnet", "restore", cluster_id, subnet, "--json").json["Subnets"][0]["Exists"]


def test_kmsuser_on_one_hsm(client: CommandLine) -> None:
    """Kmsuser can be missing on one HSM, and be logged in elsewhere; the card says so."""
    cluster = client("cluster", "create", "--kmsuser-password", PASSWORD, "--json").json
    cluster_id, hsm = cluster["CloudHsmClusterId"], cluster["Hsms"][1]["HsmId"]
    gone = client("cluster", "kmsuser", "delete", cluster_id, "--hsm", hsm).out
    assert re.search(r"^kmsuser +on 1 of 2 HSMs$", gone, re.MULTILINE)
    assert re.search(rf"^{hsm} .*, without kmsuser$", gone, re.MULTILINE)
    back = ("cluster", "kmsuser", "create", cluster_id, "--hsm", hsm, "--password", PASSWORD)
    assert client(*back, "--json").json["KmsuserExists"]
    logged_in = client("cluster", "kmsuser", "login", cluster_id).out
    assert re.search(r"^kmsuser +exists, logged in elsewhere$", logged_in, re.MULTILINE)
    assert (
        client("cluster", "kmsuser", "logout", cluster_id, "--json").json["KmsuserLoggedInElsewhere"] is False
    )


def test_backups(client: CommandLine) -> None:
    """A cluster is backed up and restored with another id, the same certificate and as many HSMs as asked."""
    cluster = client("cluster", "create", "--json").json
    made = client("cluster", "backup", cluster["CloudHsmClusterId"]).out
    backup = made.split()[0]
    assert made == f"{backup} is made; next: hsmstore cluster restore {backup}\n"
    restored = client("cluster", "restore", backup, "--hsms", "3", "--json").json
    assert restored["TrustAnchorCertificate"] == cluster["TrustAnchorCertificate"]
    assert (len(restored["Hsms"]), restored["State"]) == (3, "ACTIVE")
    assert restored["CloudHsmClusterId"] != cluster["CloudHsmClusterId"]
    assert "next: hsmstore store update STORE --cluster cluster-" in client("cluster", "restore", backup).out
    listed = client("cluster", "backups").out
    assert [line.split()[1] for line in listed.splitlines() if line.startswith(backup)] == [
        cluster["CloudHsmClusterId"]
    ]
    assert client("cluster", "delete-backup", backup).out == f"{backup} is deleted\n"
    assert backup not in client("cluster", "backups", "--json").out


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [("90s", 90), ("20m", 1200), ("1h30m", 5400), ("1d", 86_400), ("1.5s", 1.5), ("45", 45)],
)
def test_clock_advance(client: CommandLine, simulator: Simulator, typed: str, seconds: float) -> None:
    """The clock goes forward by what was typed."""
    simulator.clock.freeze()
    before = simulator.clock.show()["Now"]
    assert client("clock", "advance", typed, "--json").json["Now"] == pytest.approx(before + seconds)


def test_clock_pace(client: CommandLine, simulator: Simulator) -> None:
    """The clock stops, hurries, and runs as in life."""
    assert client("clock", "freeze", "--json").json["Rate"] == 0
    assert re.search(r"^runs +not at all: it is frozen$", client("clock", "show").out, re.MULTILINE)
    assert re.search(r"^runs +60 seconds a second$", client("clock", "scale", "60").out, re.MULTILINE)
    assert re.search(r"^runs +as in life$", client("clock", "run").out, re.MULTILINE)
    assert simulator.clock.show()["Rate"] == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["clock", "advance", "soon"], "DURATION: 'soon' is not a duration such as 90s, 20m, 1h30m or 7d"),
        (["clock", "advance", ""], "DURATION: '' is not a duration such as 90s, 20m, 1h30m or 7d"),
        (["fault", "add", "draw", "latency"], "WHAT: '' is not a duration such as 90s, 20m, 1h30m or 7d"),
        (["fault", "add", "draw", "exception"], "WHAT: the effect exception needs the error's code"),
        (["fault", "add", "draw", "hang", "x"], "WHAT: the effect hang takes no 'x'"),
        (
            ["fault", "add", "draw", "hang", "--until", "soon"],
            "--until: 'soon' is neither 20m nor a date such as 2026-01-31",
        ),
    ],
)
def test_usage(hsmstore: CommandLine, arguments: list[str], text: str) -> None:
    """What is no duration, or does not go with an effect, is wrong usage."""
    assert hsmstore(*arguments) == (ExitCode.USAGE, "", f"hsmstore: {text}\n")


def test_faults(client: CommandLine, simulator: Simulator, store: str) -> None:
    """A fault strikes as often as it was told, is listed with its counts, and is taken back."""
    simulator.connect(store)
    add = ("fault", "add", "draw", "exception", "ThrottlingException", "--store", store)
    fault = client(*add, "--times", "1").out.split()[0]
    assert client("random", store).err.startswith("hsmstore: ThrottlingException")
    assert client("random", store).code == 0
    row = next(line for line in client("fault", "list").out.splitlines() if line.startswith(fault))
    *cells, _, struck = re.split(r"  +", row)
    assert cells == [fault, f"draw of {store}", "exception ThrottlingException", "next 1"]
    assert struck == "1"
    assert client("fault", "remove", fault).out == f"{fault} is removed\n"
    assert client("fault", "remove", fault).code == ExitCode.REFUSED
    assert client("fault", "list", "--json").json == {"Faults": []}


def test_fault_with_a_seed_and_an_end(client: CommandLine, simulator: Simulator) -> None:
    """A drawn seed is told, so that the run can be replayed; `--until` counts by the simulation's clock."""
    now = simulator.clock.freeze()["Now"]
    add = ("fault", "add", "GenerateRandom", "latency", "2m", "--probability", "0.5", "--until", "20m")
    fault = client(*add, "--json").json
    assert (fault["Seconds"], fault["Until"]) == (120, pytest.approx(now + 1200))
    assert f"p = 0.5, seed {fault['Seed']}, until " in client("fault", "list").out
    assert " with seed " in client(*add, "--every", "3").out
    dated = client("fault", "add", "draw", "drop", "--until", "2040-01-01T00:00:00+00:00", "--json").json
    assert dated["Until"] == 2_208_988_800
    assert client("fault", "clear").out == "the plan is empty\n"


def test_hold_and_release(client: CommandLine, simulator: Simulator, store: str) -> None:
    """A held phase does not end, however far the clock goes, before it is released."""
    assert client("hold", "connect", store).out == (
        f"connect {store} is held; next: hsmstore release connect {store}\n"
    )
    assert client("store", "connect", store, "--no-wait", "--json").json["ConnectionState"] == "CONNECTING"
    client("clock", "advance", "1h")
    assert "hsmstore release" in client("store", "explain", store).out
    assert client("release", "disconnect").out == "nothing was held\n"
    assert client("hold", "connect", store, "--json").json in simulator.faults.list()
    assert client("release", "connect", store, "--json").json == {"Released": 1}
    assert client("store", "show", store, "--json").json["ConnectionState"] == "CONNECTED"


def test_explain(client: CommandLine, simulator: Simulator, store: str) -> None:
    """A FAILED store is explained: since when, why, the commands that mend it, and its history."""
    cluster_id = _cluster_of(simulator, store)
    client("cluster", "network", "cut", cluster_id)
    client("store", "connect", store)
    shown = client("store", "explain", store).out
    assert re.search(r"^since +\d{4}-.* UTC, \d+s ago$", shown, re.MULTILINE)
    assert "KMS cannot reach the cluster over the network." in shown
    assert (
        f"next:\n\n  hsmstore store disconnect {store}\n"
        f"  hsmstore cluster network restore {cluster_id}\n  hsmstore store connect {store}\n"
    ) in shown
    events = re.findall(r"UTC  (\w[\w ]*?)  +([A-Z]+)", shown.partition("what happened:")[2])
    assert events == [
        ("created", "DISCONNECTED"),
        ("connect", "CONNECTING"),
        ("connect failed", "FAILED"),
    ]
    assert client("store", "explain", "cks-none").code == ExitCode.REFUSED


def test_watch_until(client: CommandLine, simulator: Simulator, store: str) -> None:
    """A watch begins with the state that is, and ends at the one that it was to wait for."""
    simulator.connect(store)
    watched = client("store", "watch", store, "--until", "connected", "--timeout", "10")
    assert (watched.code, watched.out.split()[3:]) == (0, [store, "CONNECTED"])
    again = client("store", "watch", "--until", "FAILED", "--timeout", "0", "--json")
    assert again.code == ExitCode.REFUSED
    documents = [json.loads(line) for line in again.out.splitlines()]
    assert "CONNECTED" in [d["ConnectionState"] for d in documents if d["CustomKeyStoreId"] == store]


def test_watch_sees_every_change(client: CommandLine, simulator: Simulator, store: str) -> None:
    """No change is missed, not even one that is over between two looks; Ctrl-C ends with 130."""
    command = [sys.executable, "-m", "hsmstore", "store", "watch", store]
    with subprocess.Popen(command, env=client.environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seen = [process.stdout.readline()]
        simulator.cluster(_cluster_of(simulator, store)).cut_network()
        simulator.connect(store)
        simulator.key_store(store)
        simulator.disconnect(store)
        simulator.key_store(store)
        seen += [process.stdout.readline() for _ in range(4)]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == ExitCode.INTERRUPTED
    states = [line.split()[4] for line in seen]
    assert states == ["DISCONNECTED", "CONNECTING", "FAILED", "DISCONNECTING", "DISCONNECTED"]
    assert "NETWORK_ERRORS" in seen[2]
