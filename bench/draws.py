"""One process of `bench.beside`: a connected key store, and the CPU time of a draw through the application.

For each line on standard input it draws some thousand times and prints the CPU time of one, in µs.
"""

import json
import sys
import time  # noqa: TID251  # a benchmark measures
from copy import copy
from pathlib import Path

from hsmstore.bootstrap.parts import open_world
from hsmstore.domain.profile import Profile
from hsmstore.domain.tally import Tally
from hsmstore.service import clusters, connect, keystores
from hsmstore.service.shapes import KeyStoreRequest
from hsmstore.service.world import Call, World
from hsmstore.settings.fields import Settings
from hsmstore.system.clock import stopwatch
from hsmstore.wire.app import KmsApplication
from hsmstore.wire.http import Application, Request, Response
from hsmstore.wire.metering import PROMPT, MeteredApplication

DRAWS = 10_000
OK = 200
PASSWORD = "kmsuser1password"  # noqa: S105  # of a throw-away cluster
AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261123/us-east-1/kms/aws4_request,"
    f" SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature={'0' * 64}"
)


def connected_key_store(world: World) -> str:
    """Make a cluster and a key store on it, connect it, return its id."""
    call = Call(world.home, "bench")
    cluster = clusters.create_cluster(clusters.CreateClusterRequest(kmsuser_password=PASSWORD), call, world)
    request = keystores.CreateCustomKeyStoreRequest(
        custom_key_store_name="bench",
        cloud_hsm_cluster_id=cluster.cloud_hsm_cluster_id,
        trust_anchor_certificate=cluster.trust_anchor_certificate,
        key_store_password=PASSWORD,
    )
    key_store_id = keystores.create_custom_key_store(request, call, world).custom_key_store_id
    connect.connect_custom_key_store(KeyStoreRequest(custom_key_store_id=key_store_id), call, world)
    return key_store_id


def measure(application: Application, body: bytes) -> float:
    """Return the CPU time of one draw, in µs."""
    headers = {
        b"host": b"127.0.0.1:4599",
        b"content-type": b"application/x-amz-json-1.1",
        b"x-amz-target": b"TrentService.GenerateRandom",
        b"authorization": AUTHORIZATION.encode(),
    }
    return measure_request(application, Request(b"POST", b"/", headers, body))


def measure_request(application: Application, request: Request) -> float:
    """Return the CPU time of one draw by `request`, in µs."""
    before = time.process_time()
    for _ in range(DRAWS):
        response = application.begin(copy(request))
        if not isinstance(response, Response) or response.status != OK:
            raise RuntimeError(response)
    return (time.process_time() - before) / DRAWS * 1e6


def main() -> None:
    """Serve the measurements that standard input asks for."""
    with open_world(Settings(data_dir=Path(sys.argv[1]), profile=Profile.INSTANT)) as world:
        members = {"NumberOfBytes": 32, "CustomKeyStoreId": connected_key_store(world)}
        kms = KmsApplication(world, lambda _environ, _start: [])
        application = MeteredApplication(kms, Tally(PROMPT), stopwatch)
        for _ in sys.stdin:
            print(measure(application, json.dumps(members).encode()), flush=True)


if __name__ == "__main__":
    main()
