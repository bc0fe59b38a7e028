"""Each schema has a data directory that was written with it."""

from hsmstore.storage.migrations import REVISIONS
from tests.package.recording import RECORDED


def test_every_schema_is_recorded() -> None:
    """A new revision brings the recording by which later versions are held to it; a renumbered one, anew."""
    recorded = {path.name.removesuffix(".tar.gz") for path in RECORDED.iterdir()}
    assert recorded == set(REVISIONS), "type: .venv/bin/python -m tests.package.recording"
