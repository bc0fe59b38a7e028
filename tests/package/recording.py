"""Record a data directory, so that later versions can be held to opening it.

`python -m tests.package.recording` writes recorded/<revision>.tar.gz for the schema of this checkout;
`python -m tests.package.recording DIRECTORY` for another one's, whose code is run. What is in it is told by
`told.json` beside the data: ids, and a ciphertext.
"""

import base64
import json
import sqlite3
import sys
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from tests.house.tidy import ROOT
from tests.server import Server

RECORDED = Path(__file__).with_name("recorded")
PLAINTEXT = b"written by an older version"


class ServerOf(Server):
    """`hsmstore serve` of the code in a directory."""

    def __init__(self, code: Path, data_dir: Path) -> None:
        super().__init__(data_dir, "--profile", "instant")
        # -P: not of the directory where this is typed
        self.program = ["env", f"PYTHONPATH={code}", sys.executable, "-P", "-m", "hsmstore"]


def record(code: Path) -> Path:
    """Let the code live a little, and keep its data directory; return the file."""
    with tempfile.TemporaryDirectory() as room:
        server = ServerOf(code, Path(room) / "data")
        server.start()
        try:
            told = _live(server)
        finally:
            server.stop()
        (server.data_dir / "told.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        with closing(sqlite3.connect(server.data_dir / "registry.sqlite3")) as registry:
            ((revision,),) = registry.execute("SELECT version_num FROM alembic_version").fetchall()
        RECORDED.mkdir(exist_ok=True)
        kept = RECORDED / f"{revision}.tar.gz"
        with tarfile.open(kept, "w:gz") as archive:
            archive.add(server.data_dir, "data", filter=_anonymous)
    return kept


def _live(server: Server) -> dict[str, Any]:
    """Make what a data directory can hold, and return what is needed to find it again."""
    store = server.new_store("old")
    external = server.new_external_store("old-external")
    kms = server.kms()
    kms.connect_custom_key_store(CustomKeyStoreId=store)
    kms.generate_random(NumberOfBytes=1, CustomKeyStoreId=store)
    told = {"Store": store, "External": external}
    try:
        key = kms.create_key(Origin="AWS_CLOUDHSM", CustomKeyStoreId=store)["KeyMetadata"]["KeyId"]
    except ClientError:
        return told  # from before there were keys
    kms.create_alias(AliasName="alias/old", TargetKeyId=key)
    try:
        blob = kms.encrypt(KeyId=key, Plaintext=PLAINTEXT)["CiphertextBlob"]
    except ClientError:
        return {**told, "Key": key}  # from before they could be used
    return {**told, "Key": key, "Ciphertext": base64.b64encode(blob).decode()}


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave out who recorded it, and the lock of who owned it."""
    entry.uid, entry.gid, entry.uname, entry.gname = 0, 0, "", ""
    return None if entry.name.endswith("owner.lock") else entry


if __name__ == "__main__":
    sys.stdout.write(f"{record(Path(sys.argv[1]).resolve() if sys.argv[1:] else ROOT)}\n")
