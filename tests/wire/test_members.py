"""What the model leaves to the service: members that a type of key store needs, and those it cannot have."""

from typing import Any

import pytest

from tests.server import PASSWORD, Server, external_members
from tests.wire.refusals import code, refusal

CLOUDHSM = {
    "CloudHsmClusterId": "cluster-22222222222",
    "TrustAnchorCertificate": "x",
    "KeyStorePassword": PASSWORD,
}
EXTERNAL = external_members("members")
VPC = {
    "XksProxyVpcEndpointServiceName": "com.amazonaws.vpce.us-east-1.vpce-svc-0",
    "XksProxyVpcEndpointServiceOwner": "111122223333",
}
NEEDED = [(CLOUDHSM, name) for name in CLOUDHSM] + [
    (EXTERNAL, name) for name in EXTERNAL if name != "CustomKeyStoreType"
]
FOREIGN = [
    *((CLOUDHSM, name, value) for name, value in {**EXTERNAL, **VPC}.items() if name != "CustomKeyStoreType"),
    *((EXTERNAL, name, value) for name, value in CLOUDHSM.items()),
]


@pytest.mark.inferred(reason="Exception and text by analogy with the recorded `NumberOfBytes is required.`")
@pytest.mark.parametrize(("given", "name"), NEEDED, ids=[name for _, name in NEEDED])
def test_create_without_a_member_of_its_type(server: Server, given: dict[str, Any], name: str) -> None:
    """A member that the type needs and that is missing is named in a ValidationException."""
    rest = {other: value for other, value in given.items() if other != name}
    refused = refusal(server.kms().create_custom_key_store, CustomKeyStoreName="incomplete", **rest)
    assert refused == (400, "ValidationException", f"{name} is required.")


@pytest.mark.inferred(reason="What AWS says to members of the other type is not published.")
@pytest.mark.parametrize(("given", "name", "value"), FOREIGN, ids=[name for _, name, _ in FOREIGN])
def test_create_with_a_member_of_the_other_type(
    server: Server, given: dict[str, Any], name: str, value: Any
) -> None:
    """A member of the other type of key store is named in a ValidationException."""
    members = {**given, name: value}
    refused = refusal(server.kms().create_custom_key_store, CustomKeyStoreName="mixed", **members)
    assert refused[:2] == (400, "ValidationException")
    assert refused.message.startswith(f"{name} is not valid for a custom key store")


@pytest.mark.inferred(reason="What AWS says to members of the other type is not published.")
@pytest.mark.parametrize(("given", "name", "value"), FOREIGN, ids=[name for _, name, _ in FOREIGN])
def test_update_with_a_member_of_the_other_type(
    server: Server, given: dict[str, Any], name: str, value: Any
) -> None:
    """An Update with a member of the other type of key store is refused."""
    title = f"update-mixed-{name}"
    store = server.new_store(title) if given is CLOUDHSM else server.new_external_store(title)
    update = {"CustomKeyStoreId": store, name: value}
    if name == "TrustAnchorCertificate":  # no member of this operation, so it is ignored
        assert server.call("UpdateCustomKeyStore", update).body == b"{}"
    else:
        assert code(server.kms().update_custom_key_store, **update) == "ValidationException"
