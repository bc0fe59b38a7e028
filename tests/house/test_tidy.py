"""Style as a test: every rule holds in every file, and every rule can fail."""

import pytest

from tests.house.tidy import RULES, Rule, Source, function_lengths, sources, too_long_as_a_whole


@pytest.fixture(scope="module")
def files() -> list[Source]:
    """Return the files of the project."""
    return sources()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rule_holds(rule: Rule, files: list[Source]) -> None:
    """No file breaks the rule."""
    broken = [f"{file.path}: {what}" for file in files for what in rule.broken(file)]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rule_catches(rule: Rule) -> None:
    """The rule finds what is wrong with its sample."""
    assert list(rule.broken(rule.sample)) != []


def test_functions_are_short(files: list[Source]) -> None:
    """The typical function fits in a glance, and nearly all fit on a screen."""
    assert too_long_as_a_whole([length for file in files for _, length in function_lengths(file)]) is None


@pytest.mark.parametrize("lengths", [[11] * 100, [3] * 90 + [41] * 10], ids=["median", "tail"])
def test_long_functions_are_noticed(lengths: list[int]) -> None:
    """A high median or a long tail is too long."""
    assert too_long_as_a_whole(lengths) is not None
