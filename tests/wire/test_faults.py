"""Injected faults: every effect at every point where it makes sense, how often, for whom, until when."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from hsmstore.domain.errors import ERRORS
from hsmstore.domain.faults import OPERATIONS as POINTS
from hsmstore.domain.keystore import ConnectionErrorCode
from hsmstore.wire.operations import OPERATIONS
from tests.server import Server, external_members, running
from tests.wire.failing import NEW_PASSWORD, Played
from tests.wire.refusals import refusal

pytestmark = pytest.mark.simulator_only

THROTTLED = "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls."


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve the tests of this module from a server of their own: a plan concerns everybody."""
    data_dir = tmp_path_factory.mktemp("faulty") / "data"
    with running(data_dir, "--profile", "instant", "--key-store-quota", "1000") as server:
        yield server


@pytest.fixture
def played(faulty: Server, request: pytest.FixtureRequest) -> Iterator[Played]:
    """Give a key store of the test's own, and empty the plan afterwards."""
    yield Played(faulty, request.node.name[:200])
    assert faulty.manage("DELETE", "/faults") == (200, {})


def inject(server: Server, point: str, effect: str, **members: Any) -> str:
    """Add a fault; return its id."""
    status, fault = server.manage("POST", "/faults", {"Point": point, "Effect": effect, **members})
    assert status == 200, fault
    fault_id: str = fault["FaultId"]
    return fault_id


def plan(server: Server) -> list[dict[str, Any]]:
    """Return the plan."""
    faults: list[dict[str, Any]] = server.manage("GET", "/faults")[1]["Faults"]
    return faults


def describe(played: Played) -> Any:
    """Describe one key store."""
    return played.kms.describe_custom_key_stores(CustomKeyStoreId=played.store)


def outcomes(call: Callable[[], object], times: int) -> str:
    """Make a call some times; return a dot for each success, an x for each refusal."""
    return "".join("x" if _refused(call) else "." for _ in range(times))


def _refused(call: Callable[[], object]) -> bool:
    try:
        call()
    except ClientError:
        return True
    return False


# What a fault does.


def test_points_are_the_wires_operations() -> None:
    """A fault can be about every operation of the wire, and about no other."""
    assert {operation.name for operation in OPERATIONS.values()} == POINTS


@pytest.mark.parametrize("code", ConnectionErrorCode)
def test_connection_error(played: Played, code: ConnectionErrorCode) -> None:
    """A connect fails with the code that the plan says, once; then it is mended."""
    inject(played.server, "connect", "connection-error", Error=code, Times=1)
    played.fails(code)
    played.works()


def calls(played: Played) -> dict[str, Callable[[], object]]:
    """Return a call of each operation, each good when its turn comes in this order."""
    kms, store = played.kms, {"CustomKeyStoreId": played.store}
    return {
        "CreateCustomKeyStore": lambda: kms.create_custom_key_store(
            CustomKeyStoreName=f"{played.store} proxy", **external_members(played.store)
        ),
        "DescribeCustomKeyStores": lambda: kms.describe_custom_key_stores(**store),
        "UpdateCustomKeyStore": lambda: kms.update_custom_key_store(
            NewCustomKeyStoreName=f"{played.store} renamed", **store
        ),
        "ConnectCustomKeyStore": lambda: kms.connect_custom_key_store(**store),
        "GenerateRandom": lambda: kms.generate_random(NumberOfBytes=8, **store),
        "DisconnectCustomKeyStore": lambda: kms.disconnect_custom_key_store(**store),
        "DeleteCustomKeyStore": lambda: kms.delete_custom_key_store(**store),
    }


def declared(played: Played, operation: str) -> list[str]:
    """Return the exceptions that botocore's model declares for an operation, and ThrottlingException."""
    shapes = played.kms.meta.service_model.operation_model(operation).error_shapes
    return [*(shape.name for shape in shapes), "ThrottlingException"]


def test_every_declared_exception_of_every_operation(played: Played) -> None:
    """Each call answers each exception that its model declares and the simulator knows, then works."""
    for operation, call in calls(played).items():
        known = [code for code in declared(played, operation) if code in ERRORS]
        assert len(known) >= 4
        for code in known:
            inject(played.server, operation, "exception", Error=code, Times=1)
            refused = refusal(call)
            internal = code in {"KMSInternalException", "DependencyTimeoutException"}
            assert (refused.code, refused.status) == (code, 500 if internal else 400)
            assert refused.message == THROTTLED or "fault-" in refused.message
        call()


def test_latency(played: Played) -> None:
    """A call takes as much longer as the plan says, and is answered."""
    inject(played.server, "DescribeCustomKeyStores", "latency", Seconds=0.3, Times=1)
    assert _seconds(played, lambda: describe(played)) >= 0.3
    assert describe(played)


def _seconds(played: Played, call: Callable[[], object]) -> float:
    before = _real(played)
    call()
    return _real(played) - before


def _real(played: Played) -> float:
    seconds: float = played.server.manage("GET", "/clock")[1]["Real"]
    return seconds


def test_timeout(played: Played) -> None:
    """A draw that times out is DependencyTimeoutException after its seconds; the store stays CONNECTED."""
    played.works()
    inject(played.server, "draw", "timeout", Seconds=0.2, Times=1)
    assert _seconds(played, lambda: _expect(played, "DependencyTimeoutException")) >= 0.2
    assert played.draw()


def _expect(played: Played, code: str) -> None:
    refused = played.refused_draw()
    assert (refused.status, refused.code) == (500, code)
    assert played.state() == ("CONNECTED", None)


@pytest.mark.parametrize("point", ["draw", "GenerateRandom"])
def test_drop(played: Played, point: str) -> None:
    """A dropped connection is closed before the answer is whole, and the next call is answered."""
    played.works()
    inject(played.server, point, "drop", Times=2)
    with pytest.raises((HTTPException, OSError)):
        played.server.call("GenerateRandom", {"NumberOfBytes": 8, "CustomKeyStoreId": played.store})
    with pytest.raises((ClientError, ConnectionClosedError)):
        played.draw()
    assert played.draw()


@pytest.mark.parametrize("point", ["draw", "GenerateRandom"])
def test_hang_and_release(played: Played, point: str) -> None:
    """A call hangs until the fault is removed, and is answered then; others are served meanwhile."""
    played.works()
    fault = inject(played.server, point, "hang")
    with ThreadPoolExecutor() as pool:
        hung = pool.submit(played.draw)
        _until_struck(played, 1)
        assert describe(played)
        assert not hung.done()
        assert played.server.manage("DELETE", f"/faults/{fault}") == (200, {})
        assert len(hung.result(10)) == 16


def _until_struck(played: Played, times: int) -> None:
    while plan(played.server)[0]["Struck"] < times:
        threading.Event().wait(0.01)


def test_more_calls_hang_than_there_are_threads(played: Played) -> None:
    """Calls that would take the last thread are dropped, so that the plan can still be changed."""
    played.works()
    inject(played.server, "draw", "hang")
    with ThreadPoolExecutor(8) as pool:
        hung = [pool.submit(played.draw) for _ in range(8)]
        _until_struck(played, 8)
        assert describe(played)
        assert played.server.manage("DELETE", "/faults") == (200, {})
        errors = [call.exception(10) for call in hung]
    assert sum(error is None for error in errors) == 3
    assert sum(isinstance(error, ClientError | ConnectionClosedError) for error in errors) == 5


@pytest.mark.parametrize("effect", [{"effect": "hang"}, {"effect": "latency", "Seconds": 3600}])
def test_stopping_while_calls_hang(tmp_path: Path, effect: dict[str, Any]) -> None:
    """SIGTERM ends the server within seconds, whatever hangs; the calls end without an answer."""
    with running(tmp_path / "data", "--profile", "instant") as server, ThreadPoolExecutor() as pool:
        inject(server, "GenerateRandom", **effect)
        hung = [pool.submit(server.call, "GenerateRandom", {"NumberOfBytes": 8}) for _ in range(3)]
        while plan(server)[0]["Struck"] < 3:
            threading.Event().wait(0.01)
        assert pool.submit(server.stop).result(4) == 0
        assert all(isinstance(call.exception(10), OSError | HTTPException) for call in hung)
        server.start()


# How often.


def test_times(played: Played) -> None:
    """The next N are struck."""
    inject(played.server, "DescribeCustomKeyStores", "exception", Error="ThrottlingException", Times=3)
    assert outcomes(lambda: describe(played), 6) == "xxx..."


def test_every(played: Played) -> None:
    """Every N-th is struck."""
    inject(played.server, "DescribeCustomKeyStores", "exception", Error="ThrottlingException", Every=3)
    assert outcomes(lambda: describe(played), 9) == "..x..x..x"


def test_times_and_every(played: Played) -> None:
    """Both together: every N-th, until M have been struck."""
    fault = {"Error": "KMSInternalException", "Every": 2, "Times": 2}
    inject(played.server, "DescribeCustomKeyStores", "exception", **fault)
    assert outcomes(lambda: describe(played), 8) == ".x.x...."


def test_one_after_the_other(played: Played) -> None:
    """Two faults at one point strike in turn: the second counts only what the first has let through."""
    for error in ("ThrottlingException", "KMSInternalException"):
        inject(played.server, "DescribeCustomKeyStores", "exception", Error=error, Times=2)
    call = played.kms.describe_custom_key_stores
    assert [refusal(call).code[:3] for _ in range(4)] == ["Thr", "Thr", "KMS", "KMS"]
    assert describe(played)


def test_probability_under_a_seed(played: Played) -> None:
    """The same seed gives the same history, another one another; without one a seed is drawn and told."""

    def history(seed: int) -> str:
        fault = {"Error": "ThrottlingException", "Probability": 0.5, "Seed": seed}
        inject(played.server, "DescribeCustomKeyStores", "exception", **fault)
        shown = outcomes(lambda: describe(played), 40)
        played.server.manage("DELETE", "/faults")
        return shown

    first = history(7)
    assert history(7) == first
    assert history(8) != first
    assert 8 <= first.count("x") <= 32
    inject(played.server, "draw", "drop", Probability=0.5)
    assert plan(played.server)[0]["Seed"] >= 0


def test_until(played: Played) -> None:
    """A fault is over when the clock says so."""
    now = played.server.manage("GET", "/clock")[1]["Now"]
    fault = {"Error": "ThrottlingException", "Until": now + 1000}
    inject(played.server, "DescribeCustomKeyStores", "exception", **fault)
    assert outcomes(lambda: describe(played), 2) == "xx"
    played.server.manage("POST", "/clock/advance", {"Seconds": 1000})
    assert outcomes(lambda: describe(played), 2) == ".."


# For whom.


@pytest.mark.parametrize("point", ["draw", "GenerateRandom"])
@pytest.mark.parametrize("scope", ["CustomKeyStoreId", "ClusterId"])
def test_scope_of_a_call(played: Played, scope: str, point: str) -> None:
    """A fault of one key store, or of one cluster, leaves the others alone."""
    other = Played(played.server, f"other of {played.store}")
    played.works()
    other.works()
    about = {"CustomKeyStoreId": played.store, "ClusterId": played.cluster_id}[scope]
    inject(played.server, point, "exception", Error="KMSInternalException", **{scope: about})
    assert outcomes(played.draw, 2) == "xx"
    assert outcomes(other.draw, 2) == ".."
    assert len(played.kms.generate_random(NumberOfBytes=8)["Plaintext"]) == 8


@pytest.mark.parametrize("scope", ["CustomKeyStoreId", "ClusterId"])
def test_scope_of_a_phase(played: Played, scope: str) -> None:
    """The same with a connect."""
    other = Played(played.server, f"other of {played.store}")
    about = {"CustomKeyStoreId": played.store, "ClusterId": played.cluster_id}[scope]
    inject(played.server, "connect", "connection-error", Error="NETWORK_ERRORS", **{scope: about})
    played.fails("NETWORK_ERRORS")
    other.works()


# The phases.


def test_connecting_can_be_observed(played: Played) -> None:
    """A held connect stays CONNECTING, through a restart too, and ends when it is released."""
    fault = inject(played.server, "connect", "hang")
    assert played.connect() == ("CONNECTING", None)
    played.server.stop()
    played.server.start()
    assert played.state() == ("CONNECTING", None)
    played.server.manage("DELETE", f"/faults/{fault}")
    assert played.state() == ("CONNECTED", None)
    assert played.draw()


def test_disconnecting_can_be_observed(played: Played) -> None:
    """A held disconnect stays DISCONNECTING, gives no bytes, and ends when it is released."""
    played.works()
    fault = inject(played.server, "disconnect", "hang", CustomKeyStoreId=played.store)
    played.kms.disconnect_custom_key_store(CustomKeyStoreId=played.store)
    assert played.state() == ("DISCONNECTING", None)
    assert played.refused_draw().code == "CustomKeyStoreInvalidStateException"
    played.server.manage("DELETE", f"/faults/{fault}")
    assert played.state() == ("DISCONNECTED", None)


def test_disconnect_out_of_a_held_connect(played: Played) -> None:
    """Disconnect takes a store out of CONNECTING; what was held does not come back."""
    fault = inject(played.server, "connect", "hang")
    assert played.connect() == ("CONNECTING", None)
    played.disconnect()
    played.server.manage("DELETE", f"/faults/{fault}")
    assert played.state() == ("DISCONNECTED", None)
    played.works()


def test_latency_of_a_phase(played: Played) -> None:
    """A phase takes longer by the clock, which a test moves."""
    inject(played.server, "connect", "latency", Seconds=1200)
    assert played.connect() == ("CONNECTING", None)
    played.server.manage("POST", "/clock/advance", {"Seconds": 1200})
    assert played.state() == ("CONNECTED", None)


def test_a_refused_request_uses_nothing_up(played: Played) -> None:
    """A Disconnect that the state forbids meets no fault of the phase."""
    inject(played.server, "disconnect", "latency", Seconds=1000, Times=1)
    store = {"CustomKeyStoreId": played.store}
    assert refusal(played.kms.disconnect_custom_key_store, **store).status == 400
    assert plan(played.server)[0]["Seen"] == 0


# The plan itself.


def test_the_plan_survives_a_restart(played: Played) -> None:
    """Plan and counters go on where they stood, after a kill too."""
    point = "UpdateCustomKeyStore"  # the command line, which greets at the start, makes no such call
    inject(played.server, point, "exception", Error="ThrottlingException", Times=5)
    update = calls(played)[point]
    assert outcomes(update, 2) == "xx"
    before = plan(played.server)
    played.server.kill()
    played.server.start()
    assert plan(played.server) == before
    assert (before[0]["Seen"], before[0]["Struck"]) == (2, 2)
    assert outcomes(update, 5) == "xxx.."


def test_an_update_struck_changes_nothing(played: Played) -> None:
    """A call that was struck has not been carried out."""
    inject(played.server, "UpdateCustomKeyStore", "exception", Error="KMSInternalException", Times=1)
    update = {"CustomKeyStoreId": played.store, "KeyStorePassword": NEW_PASSWORD}
    assert refusal(played.kms.update_custom_key_store, **update).status == 500
    played.works()
