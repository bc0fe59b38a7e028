"""The profiles in softhsm/, and what is said of a bad one."""

from pathlib import Path

import pytest

from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.hsm.profile import load_profile, read_profile
from hsmstore.resources import resource

GOOD = """
description = "a module"
modules = ["/nowhere/lib.so"]
creates_tokens = false
private_copy = true
networked = false
[install]
apt = "apt-get install it"
dnf = "dnf install it"
brew = ""
"""


@pytest.mark.parametrize("path", sorted(resource("softhsm").glob("*.toml")), ids=lambda path: path.stem)
def test_every_profile_loads(path: Path) -> None:
    """Each file in softhsm/ is a profile that states its limits."""
    profile = load_profile(path.stem)
    assert profile.name == path.stem
    assert profile.limits


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("networked = false", "networked = 1"), "networked"),
        (("networked = false", ""), "networked"),
        (("networked", "netwroked"), "netwroked"),
        (("brew", "brwe"), "install"),
        (("networked = false", "networked = true\nenvironment = {A = 'b'}"), "environment"),
        (("[install]", "[install"), "line"),
    ],
)
def test_a_bad_profile(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    """A mistake in a profile is one line with file and key."""
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.replace(*change))
    with pytest.raises(EnvironmentUnfit) as refused:
        read_profile(path)
    assert str(path) in refused.value.reason
    assert said in refused.value.reason
    assert "\n" not in refused.value.reason


def test_a_missing_module(tmp_path: Path) -> None:
    """The mend says what to type, and leaves out systems for which nobody packages the module."""
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    with pytest.raises(EnvironmentUnfit, match="profile mine") as refused:
        read_profile(path).locate()
    assert "Debian, Ubuntu: apt-get install it" in refused.value.mend
    assert "macOS" not in refused.value.mend


def test_softhsm2_says_what_to_type(tmp_path: Path) -> None:
    """For SoftHSM2 there is a command for apt, dnf and brew."""
    with pytest.raises(EnvironmentUnfit) as refused:
        load_profile("softhsm2").locate(str(tmp_path / "lib.so"))
    for command in ("apt-get install -y", "dnf install -y softhsm", "brew install softhsm"):
        assert command in refused.value.mend


def test_p11_kit_is_asked_last(tmp_path: Path) -> None:
    """Where none of the paths exists, the `module:` line of p11-kit's own file is believed."""
    path = tmp_path / "mine.toml"
    path.write_text(f'p11_kit_module = "softhsm2.module"\n{GOOD}')
    assert read_profile(path).locate().name == "libsofthsm2.so"
