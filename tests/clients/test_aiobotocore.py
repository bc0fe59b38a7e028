"""aiobotocore: many draws at a time from one event loop, and a key store that goes away under them."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path

from tests.wire.keys import Keys

HERE = Path(__file__).parent
INSTALLED = Path(sys.prefix) / "aiobotocore"
LOCK = HERE.parent / "testing" / "aiobotocore.lock"
DRAWS = 64


def test_a_program(keys: Keys, environment: dict[str, str]) -> None:
    """Draws under way together get bytes of their own; a key works; refusals are the client's exceptions."""
    assert (INSTALLED / "aiobotocore").is_dir(), "type: make setup-tests"
    made = [keys.create() for _ in range(2)]
    done = subprocess.run(
        [sys.executable, str(HERE / "asynchronous.py"), keys.store, made[0]],
        env={**environment, "PYTHONPATH": str(INSTALLED)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    (locked,) = re.findall(r"^aiobotocore==(\S+)", LOCK.read_text(), re.MULTILINE)
    assert said["version"] == locked
    assert {len(bytes.fromhex(one)) for one in said["drawn"]} == {32}
    assert len(set(said["drawn"])) == DRAWS
    assert base64.b64decode(said["opened"]) == b"attack at dawn"
    assert set(made) <= set(said["listed"])
    assert said["draw"][0] == "CustomKeyStoreInvalidStateException"
    assert said["decrypt"][0] == "KMSInvalidStateException"
    assert said["decrypt"][1].endswith(f"{keys.arn(made[0])} is unavailable.")
