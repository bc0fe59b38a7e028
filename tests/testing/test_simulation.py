"""A simulator in the process of its test: what it gives, what it is told, and what is left of it."""

import doctest
import json
import subprocess
import sys
import threading
import unittest
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import boto3
import botocore.session
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

import hsmstore.testing
from hsmstore.settings import BadSetting
from hsmstore.simulator import Refused, Simulator
from hsmstore.testing import Simulation, simulator

# The fixtures, from the entry point under which pytest finds them.


def test_one_line(kms_client: Any, key_store: str) -> None:
    """A client and a connected key store are there, and the bytes are the store's."""
    answer = kms_client.generate_random(NumberOfBytes=32, CustomKeyStoreId=key_store)
    assert len(answer["Plaintext"]) == 32
    (entry,) = kms_client.describe_custom_key_stores()["CustomKeyStores"]
    assert (entry["CustomKeyStoreId"], entry["ConnectionState"]) == (key_store, "CONNECTED")


def test_nothing_is_made_unasked(hsmstore: Simulation) -> None:
    """A simulator is an account in which nothing is."""
    assert hsmstore.key_stores() == []
    assert hsmstore.clusters() == []


def test_next_connect_fails(hsmstore: Simulation, kms_client: Any, key_store: str) -> None:
    """The next connect ends in FAILED with the code that was named, the one after it does not."""
    hsmstore.disconnect(key_store)
    hsmstore.fail_next_connect("USER_LOCKED_OUT")
    kms_client.connect_custom_key_store(CustomKeyStoreId=key_store)
    entry = hsmstore.key_store(key_store)
    assert (entry["ConnectionState"], entry["ConnectionErrorCode"]) == ("FAILED", "USER_LOCKED_OUT")
    hsmstore.disconnect(key_store)
    hsmstore.connect(key_store)
    assert hsmstore.key_store(key_store)["ConnectionState"] == "CONNECTED"


def test_next_calls_fail(hsmstore: Simulation, kms_client: Any, key_store: str) -> None:
    """So many calls fail as they were told to."""
    hsmstore.fail_next("GenerateRandom", "ThrottlingException", times=2)
    for _ in range(2):
        with pytest.raises(kms_client.exceptions.ClientError, match="ThrottlingException"):
            kms_client.generate_random(NumberOfBytes=1, CustomKeyStoreId=key_store)
    kms_client.generate_random(NumberOfBytes=1, CustomKeyStoreId=key_store)


def test_network(hsmstore: Simulation, kms_client: Any, key_store: str) -> None:
    """What happens to the cluster behind the key store is done to it."""
    hsmstore.cluster.cut_network()
    with pytest.raises(kms_client.exceptions.KMSInternalException):
        kms_client.generate_random(NumberOfBytes=1, CustomKeyStoreId=key_store)
    hsmstore.cluster.restore_network()
    kms_client.generate_random(NumberOfBytes=1, CustomKeyStoreId=key_store)


@pytest.mark.hsmstore(profile="aws", region="eu-west-1", account="111122223333")
def test_options_and_time(hsmstore: Simulation, kms_client: Any, key_store: str) -> None:
    """The marker's options count; the key store is connected all the same, and nobody waits for the time."""
    arn = kms_client.create_key(Origin="AWS_CLOUDHSM", CustomKeyStoreId=key_store)["KeyMetadata"]["Arn"]
    assert arn.startswith("arn:aws:kms:eu-west-1:111122223333:key/")
    hsmstore.disconnect(key_store)
    assert hsmstore.key_store(key_store)["ConnectionState"] == "DISCONNECTING"
    hsmstore.clock.advance(minutes=20)
    assert hsmstore.key_store(key_store)["ConnectionState"] == "DISCONNECTED"
    hsmstore.connect(key_store)
    assert hsmstore.key_store(key_store)["ConnectionState"] == "CONNECTING"
    hsmstore.clock.advance(minutes=20)
    assert hsmstore.key_store(key_store)["ConnectionState"] == "CONNECTED"


def test_clock_adds_up(hsmstore: Simulation) -> None:
    """The parts of a duration are added."""
    before = hsmstore.clock.freeze()["Now"]
    after = hsmstore.clock.advance(1, minutes=1, hours=1, days=1)["Now"]
    assert after - before == pytest.approx(86_400 + 3600 + 60 + 1)


def test_endpoint_is_the_same_simulator(hsmstore: Simulation, key_store: str, hsmstore_endpoint: str) -> None:
    """Over HTTP the same key store is found, and what is done there is seen here."""
    remote = Simulator(hsmstore_endpoint)
    assert len(remote.random(16, key_store)) == 16
    remote.disconnect(key_store)
    assert hsmstore.key_store(key_store)["ConnectionState"] == "DISCONNECTED"
    hsmstore.fail_next("GenerateRandom", "KMSInternalException")
    with pytest.raises(Refused, match="KMSInternalException"):
        remote.random(16)


def test_console(hsmstore: Simulation, key_store: str, hsmstore_endpoint: str) -> None:
    """A browser at the endpoint sees the test's key stores, as they are by now."""

    def page(path: str) -> str:
        with urlopen(hsmstore_endpoint + path, timeout=60) as answer:  # noqa: S310  # loopback
            assert answer.headers.get_content_type() == "text/html"
            return str(answer.read().decode())

    assert key_store in page("/_hsmstore/")
    hsmstore.disconnect(key_store)
    assert "DISCONNECTED" in page(f"/_hsmstore/console/key-stores/{key_store}")


def test_metrics(hsmstore: Simulation, key_store: str, hsmstore_endpoint: str) -> None:
    """They are text, in process and over HTTP; who asks for JSON is told what to call."""
    hsmstore.random(1, key_store)
    for simulation in (hsmstore, Simulator(hsmstore_endpoint)):
        assert 'hsmstore_calls_total{operation="GenerateRandom",outcome="Success"} ' in simulation.metrics()
        with pytest.raises(ValueError, match=r"metrics are text: call metrics\(\)"):
            simulation.manage("GET", "metrics")


# boto3, wired.


KEYS = {"region_name": "us-east-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}


def botocore_client() -> tuple[Any, Any]:
    """Return a client of botocore's, which is to be attached itself."""
    client = botocore.session.get_session().create_client("kms", **KEYS)
    return client, client


def boto3_session() -> tuple[Any, Any]:
    """Return a session of boto3's, and how to make a client of it."""
    session = boto3.Session(**KEYS)
    return session, session


def botocore_session() -> tuple[Any, Any]:
    """Return a session of botocore's."""
    session = botocore.session.get_session()
    return session, session


@pytest.mark.parametrize("make", [botocore_client, boto3_session, botocore_session])
def test_attach(hsmstore: Simulation, make: Any) -> None:
    """A client or a session that somebody else has made can be wired, boto3's and botocore's."""
    target, source = make()
    hsmstore.attach(target)
    client = source
    if make is boto3_session:
        client = source.client("kms")
    elif make is botocore_session:
        client = source.create_client("kms", **KEYS)
    assert len(client.generate_random(NumberOfBytes=5)["Plaintext"]) == 5


def test_two_simulators(hsmstore: Simulation, kms_client: Any, key_store: str) -> None:
    """Each has its own key stores; a client of one does not find the other's."""
    with simulator() as other:
        assert other.store != key_store
        with pytest.raises(other.client().exceptions.CustomKeyStoreNotFoundException):
            other.client().generate_random(NumberOfBytes=1, CustomKeyStoreId=key_store)
        assert hsmstore.directory != other.directory
    kms_client.generate_random(NumberOfBytes=1, CustomKeyStoreId=key_store)


def test_dropped_connection(hsmstore: Simulation, kms_client: Any) -> None:
    """A connection that is closed without an answer is botocore's own error, as over HTTP."""
    hsmstore.faults.add("GenerateRandom", "drop", times=1)
    with pytest.raises(ConnectionClosedError):
        kms_client.generate_random(NumberOfBytes=1)
    kms_client.generate_random(NumberOfBytes=1)


def test_errors_are_those_of_the_wire(hsmstore: Simulation) -> None:
    """A refusal by way of HTTP and one in process differ in request id and date, and in nothing else."""
    over_http = hsmstore.client(endpoint_url=hsmstore.url)
    for service in ("kms", "sts"):
        over_http.meta.events.unregister(f"before-send.{service}")
    met = []
    for client in (hsmstore.client(), over_http):
        with pytest.raises(ClientError) as caught:
            client.generate_random(NumberOfBytes=1, CustomKeyStoreId="cks-0123456789abcdef0")
        error = caught.value
        metadata = error.response["ResponseMetadata"]
        assert metadata.pop("RequestId") == metadata["HTTPHeaders"].pop("x-amzn-requestid")
        assert metadata["HTTPHeaders"].pop("date").endswith(" GMT")
        met.append((type(error).__name__, str(error), error.operation_name, error.response))
    assert met[0] == met[1]


def test_an_answer_of_nothing(hsmstore: Simulation, key_store: str) -> None:
    """An operation that answers with an empty body has an answer without members."""
    key = hsmstore.kms("CreateKey", Origin="AWS_CLOUDHSM", CustomKeyStoreId=key_store)["KeyMetadata"]
    assert hsmstore.kms("DisableKey", KeyId=key["KeyId"]) == {}
    assert hsmstore.kms("DescribeKey", KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "Disabled"


def test_unknown_option() -> None:
    """An option that there is not is refused, be it misspelt or a setting that is no option."""
    for options in ({"profil": "aws"}, {"port": 5000}, {"data_dir": "/tmp"}):  # noqa: S108  # it is not used
        [name] = options
        unknown = pytest.raises(BadSetting, match=f"no option '{name}'; the options are profile, account, ")
        with unknown, simulator(**options):
            pass


def test_wrong_option() -> None:
    """An option that is not allowed is refused in one line."""
    with pytest.raises(BadSetting, match="profile: 'quick' is not instant"), simulator(profile="quick"):
        pass


ALONE = """
import json, sys, threading

import boto3
import botocore.httpsession  # at its import urllib3 binds a socket once, to see whether there is IPv6

met = []
sys.addaudithook(lambda event, _: met.append(event) if event.startswith("socket.") else None)

from hsmstore.simulator import Simulator
from hsmstore.testing import simulator

with simulator(profile="aws") as sim, sim.as_default():
    kms = boto3.Session().client("kms")
    key = kms.create_key(Origin="AWS_CLOUDHSM", CustomKeyStoreId=sim.store)["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    opened = kms.decrypt(CiphertextBlob=blob)["Plaintext"]
    boto3.client("sts").get_caller_identity()
    sim.disconnect(sim.store)
    sim.clock.advance(minutes=20)
    state = sim.key_store(sim.store)["ConnectionState"]
    alone = [met[:], threading.active_count()]
    Simulator(sim.url).random(1)  # which is another matter
print(json.dumps([opened.decode(), state, alone, sorted(set(met))]))
"""


def test_no_sockets_no_threads() -> None:
    """In process no socket is made, and no thread, not by boto3 either; an endpoint needs both."""
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=True)
    opened, state, alone, served = json.loads(done.stdout)
    assert (opened, state, alone) == ("secret", "DISCONNECTED", [[], 1])
    assert "socket.connect" in served


# Without pytest.


class InContext(unittest.TestCase):
    """A test case that enters the context at its set-up."""

    def setUp(self) -> None:
        """Run a simulator until the test's clean-up."""
        self.sim = self.enterContext(simulator())

    def test(self) -> None:
        """It is there."""
        assert len(self.sim.random(7, self.sim.store)) == 7


def test_examples() -> None:
    """The examples in the docstring are true."""
    flags = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
    result = doctest.testmod(hsmstore.testing, optionflags=flags)
    assert result.attempted > 2
    assert result.failed == 0


# What is left.


@pytest.mark.endurance
def test_many(*, endurance: bool) -> None:
    """A hundred simulators use the modules that the first of them loaded, and leave nothing behind."""
    simulate(2)
    before = used()
    simulate(2_000 if endurance else 100)
    until_equal(before)


def simulate(count: int) -> None:
    """Make so many simulators one after the other, some within another, some served over HTTP."""
    for number in range(count):
        with simulator() as sim:
            assert len(sim.random(1, sim.store)) == 1
            if number % 20 == 0:
                assert len(Simulator(sim.url).random(1, sim.store)) == 1
            if number % 10 == 0:
                with simulator() as second:
                    assert second.store != sim.store
        assert not sim.directory.exists()


def used() -> tuple[int, int, int]:
    """Return how many PKCS#11 modules, threads and descriptors this process has."""
    maps = Path("/proc/self/maps").read_text().splitlines()
    modules = {line.split()[4] for line in maps if "softhsm" in line}  # by inode: a copy has no name any more
    return len(modules), threading.active_count(), sum(1 for _ in Path("/proc/self/fd").iterdir())


def until_equal(wanted: tuple[int, int, int]) -> None:
    """Wait for threads that have been told to end."""
    for _ in range(600):
        if used() == wanted:
            return
        threading.Event().wait(0.1)
    assert used() == wanted
