"""A small world with something to see on every page: stores that are connected, failed, and neither."""

from typing import NamedTuple

from tests.server import Server


class Scene(NamedTuple):
    """The stores of the scene, and the cluster behind the failed one."""

    demo: str
    failed: str
    spare: str
    cluster: str


def make_scene(server: Server) -> Scene:
    """Bring it about; the server must be instant."""
    kms = server.kms()
    demo = server.new_store("demo")
    kms.connect_custom_key_store(CustomKeyStoreId=demo)
    kms.generate_random(NumberOfBytes=32, CustomKeyStoreId=demo)
    cluster = server.new_cluster()
    failed = server.new_store("payments", cluster)
    on_cluster = f"/clusters/{cluster['CloudHsmClusterId']}"
    assert server.manage("PUT", f"{on_cluster}/network", {"Reachable": False})[0] == 200
    hsm = cluster["Hsms"][1]["HsmId"]
    assert server.manage("POST", f"{on_cluster}/hsms/{hsm}/stop")[0] == 200
    kms.connect_custom_key_store(CustomKeyStoreId=failed)
    answer = server.call("GenerateRandom", {"NumberOfBytes": 32, "CustomKeyStoreId": failed})
    assert answer.status == 400
    slow = {"Point": "draw", "Effect": "latency", "Seconds": 2, "CustomKeyStoreId": demo, "Times": 5}
    throttled = {"Point": "connect", "Effect": "connection-error", "Error": "INTERNAL_ERROR", "Every": 3}
    for fault in (slow, throttled):
        assert server.manage("POST", "/faults", fault)[0] == 200
    return Scene(demo, failed, server.new_store("archive"), str(cluster["CloudHsmClusterId"]))
