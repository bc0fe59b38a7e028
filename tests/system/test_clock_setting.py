"""The clock's arithmetic, whatever is done to it: it never goes back, and it never sticks."""

from hypothesis import given
from hypothesis import strategies as st

from hsmstore.domain.clock import ClockSetting
from hsmstore.system.clock import SystemClock

SECONDS = st.floats(0, 10 * 366 * 86_400)
RATES = st.floats(0, 1_000_000)
STEPS = st.lists(
    st.tuples(
        SECONDS, st.one_of(st.tuples(st.just("advanced"), SECONDS), st.tuples(st.just("running"), RATES))
    )
)
NOW = 1_800_000_000.0


@given(steps=STEPS)
def test_it_never_goes_back(steps: list[tuple[float, tuple[str, float]]]) -> None:
    """Whatever passes and however it is set, the clock shows no time before one that it has shown."""
    real, setting = NOW, ClockSetting(NOW, NOW)
    for passing, (change, amount) in steps:
        before = setting.at(real)
        real += passing
        assert setting.at(real) >= before
        before = setting.at(real)
        setting = getattr(setting, change)(real, amount)
        assert setting.at(real) >= before


@given(back=SECONDS, rate=RATES)
def test_a_real_clock_set_back_does_not_set_it_back(back: float, rate: float) -> None:
    """A real time before the anchor shows the anchor."""
    assert ClockSetting(NOW, NOW, rate).at(NOW - back) == NOW


def test_it_starts_where_the_registry_stands() -> None:
    """A machine that was set back by years starts at the latest change, and time passes from there."""
    clock = SystemClock(not_before=SystemClock().now() + 1e9)
    start = clock.now()
    assert start >= SystemClock().now() + 1e9 - 60
    while clock.now() == start:
        pass
    assert clock.now() > start


def test_a_setting_from_the_future_runs() -> None:
    """A setting anchored to a real time that the machine has not reached again does not stand still."""
    ahead = SystemClock().real() + 1e6
    clock = SystemClock(ClockSetting(ahead, ahead + 50, 1000.0))
    start = clock.now()
    assert start >= ahead + 50
    while clock.now() == start:
        pass
    assert clock.now() > start


def test_a_frozen_setting_from_the_future_stands() -> None:
    """The same with a stopped clock, which stands where it stood, or at the latest change."""
    ahead = SystemClock().real() + 1e6
    assert SystemClock(ClockSetting(ahead, ahead, 0.0)).now() == ahead
    clock = SystemClock(ClockSetting(ahead, ahead, 0.0), not_before=ahead + 7)
    assert clock.now() == clock.now() == ahead + 7
