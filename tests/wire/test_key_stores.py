"""Creating, describing, updating and deleting CloudHSM key stores, through boto3."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.server import PASSWORD, Server, external_members, running
from tests.wire.refusals import code, refusal

NO_CLUSTER = "cluster-22222222222"


def members(cluster: Any, name: str, **others: Any) -> dict[str, Any]:
    """Return the members of a CloudHSM key store on the cluster."""
    return {
        "CustomKeyStoreName": name,
        "CloudHsmClusterId": cluster["CloudHsmClusterId"],
        "TrustAnchorCertificate": cluster["TrustAnchorCertificate"],
        "KeyStorePassword": PASSWORD,
        **others,
    }


def described(server: Server, key_store_id: str) -> dict[str, Any]:
    """Return the store's entry."""
    (entry,) = server.kms().describe_custom_key_stores(CustomKeyStoreId=key_store_id)["CustomKeyStores"]
    entry_of: dict[str, Any] = entry
    return entry_of


# Create.


@pytest.mark.aws_documented
@pytest.mark.parametrize(
    ("hsms", "exception"),
    [(0, "CloudHsmClusterNotActiveException"), (1, "CloudHsmClusterInvalidConfigurationException")],
)
def test_create_needs_active_hsms(server: Server, hsms: int, exception: str) -> None:
    """A cluster that is not ACTIVE, or has no two HSMs in different zones, backs no key store."""
    cluster = server.new_cluster(HsmCount=hsms)
    assert code(server.kms().create_custom_key_store, **members(cluster, f"hsms-{hsms}")) == exception
    assert code(server.kms().describe_custom_key_stores, CustomKeyStoreName=f"hsms-{hsms}") == (
        "CustomKeyStoreNotFoundException"
    )


@pytest.mark.aws_documented
def test_create_on_an_unknown_cluster(server: Server) -> None:
    """A cluster that is unknown, of another Region or of another account, backs no key store."""
    unknown = members(server.new_cluster(), "unknown-cluster", CloudHsmClusterId=NO_CLUSTER)
    not_found = "CloudHsmClusterNotFoundException"
    assert code(server.kms().create_custom_key_store, **unknown) == not_found
    for elsewhere in ({"Region": "eu-west-1"}, {"AccountId": "111122223333"}):
        foreign = members(server.new_cluster(**elsewhere), "foreign-cluster")
        assert code(server.kms().create_custom_key_store, **foreign) == not_found


@pytest.mark.aws_documented
def test_create_on_a_cluster_in_use(server: Server) -> None:
    """A cluster backs one key store, and another one once that is deleted."""
    cluster = server.new_cluster()
    kms = server.kms()
    first = server.new_store("in-use-1", cluster)
    assert (
        code(kms.create_custom_key_store, **members(cluster, "in-use-2")) == "CloudHsmClusterInUseException"
    )
    kms.delete_custom_key_store(CustomKeyStoreId=first)
    assert server.new_store("in-use-2", cluster) != first


@pytest.mark.aws_documented
@pytest.mark.parametrize("other", ["of another cluster", "no certificate", "cut short"])
def test_create_with_another_trust_anchor(server: Server, other: str) -> None:
    """A certificate that is not the cluster's trust anchor is refused, whatever it is."""
    cluster = server.new_cluster()
    anchor = {
        "of another cluster": server.new_cluster()["TrustAnchorCertificate"],
        "no certificate": "no certificate",
        "cut short": cluster["TrustAnchorCertificate"][:-40],
    }[other]
    wrong = members(cluster, f"anchor {other}", TrustAnchorCertificate=anchor)
    assert code(server.kms().create_custom_key_store, **wrong) == "IncorrectTrustAnchorException"


@pytest.mark.inferred(reason="PEM (RFC 7468) lets white space and line ends vary.")
def test_trust_anchor_in_another_spelling(server: Server) -> None:
    """The same certificate with other line ends or blank lines round it is the same trust anchor."""
    cluster = server.new_cluster()
    anchor = "\r\n" + cluster["TrustAnchorCertificate"].replace("\n", "\r\n") + "\r\n"
    assert server.kms().create_custom_key_store(
        **members(cluster, "anchor-spelling", TrustAnchorCertificate=anchor)
    )


@pytest.mark.aws_documented
def test_create_with_a_name_in_use(server: Server) -> None:
    """A name is unique among the key stores of both types, and letters of another case make another name."""
    server.new_store("taken")
    kms = server.kms()
    taken = "CustomKeyStoreNameInUseException"
    assert code(kms.create_custom_key_store, **members(server.new_cluster(), "taken")) == taken
    assert code(kms.create_custom_key_store, CustomKeyStoreName="taken", **external_members("taken")) == taken
    assert server.new_external_store("Taken")


NAMES = [
    "a" * 256,
    "  spaced  ",
    "\u00e4\u20ac\U0001f511",
    "line\nbreak",
    "'; DROP TABLE",
    "%",
    "\u202e",
    "\0",
]


@pytest.mark.aws_documented
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_name(server: Server, name: str) -> None:
    """The model sets no pattern: any name of 1 to 256 characters comes back as it was given."""
    created = server.kms().create_custom_key_store(
        CustomKeyStoreName=name, **external_members(f"name-{NAMES.index(name)}")
    )
    (entry,) = server.kms().describe_custom_key_stores(CustomKeyStoreName=name)["CustomKeyStores"]
    assert entry["CustomKeyStoreId"] == created["CustomKeyStoreId"]
    assert entry["CustomKeyStoreName"] == name


@pytest.mark.aws_documented
def test_repeated_create(server: Server) -> None:
    """Creating a DISCONNECTED key store again with the same properties returns its id."""
    same = members(server.new_cluster(), "repeated")
    kms = server.kms()
    first = kms.create_custom_key_store(**same)["CustomKeyStoreId"]
    again = kms.create_custom_key_store(**same, CustomKeyStoreType="AWS_CLOUDHSM")["CustomKeyStoreId"]
    assert again == first
    kms.connect_custom_key_store(CustomKeyStoreId=first)
    assert code(kms.create_custom_key_store, **same) == "CustomKeyStoreNameInUseException"


@pytest.mark.inferred(reason="A Create is a repeated one only if every property is the same.")
@pytest.mark.parametrize("member", ["CloudHsmClusterId", "TrustAnchorCertificate", "KeyStorePassword"])
def test_create_that_is_no_repetition(server: Server, member: str) -> None:
    """A Create under a known name that differs in one property is refused for the name."""
    other = members(server.new_cluster(), "x", KeyStorePassword="anotherpassword")[member]
    same = members(server.new_cluster(), f"not-repeated-{member}")
    server.kms().create_custom_key_store(**same)
    refused = code(server.kms().create_custom_key_store, **{**same, member: other})
    assert refused == "CustomKeyStoreNameInUseException"


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve with a quota of two key stores."""
    data_dir = tmp_path_factory.mktemp("quota") / "data"
    with running(data_dir, "--profile", "instant", "--key-store-quota", "2") as server:
        yield server


@pytest.mark.aws_documented
def test_quota(narrow: Server) -> None:
    """The quota counts both types in any state, for each account and Region by itself."""
    kms = narrow.kms()
    cluster = narrow.new_cluster()
    first = narrow.new_store("one", cluster)
    kms.connect_custom_key_store(CustomKeyStoreId=first)
    second = narrow.new_external_store("two")
    full = "LimitExceededException"
    assert code(kms.create_custom_key_store, **members(narrow.new_cluster(), "three")) == full
    assert code(kms.create_custom_key_store, CustomKeyStoreName="three", **external_members("three")) == full
    assert narrow.new_external_store("two") == second  # a repetition creates nothing
    elsewhere = narrow.kms(region="eu-west-1")
    assert elsewhere.create_custom_key_store(CustomKeyStoreName="one", **external_members("one"))
    kms.delete_custom_key_store(CustomKeyStoreId=second)
    assert narrow.new_external_store("three")


# Describe.


@pytest.mark.aws_documented
def test_entry(server: Server) -> None:
    """A CloudHSM key store is described by its own members, the password not among them."""
    cluster = server.new_cluster()
    store = server.new_store("entry", cluster)
    entry = described(server, store)
    assert entry.pop("CreationDate").timestamp() == pytest.approx(cluster["CreateTimestamp"], abs=60)
    assert entry == {
        "CustomKeyStoreId": store,
        "CustomKeyStoreName": "entry",
        "CustomKeyStoreType": "AWS_CLOUDHSM",
        "CloudHsmClusterId": cluster["CloudHsmClusterId"],
        "TrustAnchorCertificate": cluster["TrustAnchorCertificate"],
        "ConnectionState": "DISCONNECTED",
    }


@pytest.mark.aws_documented
def test_id_form(server: Server) -> None:
    """An id is `cks-` and 17 hexadecimal digits, as in every sample of the documentation."""
    store = server.new_external_store("id-form")
    assert store.startswith("cks-")
    assert len(store) == 21
    assert set(store[4:]) <= set("0123456789abcdef")


@pytest.mark.aws_documented
def test_describe_of_none(server: Server) -> None:
    """Without key stores the list is empty and complete."""
    answer = server.kms(account="000000000001").describe_custom_key_stores()
    del answer["ResponseMetadata"]
    assert answer == {"CustomKeyStores": [], "Truncated": False}


@pytest.mark.aws_documented
def test_describe_of_an_unknown_store(server: Server) -> None:
    """An unknown id is refused, and so is it by every operation that takes one."""
    kms = server.kms()
    for operation in ("connect", "disconnect", "update", "delete"):
        call = getattr(kms, f"{operation}_custom_key_store")
        assert code(call, CustomKeyStoreId="cks-0") == "CustomKeyStoreNotFoundException"
    assert code(kms.describe_custom_key_stores, CustomKeyStoreId="cks-0") == "CustomKeyStoreNotFoundException"


@pytest.mark.inferred(
    reason="The exception's own text says `name or ID`; an empty list would be the alternative."
)
def test_describe_of_an_unknown_name(server: Server) -> None:
    """An unknown name is refused as an unknown id is."""
    refused = code(server.kms().describe_custom_key_stores, CustomKeyStoreName="nobody")
    assert refused == "CustomKeyStoreNotFoundException"


@pytest.mark.inferred(reason="`but not both` is documented; exception and text are ours.")
def test_describe_by_id_and_name(server: Server) -> None:
    """An id and a name together are a ValidationException, even of the same store."""
    store = server.new_external_store("both")
    refused = refusal(
        server.kms().describe_custom_key_stores, CustomKeyStoreId=store, CustomKeyStoreName="both"
    )
    assert refused[:2] == (400, "ValidationException")
    assert "but not both" in refused.message


PAGED = "000000000002"


@pytest.fixture(scope="module")
def paged(server: Server) -> list[str]:
    """Fill an account of its own with five key stores; give their ids, oldest first."""
    kms = server.kms(account=PAGED)
    return [
        kms.create_custom_key_store(CustomKeyStoreName=name, **external_members(name))["CustomKeyStoreId"]
        for name in ("e", "d", "c", "b", "a")
    ]


@pytest.mark.aws_documented
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6, 1000, None])
def test_pages(server: Server, paged: list[str], limit: int | None) -> None:
    """Pages of any Limit give each store once; NextMarker is there exactly while Truncated is true."""
    kms = server.kms(account=PAGED)
    found: list[str] = []
    more: dict[str, Any] = {} if limit is None else {"Limit": limit}
    while True:
        page = kms.describe_custom_key_stores(**more)
        assert 0 < len(page["CustomKeyStores"]) <= (limit or 1000)
        assert page["Truncated"] is ("NextMarker" in page)
        found += [entry["CustomKeyStoreId"] for entry in page["CustomKeyStores"]]
        if not page["Truncated"]:
            break
        more["Marker"] = page["NextMarker"]
    assert found == paged


@pytest.mark.aws_documented
def test_marker_is_checked(server: Server, paged: list[str]) -> None:
    """A Marker that was made up, altered, or made for another account or Region is refused."""
    kms = server.kms(account=PAGED)
    marker = kms.describe_custom_key_stores(Limit=2)["NextMarker"]
    middle = len(marker) // 2
    altered = marker[:middle] + ("A" if marker[middle] != "A" else "B") + marker[middle + 1 :]
    invalid = "InvalidMarkerException"
    for wrong in (
        "x",
        "A" * 64,
        "=",
        "\u00ff",
        marker[:-4],
        marker + "AAAA",
        altered,
        paged[1],
        " " + marker,
    ):
        assert code(kms.describe_custom_key_stores, Marker=wrong) == invalid, wrong
    for elsewhere in (server.kms(), server.kms(account=PAGED, region="eu-west-1")):
        assert code(elsewhere.describe_custom_key_stores, Marker=marker) == invalid


@pytest.mark.inferred(reason="AWS says nothing of how long a Marker is good for.")
def test_marker_outlives_its_store(server: Server) -> None:
    """A Marker stays good when the store that it stands behind is deleted."""
    kms = server.kms(account="000000000003")
    ids = [
        kms.create_custom_key_store(CustomKeyStoreName=name, **external_members(name))["CustomKeyStoreId"]
        for name in "abc"
    ]
    marker = kms.describe_custom_key_stores(Limit=1)["NextMarker"]
    kms.delete_custom_key_store(CustomKeyStoreId=ids[0])
    rest = kms.describe_custom_key_stores(Marker=marker)["CustomKeyStores"]
    assert [entry["CustomKeyStoreId"] for entry in rest] == ids[1:]


# Update and Delete.


@pytest.mark.aws_documented
def test_rename(server: Server) -> None:
    """A rename takes a free name and sets the old one free; it may repeat its own, but not another's."""
    kms = server.kms()
    store = server.new_external_store("old-name")
    server.new_external_store("other-name")
    kms.update_custom_key_store(CustomKeyStoreId=store, NewCustomKeyStoreName="new-name")
    kms.update_custom_key_store(CustomKeyStoreId=store, NewCustomKeyStoreName="new-name")
    assert described(server, store)["CustomKeyStoreName"] == "new-name"
    refused = code(kms.update_custom_key_store, CustomKeyStoreId=store, NewCustomKeyStoreName="other-name")
    assert refused == "CustomKeyStoreNameInUseException"
    assert kms.create_custom_key_store(CustomKeyStoreName="old-name", **external_members("old-name-again"))


@pytest.mark.aws_documented
def test_update_to_another_cluster(server: Server) -> None:
    """A cluster that is unknown, unfit, or of another cluster certificate is refused; nothing changes."""
    store = server.new_store("move")
    before = described(server, store)
    kms = server.kms()
    targets = {
        NO_CLUSTER: "CloudHsmClusterNotFoundException",
        server.new_cluster(HsmCount=0)["CloudHsmClusterId"]: "CloudHsmClusterNotActiveException",
        server.new_cluster(HsmCount=1)["CloudHsmClusterId"]: "CloudHsmClusterInvalidConfigurationException",
        server.new_cluster()["CloudHsmClusterId"]: "CloudHsmClusterNotRelatedException",
    }
    for cluster, exception in targets.items():
        update = {"CloudHsmClusterId": cluster, "NewCustomKeyStoreName": "moved"}
        assert code(kms.update_custom_key_store, CustomKeyStoreId=store, **update) == exception
    assert described(server, store) == before


@pytest.mark.aws_documented
def test_delete(server: Server) -> None:
    """A deleted key store is unknown, and its cluster stays as it was."""
    cluster = server.new_cluster()
    store = server.new_store("to-delete", cluster)
    server.kms().delete_custom_key_store(CustomKeyStoreId=store)
    refused = code(server.kms().delete_custom_key_store, CustomKeyStoreId=store)
    assert refused == "CustomKeyStoreNotFoundException"
    assert server.manage("GET", f"/clusters/{cluster['CloudHsmClusterId']}") == (200, cluster)
