"""A program with an event loop, on aiobotocore: what it does with a key store and a key, as a line of JSON.

It runs by itself: aiobotocore is bound to a botocore that is not the one of the tests.
"""

import asyncio
import base64
import json
import sys
from typing import Any

import aiobotocore
from aiobotocore.session import get_session

DRAWS = 64
LENGTH = 32


async def refused(call: Any) -> tuple[str, str]:
    """Return the name and the text of the client's own exception."""
    try:
        await call
    except Exception as error:  # noqa: BLE001  # whatever it is, the test looks at it
        return type(error).__name__, str(error)
    return "", ""


async def use(kms: Any, store: str, key: str) -> dict[str, Any]:
    """Draw at a time, use the key, list in pages, and do the same with the store disconnected."""
    draws = (kms.generate_random(NumberOfBytes=LENGTH, CustomKeyStoreId=store) for _ in range(DRAWS))
    drawn = [answer["Plaintext"].hex() for answer in await asyncio.gather(*draws)]
    sealed = (await kms.encrypt(KeyId=key, Plaintext=b"attack at dawn"))["CiphertextBlob"]
    opened = (await kms.decrypt(CiphertextBlob=sealed))["Plaintext"]
    pages = kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 1})
    listed = [key["KeyId"] async for page in pages for key in page["Keys"]]
    await kms.disconnect_custom_key_store(CustomKeyStoreId=store)
    return {
        "version": aiobotocore.__version__,
        "drawn": drawn,
        "opened": base64.b64encode(opened).decode(),
        "listed": listed,
        "draw": await refused(kms.generate_random(NumberOfBytes=LENGTH, CustomKeyStoreId=store)),
        "decrypt": await refused(kms.decrypt(CiphertextBlob=sealed)),
    }


async def main(store: str, key: str) -> None:
    """Find the server as any client of AWS does, in the environment."""
    async with get_session().create_client("kms") as kms:
        sys.stdout.write(json.dumps(await use(kms, store, key)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
