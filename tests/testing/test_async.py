"""aiobotocore in the process of a simulator: another than the tests', which have another botocore."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PLACE = Path(sys.prefix) / "aiobotocore"
NOBODY = "http://127.0.0.1:9"
"""Where a client goes that is not caught: to a port at which nobody listens."""

PROGRAM = """
import asyncio, json
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError
from hsmstore.testing import simulated

async def drawn(kms, store):
    try:
        answer = await kms.generate_random(NumberOfBytes=32, CustomKeyStoreId=store)
    except (ClientError, BotoCoreError) as error:
        return type(error).__name__
    return len(answer["Plaintext"])

def client(session):
    return session.create_client("kms", "us-east-1", aws_access_key_id="any", aws_secret_access_key="any")

made_before = get_session()

@simulated
async def told(sim):
    async with client(made_before) as kms:
        before = [await drawn(kms, sim.store)]
        sim.attach(kms)
        before.append(await drawn(kms, sim.store))
    async with get_session().create_client("kms") as kms:
        together = await asyncio.gather(*(drawn(kms, sim.store) for _ in range(20)))
        await kms.disconnect_custom_key_store(CustomKeyStoreId=sim.store)
        return [before, together, await drawn(kms, sim.store), sim.key_store(sim.store)["ConnectionState"]]

print(json.dumps(asyncio.run(told())))
"""


def told() -> Any:
    """Run the program, which sees aiobotocore; return what it tells."""
    assert (PLACE / "aiobotocore").is_dir(), "type: make setup-tests"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PYTHONPATH": str(PLACE), "AWS_ENDPOINT_URL": NOBODY, "AWS_MAX_ATTEMPTS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_aiobotocore() -> None:
    """A session that is made in the context reaches the simulator, and so does a client that is attached."""
    before, together, refused, state = told()
    assert before == ["EndpointConnectionError", 32]
    assert together == [32] * 20
    assert (refused, state) == ("CustomKeyStoreInvalidStateException", "DISCONNECTED")
