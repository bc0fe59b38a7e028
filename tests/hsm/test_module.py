"""The copies of a module that are lent out."""

import ctypes
import mmap
import os
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.hsm.codepages import MAPPINGS, share_code
from hsmstore.hsm.module import lent_module
from hsmstore.hsm.profile import load_profile
from tests.hsm.conftest import CLUSTER_ID, Bench


def loaded_copies() -> int:
    """Return how many copies of SoftHSM2 the loader holds."""
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    return len({line.split(maxsplit=5)[5] for line in lines if "/libsofthsm2-" in line})


def test_copies_are_lent_again(bench: Bench) -> None:
    """Fifty leases over three clusters load no more copies than were in use at once."""
    clusters = [bench.create(f"{CLUSTER_ID[:-1]}{letter}") for letter in "abc"]
    connections = [bench.connect(cluster) for cluster in clusters]
    for connection in connections:
        connection.close()
    before = loaded_copies()
    for turn in range(50):
        connection = bench.connect(clusters[turn % 3])
        assert connection.draw(8)
        connection.close()
    assert loaded_copies() == before >= 3


def test_an_upgraded_module_is_loaded_anew(tmp_path: Path) -> None:
    """When the package is upgraded, the next lease is a copy of the new file, never an older copy."""
    profile = load_profile("softhsm2")
    source = tmp_path / "lib.so"
    shutil.copyfile(profile.locate(), source)
    with lent_module(profile, source, tmp_path / "modules") as module:
        first = module
    with lent_module(profile, source, tmp_path / "modules") as module:
        assert module is first
    os.utime(source, ns=(0, 0))
    with lent_module(profile, source, tmp_path / "modules") as module:
        assert module is not first


def test_a_module_that_must_not_be_copied(tmp_path: Path) -> None:
    """A module without private copies serves one cluster at a time and is lent again afterwards."""
    profile = load_profile("opencryptoki")
    source = tmp_path / "lib.so"
    shutil.copyfile(load_profile("softhsm2").locate(), source)
    with lent_module(profile, source, tmp_path) as first:
        with (
            pytest.raises(EnvironmentUnfit, match="one cluster at a time"),
            lent_module(profile, source, tmp_path),
        ):
            pass
        with (
            pytest.raises(EnvironmentUnfit, match="one cluster at a time"),
            lent_module(profile, source, tmp_path),
        ):
            pass
    with lent_module(profile, source, tmp_path) as again:
        assert again is first


def test_a_copy_that_cannot_be_written(bench: Bench) -> None:
    """Where the directory of the copies is in the way, one line says so."""
    bench.directory.mkdir()
    (bench.directory / "modules").write_text("in the way")
    source = load_profile("softhsm2").locate()
    with (
        pytest.raises(FileExistsError),
        lent_module(load_profile("softhsm2"), _fresh(source, bench.directory), bench.directory / "modules"),
    ):
        pass


def test_copies_share_their_code(bench: Bench, tmp_path: Path) -> None:
    """Each copy runs the code of the first, writes to its own pages, and works, whatever else is mapped."""
    profile, source = load_profile("softhsm2"), _fresh(load_profile("softhsm2").locate(), tmp_path)
    home = {"SOFTHSM2_CONF": str(bench.home(bench.create()) / "softhsm2.conf")}
    before = {*mapped("r-xp")}, {*mapped("rw-p")}
    odd = tmp_path / os.fsdecode(b"named in Latin-1: caf\xe9")
    odd.write_bytes(b"odd")
    with ExitStack() as stack, odd.open() as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ):
        modules = [stack.enter_context(lent_module(profile, source, tmp_path)) for _ in range(3)]
        assert [len({*mapped(kind)} - had) for kind, had in zip(("r-xp", "rw-p"), before, strict=True)] == [
            1,
            3,
        ]
        for module in modules:
            module.initialize(home)
            with module.find_token(CLUSTER_ID).open() as session:
                assert any(session.generate_random(128))


def test_copies_for_other_addresses_share_their_code(tmp_path: Path) -> None:
    """What differs between them is where they talk to, not what they run; nothing is asked of an address."""
    profile = load_profile("p11-kit")
    source = _fresh(profile.locate(), tmp_path)
    before = {*mapped("r-xp")}
    with ExitStack() as stack:
        for name in ("one", "other"):
            stack.enter_context(lent_module(profile, source, tmp_path, f"unix:path={tmp_path}/{name}"))
        assert len({*mapped("r-xp")} - before) == 1


def test_other_code_is_not_shared(tmp_path: Path) -> None:
    """A copy whose code is not the first one's keeps its own: no page is taken for another by its name."""
    source = load_profile("softhsm2").locate()
    copies = [Path(shutil.copyfile(source, tmp_path / f"{name}.so")) for name in ("first", "same", "other")]
    before = mapped("r-xp")
    for copy in copies:
        if copy.stem == "other":
            _alter(copy, mapped("r-xp")[copies[0].stat().st_ino])
        ctypes.CDLL(str(copy))
        share_code(copy, tmp_path)
    assert {*mapped("r-xp")} - {*before} == {copies[0].stat().st_ino, copies[2].stat().st_ino}


def _alter(copy: Path, code: range) -> None:
    octets = bytearray(copy.read_bytes())
    octets[code[len(code) // 2]] ^= 0xFF
    copy.write_bytes(octets)


def mapped(permissions: str) -> dict[int, range]:
    """Return the inodes of the files that are mapped so, each with the last such part of it."""
    found = {}
    for line in MAPPINGS.read_text(errors="replace").splitlines():
        addresses, granted, offset, _, inode, *_ = line.split()
        if granted == permissions:
            start, end = (int(address, 16) for address in addresses.split("-"))
            found[int(inode)] = range(int(offset, 16), int(offset, 16) + end - start)
    return found


def _fresh(source: Path, directory: Path) -> Path:
    """Return a source of which the pool has no copy yet."""
    return Path(shutil.copyfile(source, directory / "fresh.so"))
