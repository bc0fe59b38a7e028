"""An open connection: drawing, closing, and whose it is."""

import os
import shutil
import threading
from collections.abc import Callable

import pytest

from hsmstore.domain.lease import Lease
from hsmstore.domain.ports import ConnectFailed, ConnectionClosed, HsmConnection, HsmUnavailable
from hsmstore.hsm.session import LOOK_INTERVAL
from tests.hsm.conftest import OTHER_CLUSTER_ID, PASSWORD, Bench, pause


@pytest.mark.parametrize("length", [0, -1, 1025, 2**32])
def test_lengths_that_no_request_can_have(bench: Bench, length: int) -> None:
    """A length outside 1 to 1024 is refused here, since SoftHSM2 answers some of them with zeros."""
    connection = bench.connect(bench.create())
    with pytest.raises(ValueError, match="1 to 1024"):
        connection.draw(length)


def test_a_token_that_is_deleted_while_connected(bench: Bench) -> None:
    """A draw notices at once that its token is gone, although C_GenerateRandom would not."""
    cluster = bench.create()
    connection = bench.connect(cluster)
    token = bench.token_object(cluster).parent
    moved = token.rename(bench.directory / "moved")
    with pytest.raises(HsmUnavailable, match="token is gone"):
        connection.draw(8)
    moved.rename(token)
    assert connection.draw(8)


def test_many_sessions_turn_their_looks(bench: Bench) -> None:
    """A look that is due is put off while others look, and no longer than until this session's turn."""
    cluster, *others = (bench.create(f"cluster-{digit * 11}") for digit in "234567")
    connection, *rest = (bench.connect(each) for each in (cluster, *others))
    turn = 6 * LOOK_INTERVAL
    assert connection.draw(8)
    token = bench.token_object(cluster).parent
    moved = token.rename(bench.directory / "moved")
    bench.ticker.seconds += turn * 0.99
    assert rest[0].draw(8), "which takes a look"
    assert connection.draw(8)
    bench.ticker.seconds += turn * 0.02
    with pytest.raises(HsmUnavailable, match="token is gone"):
        connection.draw(8)
    moved.rename(token)
    assert connection.draw(8)
    token.rename(moved)
    bench.ticker.seconds += LOOK_INTERVAL * 1.01
    with pytest.raises(HsmUnavailable, match="token is gone"):
        connection.draw(8)


def test_a_token_that_is_emptied_while_connected(bench: Bench) -> None:
    """C_GetTokenInfo, asked once a second, notices what `stat` does not; the next connect mends it."""
    cluster = bench.create()
    connection = bench.connect(cluster)
    bench.token_object(cluster).write_bytes(b"")
    assert connection.draw(8)
    bench.ticker.seconds += 1
    for _ in range(2):
        with pytest.raises(HsmUnavailable, match="CKR_"):
            connection.draw(8)
    connection.close()
    assert bench.connect(cluster).draw(8)


def test_a_lapsed_lease_gives_no_byte(bench: Bench) -> None:
    """From the end of the lease on nothing is drawn, however lately the token was probed; renewed, it is."""
    bench.lease = Lease("lease", 0.5)
    connection = bench.connect(bench.create())
    assert connection.draw(8)
    bench.ticker.seconds = 0.49
    assert connection.draw(8)
    bench.ticker.seconds = 0.5
    for _ in range(2):
        with pytest.raises(ConnectionClosed):
            connection.draw(8)
    bench.lease.renewed(8.0, 1.0)
    assert connection.draw(8)


def test_a_lease_is_renewed_in_time(bench: Bench) -> None:
    """A lease that is prolonged before its end lets draws through beyond it, and no further than it goes."""
    bench.lease = Lease("lease", 0.5)
    connection = bench.connect(bench.create())
    assert connection.draw(8)
    bench.lease.renewed(0.4, 0.5)
    bench.ticker.seconds = 0.6
    assert connection.draw(8)
    bench.ticker.seconds = 0.9
    with pytest.raises(ConnectionClosed):
        connection.draw(8)


def test_a_closed_connection_is_closed(bench: Bench) -> None:
    """Nothing works after `close`, which may be called again."""
    connection = bench.connect(bench.create())
    connection.close()
    connection.close()
    with pytest.raises(ConnectionClosed):
        connection.draw(8)
    with pytest.raises(ConnectionClosed):
        connection.set_password(PASSWORD, "another-one")


def test_a_stale_connection_does_not_act_on_the_next_cluster(bench: Bench) -> None:
    """The next cluster has the same module copy and session handle; the old connection uses neither."""
    first, second = bench.create(), bench.create(OTHER_CLUSTER_ID)
    stale = bench.connect(first)
    stale.close()
    fresh = bench.connect(second)
    with pytest.raises(ConnectionClosed):
        stale.draw(8)
    stale.close()
    assert fresh.draw(8)


def test_a_forked_child_may_not_draw(bench: Bench) -> None:
    """A child that inherits a connection is refused, cannot close it, and does not unlock its cluster."""
    cluster = bench.create()
    connection = bench.connect(cluster)
    child = os.fork()
    if child == 0:
        os._exit(_as_a_child(connection))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert connection.draw(8)
    with pytest.raises(ConnectFailed):
        bench.connect(cluster)


def _as_a_child(connection: HsmConnection) -> int:
    refused = 0
    calls: tuple[Callable[[], object], ...] = (
        lambda: connection.draw(8),
        lambda: connection.set_password(PASSWORD, "another-one"),
    )
    for call in calls:
        try:
            call()
        except ConnectionClosed:
            refused += 1
    connection.close()
    return 0 if refused == len(calls) else 1


def test_close_while_eight_threads_draw(bench: Bench) -> None:
    """Closing amid draws neither crashes nor lets a byte out afterwards."""
    cluster = bench.create()
    for _ in range(20):
        connection = bench.connect(cluster)
        closed = threading.Event()
        started = threading.Barrier(9)
        late: list[bytes] = []

        def draw_on(
            connection: HsmConnection = connection,
            closed: threading.Event = closed,
            started: threading.Barrier = started,
            late: list[bytes] = late,
        ) -> None:
            started.wait()
            while True:
                was_closed = closed.is_set()
                try:
                    octets = connection.draw(32)
                except ConnectionClosed:
                    return
                if was_closed:
                    late.append(octets)

        threads = [threading.Thread(target=draw_on) for _ in range(8)]
        for thread in threads:
            thread.start()
        started.wait()
        pause(0.005)
        connection.close()
        closed.set()
        for thread in threads:
            thread.join()
        assert late == []


def test_draws_on_two_clusters_while_one_reconnects(bench: Bench) -> None:
    """Four threads draw on two clusters while one of these reconnects a hundred times: no crash."""
    steady, restless = bench.create(), bench.create(OTHER_CLUSTER_ID)
    to_steady = bench.connect(steady)
    current = [bench.connect(restless)]
    done = threading.Event()
    drawn = {"steady": 0, "restless": 0, "closed": 0}
    wrong: list[BaseException] = []

    def draw_on(name: str, connection: Callable[[], HsmConnection]) -> None:
        try:
            while not done.is_set():
                try:
                    assert len(connection().draw(32)) == 32
                    drawn[name] += 1
                except ConnectionClosed:
                    assert name == "restless"
                    drawn["closed"] += 1
                    pause(0.0005)
        except BaseException as error:  # noqa: BLE001  # told to the main thread
            wrong.append(error)

    threads = [threading.Thread(target=draw_on, args=("steady", lambda: to_steady)) for _ in range(2)]
    threads += [threading.Thread(target=draw_on, args=("restless", lambda: current[0])) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(100):
        current[0].close()
        current[0] = bench.connect(restless)
        pause(0.001)
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert all(drawn.values())


def test_a_password_change(bench: Bench) -> None:
    """After C_SetPIN the session goes on, the old password is refused and the new one fits."""
    cluster = bench.create()
    connection = bench.connect(cluster)
    connection.set_password(PASSWORD, "anotherPswd456")
    assert connection.draw(8)
    connection.close()
    with pytest.raises(ConnectFailed, match="INVALID_CREDENTIALS"):
        bench.connect(cluster)
    assert bench.connect(cluster, "anotherPswd456").draw(8)


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [("not-the-old", "anotherPswd456", "CKR_PIN_INCORRECT"), (PASSWORD, "abc", "CKR_PIN_LEN_RANGE")],
)
def test_a_password_change_that_is_refused(bench: Bench, old: str, new: str, word: str) -> None:
    """C_SetPIN's refusal comes out in its own words, and the connection and the password stay."""
    cluster = bench.create()
    connection = bench.connect(cluster)
    with pytest.raises(HsmUnavailable, match=word):
        connection.set_password(old, new)
    assert connection.draw(8)
    connection.close()
    assert bench.connect(cluster).draw(8)


def test_a_password_change_whose_copy_cannot_be_written(bench: Bench) -> None:
    """The caller hears of it, because a kill could now bring the old password back."""
    cluster = bench.create()
    connection = bench.connect(cluster)
    backup = bench.home(cluster) / "token.object.bak"
    backup.unlink()
    backup.mkdir()
    (backup / "in-the-way").touch()
    with pytest.raises(HsmUnavailable, match="copy"):
        connection.set_password(PASSWORD, "anotherPswd456")
    shutil.rmtree(backup)
    connection.close()
    assert bench.connect(cluster, "anotherPswd456").draw(8)
