"""The order of the tests' files names files that are there."""

from tests.order import HERE, LONGEST


def test_what_is_to_begin_first_is_there() -> None:
    """A file that was renamed would begin late, and nobody would see why the run takes longer."""
    assert [name for name in LONGEST if not (HERE / name).is_file()] == []
    assert len(set(LONGEST)) == len(LONGEST)
