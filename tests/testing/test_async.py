"""aiobotocore at the endpoint of a test's simulator.

It wants a botocore of its own, older than everybody else's, so `.ci/setup --tests` installs it by itself.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from hsmstore.testing import Simulation

PLACE = Path(sys.prefix) / "aiobotocore"

PROGRAM = """
import asyncio, json, sys
from aiobotocore.session import get_session
from botocore.exceptions import ClientError

KEYS = {"region_name": "us-east-1", "aws_access_key_id": "any", "aws_secret_access_key": "any"}

async def drawn(kms, store):
    try:
        answer = await kms.generate_random(NumberOfBytes=32, CustomKeyStoreId=store)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return len(answer["Plaintext"])

async def main(endpoint, store):
    async with get_session().create_client("kms", endpoint_url=endpoint, **KEYS) as kms:
        together = await asyncio.gather(*(drawn(kms, store) for _ in range(20)))
        await kms.disconnect_custom_key_store(CustomKeyStoreId=store)
        return [together, await drawn(kms, store)]

print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
"""


def told(*arguments: str) -> Any:
    """Run the program, which sees aiobotocore; return what it tells."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env={"PYTHONPATH": str(PLACE)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_aiobotocore(hsmstore: Simulation, hsmstore_endpoint: str, key_store: str) -> None:
    """Draws made together are all served; what it does to the key store is seen in the test."""
    assert told(hsmstore_endpoint, key_store) == [[32] * 20, "CustomKeyStoreInvalidStateException"]
    assert hsmstore.key_store(key_store)["ConnectionState"] == "DISCONNECTED"
