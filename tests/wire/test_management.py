"""The management API, which AWS does not have: routes, refusals, document, and what it never says."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hsmstore.control.routes import PREFIX, ROUTES, Route
from tests.registries import REGISTRIES
from tests.server import PASSWORD, Server, external_members, running

pytestmark = pytest.mark.simulator_only

INVALID = "CloudHsmInvalidRequestException"
NOT_FOUND = "CloudHsmResourceNotFoundException"
UNKNOWN = "/clusters/cluster-22222222222"


def refused(answer: tuple[int, Any]) -> tuple[int, str]:
    """Return status and exception of a refusal; its body is CloudHSM's: `__type` and `Message`, no more."""
    status, body = answer
    assert body.keys() == {"__type", "Message"}
    assert body["Message"]
    return status, body["__type"]


def test_cluster(server: Server) -> None:
    """A new cluster is ACTIVE, with two HSMs in different zones, a trust anchor, a kmsuser and a token."""
    cluster = server.new_cluster()
    assert re.fullmatch("cluster-[2-7a-zA-Z]{11,16}", cluster["CloudHsmClusterId"])
    assert cluster["State"] == "ACTIVE"
    assert len({hsm["AvailabilityZone"] for hsm in cluster["Hsms"]}) == 2
    assert all(re.fullmatch("hsm-[2-7a-zA-Z]{11,16}", hsm["HsmId"]) for hsm in cluster["Hsms"])
    assert cluster["TrustAnchorCertificate"].startswith("-----BEGIN CERTIFICATE-----")
    assert cluster["KmsuserExists"] is True
    assert server.manage("GET", f"/clusters/{cluster['CloudHsmClusterId']}") == (200, cluster)


@pytest.mark.parametrize(("count", "state"), [(0, "UNINITIALIZED"), (1, "ACTIVE"), (28, "ACTIVE")])
def test_number_of_hsms(server: Server, count: int, state: str) -> None:
    """A cluster has as many HSMs as are asked for, and without one it is UNINITIALIZED."""
    cluster = server.new_cluster(HsmCount=count)
    assert (len(cluster["Hsms"]), cluster["State"]) == (count, state)


def test_list(server: Server) -> None:
    """Clusters are listed oldest first, all of them or those of an account, a Region, or both."""
    there = {"AccountId": "444455556666", "Region": "ap-south-1"}
    elsewhere = {"AccountId": "444455556666", "Region": "ap-south-2"}
    ids = [server.new_cluster(**scope)["CloudHsmClusterId"] for scope in (there, there, elsewhere)]

    def listed(query: str) -> list[str]:
        status, answer = server.manage("GET", f"/clusters{query}")
        assert status == 200
        return [cluster["CloudHsmClusterId"] for cluster in answer["Clusters"]]

    assert listed("?AccountId=444455556666") == ids
    assert listed("?Region=ap-south-1") == ids[:2]
    assert listed("?AccountId=444455556666&Region=ap-south-2") == ids[2:]
    assert listed("?AccountId=444455556667") == []
    assert [cluster for cluster in listed("") if cluster in ids] == ids


def test_delete(server: Server) -> None:
    """A deleted cluster is unknown, and its token's files are gone."""
    cluster = server.new_cluster()["CloudHsmClusterId"]
    of_cluster = f"**/*{cluster}*"
    assert list(server.data_dir.glob(of_cluster))
    assert server.manage("DELETE", f"/clusters/{cluster}") == (200, {})
    assert refused(server.manage("DELETE", f"/clusters/{cluster}")) == (404, NOT_FOUND)
    assert refused(server.manage("GET", f"/clusters/{cluster}")) == (404, NOT_FOUND)
    assert list(server.data_dir.glob(of_cluster)) == []


def test_kmsuser(server: Server) -> None:
    """A kmsuser is created once, changed while it exists, and deleted once."""
    path = f"/clusters/{server.new_cluster(KmsuserPassword=None)['CloudHsmClusterId']}"
    password = {"Password": PASSWORD}
    assert server.manage("GET", path)[1]["KmsuserExists"] is False
    assert refused(server.manage("PUT", f"{path}/kmsuser", password)) == (400, INVALID)
    assert refused(server.manage("DELETE", f"{path}/kmsuser")) == (400, INVALID)
    assert server.manage("POST", f"{path}/kmsuser", password)[1]["KmsuserExists"] is True
    assert refused(server.manage("POST", f"{path}/kmsuser", password)) == (400, INVALID)
    assert server.manage("PUT", f"{path}/kmsuser", password)[1]["KmsuserExists"] is True
    assert server.manage("DELETE", f"{path}/kmsuser")[1]["KmsuserExists"] is False
    assert refused(server.manage("DELETE", f"{path}/kmsuser")) == (400, INVALID)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", UNKNOWN),
        ("DELETE", UNKNOWN),
        ("POST", f"{UNKNOWN}/kmsuser"),
        ("PUT", f"{UNKNOWN}/kmsuser"),
        ("DELETE", f"{UNKNOWN}/kmsuser"),
        ("GET", "/clusters/%00"),
        ("GET", "/clusters/%ff"),
        ("GET", "/clusters/" + "x" * 5000),
    ],
)
def test_unknown_cluster(server: Server, method: str, path: str) -> None:
    """An unknown cluster is answered 404 on every route, whatever its id looks like."""
    body = {"Password": PASSWORD} if method in {"POST", "PUT"} else None
    assert refused(server.manage(method, path, body)) == (404, NOT_FOUND)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/", 405),
        ("GET", "/nothing", 404),
        ("GET", "x", 404),
        ("GET", "/clusters/..%2f..%2fmaster.key", 404),
        ("POST", "/clusters/", 405),
        ("PATCH", "/clusters", 405),
        ("DELETE", "/clusters", 405),
        ("POST", UNKNOWN, 405),
        ("GET", f"{UNKNOWN}/kmsuser", 405),
        ("POST", "/health", 405),
        ("DELETE", "/openapi.json", 405),
    ],
)
def test_unknown_route(server: Server, method: str, path: str, status: int) -> None:
    """An unknown path is answered 404, an unknown method 405, in the API's own form."""
    assert refused(server.manage(method, path)) == (status, INVALID)


BAD_BODIES = {
    "not JSON": b"{",
    "a list": b"[]",
    "a string": b'"x"',
    "null": b"null",
    "not UTF-8": b'{"X":"\xff"}',
    "deep": b'{"X":' * 50_000 + b"1" + b"}" * 50_000,
    "too large": b'{"X":"' + b"x" * 1_100_000 + b'"}',
    "float": b'{"HsmCount":1.5}',
    "wrong type": b'{"HsmCount":"2"}',
    "true": b'{"HsmCount":true}',
    "negative": b'{"HsmCount":-1}',
    "too many": b'{"HsmCount":29}',
    "huge": b'{"HsmCount":' + b"9" * 4000 + b"}",
    "short password": b'{"KmsuserPassword":"secret"}',
    "long password": b'{"KmsuserPassword":"' + b"x" * 33 + b'"}',
    "password no string": b'{"KmsuserPassword":1234567}',
    "account": b'{"AccountId":"12345"}',
    "account in other digits": json.dumps({"AccountId": "\u0661" * 12}).encode(),
    "Region": b'{"Region":"US EAST"}',
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
def test_bad_body(server: Server, body: bytes) -> None:
    """A body that is malformed, of a wrong type or beyond a bound is answered 400 and makes no cluster."""
    before = server.manage("GET", "/clusters")
    answer = server.request("POST", f"{PREFIX}/clusters", body, {"Content-Type": "application/json"})
    assert refused((answer.status, json.loads(answer.body))) == (400, INVALID)
    assert server.manage("GET", "/clusters") == before


@pytest.mark.parametrize(
    "query", ["?AccountId=1", "?Region=US%20EAST", "?AccountId=111122223333&AccountId=1"]
)
def test_bad_query(server: Server, query: str) -> None:
    """A query beyond a bound is answered 400."""
    assert refused(server.manage("GET", f"/clusters{query}")) == (400, INVALID)


def test_refusal_names_the_member_and_not_its_value(server: Server) -> None:
    """A refusal says which member is wrong, and never what a password was."""
    _, answer = server.manage("POST", "/clusters", {"KmsuserPassword": "canary"})
    assert "KmsuserPassword" in answer["Message"]
    assert "canary" not in answer["Message"]


def test_health(server: Server) -> None:
    """Health says that calls are served, and for whom."""
    status, health = server.manage("GET", "/health")
    assert status == 200
    assert health["status"] == "ok"
    assert (health["account"], health["region"], health["profile"]) == (
        "000000000000",
        "us-east-1",
        "instant",
    )


# The document.


@pytest.fixture(scope="module")
def document(server: Server) -> Any:
    """Fetch the OpenAPI document."""
    status, document = server.manage("GET", "/openapi.json")
    assert status == 200
    return document


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of a JSON document."""
    if isinstance(node, dict):
        yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes(inner)


def test_document_refers_to_what_it_has(document: Any) -> None:
    """Every reference in the document resolves, and every component is referred to."""
    references = {node["$ref"] for node in nodes(document) if "$ref" in node}
    assert references
    for reference in references:
        target = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
    unused = {
        name for name in document["components"]["schemas"] if f"#/components/schemas/{name}" not in references
    }
    # A request whose members are all in the path or the query is described there.
    assert all(name.endswith("Request") for name in unused)


def test_document_has_every_route(document: Any) -> None:
    """Document and table name the same routes, each with an id of its own and every path parameter."""
    listed = {
        (method.upper(), path): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    assert listed.keys() == {(route.method, PREFIX + route.path) for route in ROUTES}
    ids = [operation["operationId"] for operation in listed.values()]
    assert len(set(ids)) == len(ids)
    for (_, path), operation in listed.items():
        named = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))
        assert operation["responses"].keys() == {"200", "default"}


BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/clusters/{ClusterId}/kmsuser"): {"Password": PASSWORD},
    ("PUT", "/clusters/{ClusterId}/kmsuser"): {"Password": PASSWORD},
    ("PUT", "/clusters/{ClusterId}/network"): {"Reachable": True},
    ("PUT", "/clusters/{ClusterId}/subnets/{SubnetId}"): {"FreeAddresses": 1},
    ("POST", "/clock/advance"): {"Seconds": 0},
    ("PUT", "/clock/rate"): {"Rate": 1},
    ("POST", "/faults"): {"Point": "GenerateRandom", "Effect": "latency", "Seconds": 0.001},
}


UNDONE_FIRST = {
    ("POST", "/clusters/{ClusterId}/kmsuser"): "DELETE",
    ("DELETE", "/clusters/{ClusterId}/kmsuser/session"): "POST",
}


PRINCIPAL = "caller"


def new_ids(server: Server) -> dict[str, str]:
    """Make one of everything that a path can name; give the ids by parameter."""
    cluster = server.new_cluster()
    on_cluster = f"/clusters/{cluster['CloudHsmClusterId']}"
    return {
        "ClusterId": cluster["CloudHsmClusterId"],
        "HsmId": cluster["Hsms"][0]["HsmId"],
        "SubnetId": cluster["Subnets"][0]["SubnetId"],
        "BackupId": server.manage("POST", f"{on_cluster}/backups")[1]["BackupId"],
        "FaultId": server.manage("POST", "/faults", BODIES["POST", "/faults"])[1]["FaultId"],
        "CustomKeyStoreId": server.new_store(f"for {cluster['CloudHsmClusterId']}", cluster),
        "Name": PRINCIPAL,
    }


def new_key(server: Server, key_store_id: str) -> str:
    """Connect the store and make a key in it; return its id."""
    kms = server.kms()
    kms.connect_custom_key_store(CustomKeyStoreId=key_store_id)
    key = kms.create_key(Origin="AWS_CLOUDHSM", CustomKeyStoreId=key_store_id)
    return str(key["KeyMetadata"]["KeyId"])


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve nobody but one principal: some routes change the whole world."""
    place = tmp_path_factory.mktemp("management")
    key = {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": "secret"}
    principal = {"Name": PRINCIPAL, "Account": "000000000000", "AccessKeys": [key]}
    principals = place / "principals.json"
    principals.write_text(json.dumps({"Principals": [principal]}))
    principals.chmod(0o600)
    options = ("--key-store-quota", "1000", "--principals", str(principals), "--iam", "warn")
    with running(place / "data", "--profile", "instant", *options) as server:
        server.kms(account=key["AccessKeyId"]).generate_random(NumberOfBytes=1)
        yield server


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_answers_as_documented(own: Server, document: Any, route: Route) -> None:
    """Every documented route answers 200, with the members that its schema requires and no others."""
    ids = new_ids(own)
    if "/keys" in route.path:
        ids["KeyId"] = new_key(own, ids["CustomKeyStoreId"])
    path = route.path.format(**ids)
    if (route.method, route.path) in UNDONE_FIRST:
        assert own.manage(UNDONE_FIRST[route.method, route.path], path)[0] == 200
    status, answer = own.manage(route.method, path, BODIES.get((route.method, route.path)))
    assert status == 200, answer
    operation = document["paths"][PREFIX + route.path][route.method.lower()]
    reference = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    schema = document["components"]["schemas"][reference.rpartition("/")[2]]
    assert set(schema.get("required", ())) <= answer.keys() <= schema["properties"].keys()


# What is never said.

CANARIES = {
    "kmsuser": "Canary0Kmsuser0Password0Qx",
    "other": "Canary1Other1Password1Qx",
    "wrong": "Canary2Wrong2Password2Qx",
    "pin": "Canary3Crypto3Officer3Qx",
    "secret": "Canary4Secret4Access4Key4Qx4" + "x" * 20,
}


def _use_every_secret(server: Server) -> Iterator[bytes]:
    """Use each canary on every way that takes one; yield what is answered."""

    def manage(method: str, path: str, body: Any = None) -> bytes:
        status, answer = server.manage(method, path, body)
        assert status == 200, answer
        return json.dumps(answer).encode()

    cluster = server.new_cluster(KmsuserPassword=CANARIES["kmsuser"], CryptoOfficerPin=CANARIES["pin"])
    yield json.dumps(cluster).encode()
    path = f"/clusters/{cluster['CloudHsmClusterId']}"
    store = server.new_store("canary", cluster)
    update = {"CustomKeyStoreId": store}
    for name in ("wrong", "kmsuser"):
        yield server.call("UpdateCustomKeyStore", {**update, "KeyStorePassword": CANARIES[name]}).body
        yield server.call("ConnectCustomKeyStore", update).body
        yield server.call("DescribeCustomKeyStores", {}).body
        yield server.call("DisconnectCustomKeyStore", update).body
    yield manage("PUT", f"{path}/kmsuser", {"Password": CANARIES["other"]})
    yield manage("DELETE", f"{path}/kmsuser")
    yield manage("POST", f"{path}/kmsuser", {"Password": CANARIES["other"]})
    for password in CANARIES.values():  # too long or in the wrong member: refused
        yield server.call("UpdateCustomKeyStore", {**update, "KeyStorePassword": password * 2}).body
        yield server.call("CreateCustomKeyStore", {"KeyStorePassword": [password]}).body
        yield json.dumps(server.manage("POST", "/clusters", {"KmsuserPassword": password * 2})[1]).encode()
    credential = {"AccessKeyId": "ABCDEFGHIJKLMNOPQRST", "RawSecretAccessKey": CANARIES["secret"]}
    external = {**external_members("x"), "XksProxyAuthenticationCredential": credential}
    yield server.call("CreateCustomKeyStore", {"CustomKeyStoreName": "x", **external}).body
    yield server.call("DescribeCustomKeyStores", {}).body
    yield manage("GET", "/clusters")


def test_secrets_are_never_told(tmp_path: Path) -> None:
    """No password, PIN or secret key is in an answer, in the log, or in a file of the data directory."""
    with running(tmp_path / "data", "--profile", "instant", "--log-level", "debug") as server:
        answers = b"".join(_use_every_secret(server))
        places = {"answers": answers, "log": server.log.encode()}
        places |= {str(path): path.read_bytes() for path in server.data_dir.rglob("*") if path.is_file()}
        server.stop()
        places |= {
            f"{path} after": path.read_bytes() for path in server.data_dir.rglob("*") if path.is_file()
        }
        server.start()
    if REGISTRIES.postgres is not None:
        places["registry"] = REGISTRIES.postgres.dump(server.registry_url)
    assert any("registry" in place for place in places)
    found = {
        (name, place)
        for place, text in places.items()
        for name, canary in CANARIES.items()
        if _is_in(canary, text)
    }
    assert found == set()


def _is_in(canary: str, text: bytes) -> bool:
    """Tell whether a text holds the canary, as it is, in UTF-16, or in hexadecimal."""
    plain = canary.encode()
    forms = (plain, canary.encode("utf-16-le"), plain.hex().encode(), plain.hex().upper().encode())
    return any(form in text for form in forms)
