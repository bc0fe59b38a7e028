"""Permissions, as clients with policies of their own meet them."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hsmstore.attestation.minting import Claims, Module
from hsmstore.attestation.pki import ROOT_FILE, Authority, save_root
from hsmstore.bootstrap.principals import add_principal
from hsmstore.domain.principal import PrincipalType
from hsmstore.system.clock import monotonic
from tests.attestation.conftest import Recipient
from tests.wire.enclave import ALGORITHM, minted, now
from tests.wire.iamconditions import ROWS, Row
from tests.wire.keys import NO_KEY, fresh
from tests.wire.policed import ACCOUNT, ALIAS_ARN, NO_IDENTITY, ROOT, Place, allow, denied, policy, serving
from tests.wire.refusals import code, refusal


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, root: Authority) -> Iterator[Place]:
    """Serve, verify and enforce."""
    directory = tmp_path_factory.mktemp("iam")
    save_root(directory / "pki", root)
    trust = ("--attestation-root", str(directory / "pki" / ROOT_FILE))
    yield from serving(directory, "--auth", "verify", "--iam", "enforce", *trust)


@pytest.fixture(scope="module")
def store(place: Place) -> str:
    """Return a connected key store."""
    return place.store()


NewKey = Callable[..., str]


@pytest.fixture
def new_key(place: Place, store: str) -> NewKey:
    """Return what makes a key, as root, whose policy lets the account in, and has these statements too."""

    def make(*statements: dict[str, Any], **members: Any) -> str:
        own = allow("kms:*", Principal={"AWS": ROOT})
        made = place.client("root").create_key(
            Origin="AWS_CLOUDHSM",
            CustomKeyStoreId=store,
            Policy=json.dumps(policy(own, *statements)),
            **members,
        )
        arn: str = made["KeyMetadata"]["Arn"]
        return arn

    return make


@pytest.mark.aws_recorded
@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("CreateKey", {}),
        ("ListKeys", {}),
        ("CreateCustomKeyStore", {"CustomKeyStoreName": "x"}),
        ("DescribeCustomKeyStores", {}),
        ("DeleteCustomKeyStore", {"CustomKeyStoreId": "cks-00000000000000000"}),
        ("ListAliases", {}),
    ],
)
def test_what_has_no_key(place: Place, operation: str, members: dict[str, Any]) -> None:
    """Without an identity policy nothing is allowed that has no key; the text was recorded of CreateKey."""
    call = getattr(place.client("nobody"), re.sub(r"(?<!^)([A-Z])", r"_\1", operation).lower())
    assert refusal(call, **members) == denied("nobody", operation, "*", NO_IDENTITY.format(operation))


@pytest.mark.inferred(reason="The text of CreateKey's denial; none is recorded of GenerateRandom.")
def test_random_bytes(place: Place, store: str) -> None:
    """GenerateRandom needs kms:GenerateRandom on everything, with a key store and without."""
    for members in ({}, {"CustomKeyStoreId": store}):
        assert place.client("reader").generate_random(NumberOfBytes=8, **members)["Plaintext"]
        refused = refusal(place.client("nobody").generate_random, NumberOfBytes=8, **members)
        assert refused == denied("nobody", "GenerateRandom", "*", NO_IDENTITY.format("GenerateRandom"))


@pytest.mark.inferred(reason="The text is recorded of resource-based policies, and read across.")
def test_an_explicit_deny(place: Place) -> None:
    """A statement that denies wins, whatever else allows."""
    refused = refusal(place.client("reader", "eu-west-1").generate_random, NumberOfBytes=8)
    assert refused == denied(
        "reader", "GenerateRandom", "*", "with an explicit deny in an identity-based policy"
    )


@pytest.mark.aws_documented
def test_a_delegating_key_policy(place: Place, new_key: NewKey) -> None:
    """A key policy that lets the account in leaves it to identity policies."""
    key = new_key()
    blob = place.client("user").encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert place.client("user").decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    assert place.client("root").decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    for call, members in (("decrypt", {"CiphertextBlob": blob}), ("describe_key", {"KeyId": key})):
        assert code(getattr(place.client("nobody"), call), **members) == "AccessDeniedException"
    refused = refusal(place.client("user").disable_key, KeyId=key)
    assert refused == denied("user", "DisableKey", key, NO_IDENTITY.format("DisableKey"))


@pytest.mark.aws_documented
def test_a_key_policy_that_admits(place: Place, new_key: NewKey) -> None:
    """A key policy that names the user needs nothing beside it."""
    who = {"AWS": f"arn:aws:iam::{ACCOUNT}:user/nobody"}
    key = new_key(allow("kms:Encrypt", Principal=who))
    assert place.client("nobody").encrypt(KeyId=key, Plaintext=b"x")
    assert code(place.client("nobody").describe_key, KeyId=key) == "AccessDeniedException"


@pytest.mark.aws_recorded
def test_a_key_policy_that_is_silent(place: Place, new_key: NewKey) -> None:
    """Where the key policy does not let the account in, no identity policy helps, nor being root."""
    key = new_key()
    only = policy(allow("kms:*", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:user/other"}))
    place.client("root").put_key_policy(KeyId=key, Policy=json.dumps(only))
    silent = "because no resource-based policy allows the kms:DescribeKey action"
    assert refusal(place.client("user").describe_key, KeyId=key) == denied("user", "DescribeKey", key, silent)
    assert code(place.client("root").describe_key, KeyId=key) == "AccessDeniedException"


@pytest.mark.aws_recorded
def test_a_key_policy_that_denies(place: Place, new_key: NewKey) -> None:
    """A key policy that denies wins over everything, and its text says where the deny stands."""
    deny = {"Effect": "Deny", "Principal": "*", "Action": "kms:Encrypt", "Resource": "*"}
    key = new_key(deny)
    refused = refusal(place.client("user").encrypt, KeyId=key, Plaintext=b"x")
    assert refused == denied("user", "Encrypt", key, "with an explicit deny in a resource-based policy")
    assert code(place.client("root").encrypt, KeyId=key, Plaintext=b"x") == "AccessDeniedException"


@pytest.mark.aws_documented
def test_a_grant(place: Place, new_key: NewKey) -> None:
    """A grant allows a role's session its operations, with its encryption context, until it ends."""
    key, root, builder = new_key(), place.client("root"), place.client("builder")
    members = {"KeyId": key, "Plaintext": b"x", "EncryptionContext": {"a": "b", "c": "d"}}
    refused = refusal(builder.encrypt, **members)
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/builder/run-1"
    assert refused.message.startswith(f"User: {session} is not authorized to perform: kms:Encrypt")
    grant = root.create_grant(
        KeyId=key,
        GranteePrincipal=f"arn:aws:iam::{ACCOUNT}:role/builder",
        Operations=["Encrypt", "RetireGrant"],
        Constraints={"EncryptionContextSubset": {"a": "b"}},
    )
    blob = builder.encrypt(**members)["CiphertextBlob"]
    assert code(builder.encrypt, KeyId=key, Plaintext=b"x") == "AccessDeniedException"
    context = members["EncryptionContext"]
    assert code(builder.decrypt, CiphertextBlob=blob, EncryptionContext=context) == "AccessDeniedException"
    assert code(place.client("user").retire_grant, GrantToken=grant["GrantToken"]) == "AccessDeniedException"
    builder.retire_grant(GrantToken=grant["GrantToken"])
    assert code(builder.encrypt, **members) == "AccessDeniedException"


@pytest.mark.aws_documented
def test_what_a_grant_does_not_constrain(place: Place, new_key: NewKey) -> None:
    """A constraint is one on operations that have an encryption context; DescribeKey has none."""
    key, builder = new_key(), place.client("builder")
    place.client("root").create_grant(
        KeyId=key,
        GranteePrincipal=f"arn:aws:iam::{ACCOUNT}:role/builder",
        Operations=["DescribeKey", "GenerateDataKey"],
        Constraints={"EncryptionContextEquals": {"a": "b"}},
    )
    assert builder.describe_key(KeyId=key)
    assert code(builder.generate_data_key, KeyId=key, KeySpec="AES_256") == "AccessDeniedException"


@pytest.mark.aws_documented
def test_a_grant_to_grant(place: Place, new_key: NewKey) -> None:
    """Who has CreateGrant by a grant gives on no more than that grant allows, nor with fewer constraints."""
    key, builder, grantee = new_key(), place.client("builder"), f"arn:aws:iam::{ACCOUNT}:user/nobody"
    subset = {"Constraints": {"EncryptionContextSubset": {"a": "b"}}}
    place.client("root").create_grant(
        KeyId=key,
        GranteePrincipal=f"arn:aws:iam::{ACCOUNT}:role/builder",
        Operations=["CreateGrant", "Encrypt"],
        **subset,
    )
    for operations, constraints in ((["Decrypt"], subset), (["Encrypt"], {})):
        more = {"KeyId": key, "GranteePrincipal": grantee, "Operations": operations, **constraints}
        assert code(builder.create_grant, **more) == "AccessDeniedException"
    builder.create_grant(KeyId=key, GranteePrincipal=grantee, Operations=["Encrypt"], **subset)
    assert place.client("nobody").encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"a": "b"})


@pytest.mark.aws_documented
def test_re_encrypt(place: Place, new_key: NewKey) -> None:
    """ReEncrypt needs kms:ReEncryptFrom on one key and kms:ReEncryptTo on the other."""
    who = {"AWS": f"arn:aws:iam::{ACCOUNT}:user/nobody"}
    one, other = (
        new_key(allow(f"kms:ReEncrypt{way}", "kms:Encrypt", Principal=who)) for way in ("From", "To")
    )
    nobody = place.client("nobody")
    blobs = {key: nobody.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"] for key in (one, other)}
    assert nobody.re_encrypt(CiphertextBlob=blobs[one], DestinationKeyId=other)["KeyId"] == other
    refused = refusal(nobody.re_encrypt, CiphertextBlob=blobs[other], DestinationKeyId=other)
    assert refused == denied("nobody", "ReEncryptFrom", other, NO_IDENTITY.format("ReEncryptFrom"))
    refused = refusal(nobody.re_encrypt, CiphertextBlob=blobs[one], DestinationKeyId=one)
    assert refused == denied("nobody", "ReEncryptTo", one, NO_IDENTITY.format("ReEncryptTo"))


@pytest.mark.aws_documented
def test_aliases(place: Place, new_key: NewKey) -> None:
    """Who names a key needs permission on the alias and on the key."""
    key, namer = new_key(), place.client("namer")
    name, other = fresh("alias/namer"), fresh("alias/other")
    namer.create_alias(AliasName=name, TargetKeyId=key)
    refused = refusal(namer.create_alias, AliasName=other, TargetKeyId=key)
    cause = NO_IDENTITY.format("CreateAlias")
    assert refused == denied("namer", "CreateAlias", f"{ALIAS_ARN}/{other.removeprefix('alias/')}", cause)
    namer.update_alias(AliasName=name, TargetKeyId=new_key())
    assert code(place.client("user").delete_alias, AliasName=name) == "AccessDeniedException"
    namer.delete_alias(AliasName=name)


@pytest.mark.aws_documented
def test_conditions(place: Place, new_key: NewKey) -> None:
    """Conditions see the address, the tags of key and caller, and the alias that a request uses."""
    assert place.client("local").generate_random(NumberOfBytes=1)
    assert code(place.client("remote").generate_random, NumberOfBytes=1) == "AccessDeniedException"
    red, blue = (new_key(Tags=[{"TagKey": "team", "TagValue": team}]) for team in ("red", "blue"))
    assert place.client("tagged").describe_key(KeyId=red)
    assert code(place.client("tagged").describe_key, KeyId=blue) == "AccessDeniedException"
    alias = fresh("alias/aliased")
    place.client("root").create_alias(AliasName=alias, TargetKeyId=red)
    for name in (alias, red.replace(red.partition("key/")[1] + red.partition("key/")[2], alias)):
        assert place.client("aliased").describe_key(KeyId=name)
    assert code(place.client("aliased").describe_key, KeyId=red) == "AccessDeniedException"


@pytest.mark.aws_documented
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.key}-{row.operation}")
def test_a_condition_key(place: Place, new_key: NewKey, row: Row) -> None:
    """What a policy asks of a request has a value, and it is the request's: one lets in, another does not."""
    who = {"AWS": f"arn:aws:iam::{ACCOUNT}:user/nobody"}
    key = new_key(Tags=[{"TagKey": "team", "TagValue": "green"}])
    for wanted, allowed in ((row.fails, False), (row.fits, True)):
        condition = {row.operator: {row.key: wanted}}
        own = allow("kms:*", Principal={"AWS": ROOT})
        text = json.dumps(policy(own, allow("kms:*", Principal=who, Condition=condition)))
        place.client("root").put_key_policy(KeyId=key, Policy=text)
        refused = _refused(getattr(place.client("nobody"), row.operation), KeyId=key, **row.members)
        assert (refused != "AccessDeniedException") is allowed, refused


def _refused(call: Callable[..., Any], **members: Any) -> str | None:
    """Return with what a call is refused, if it is."""
    try:
        call(**members)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return None


@pytest.mark.aws_documented
def test_an_enclave(place: Place, store: str, root: Authority, recipient: Recipient) -> None:
    """Random bytes for one enclave image only: not for another, and not in the clear."""
    enclave = place.client("enclave")
    document = minted(place.server, root, recipient)
    given = {"KeyEncryptionAlgorithm": ALGORITHM, "AttestationDocument": document}
    answer = enclave.generate_random(NumberOfBytes=8, CustomKeyStoreId=store, Recipient=given)
    assert answer["CiphertextForRecipient"]
    assert code(enclave.generate_random, NumberOfBytes=8, CustomKeyStoreId=store) == "AccessDeniedException"
    moment = now(place.server)
    claims = Claims(public_key=recipient.spki, pcrs={0: bytes(48)})
    given["AttestationDocument"] = Module(root, moment).attest(claims, moment)
    assert code(enclave.generate_random, NumberOfBytes=8, Recipient=given) == "AccessDeniedException"
    given["AttestationDocument"] = document[:-1] + bytes([document[-1] ^ 1])
    assert code(enclave.generate_random, NumberOfBytes=8, Recipient=given) == "ValidationException"


@pytest.mark.aws_documented
def test_the_default_key_policy(place: Place, store: str) -> None:
    """The default key policy leaves everything to the account's identity policies."""
    made = place.client("root").create_key(Origin="AWS_CLOUDHSM", CustomKeyStoreId=store)
    key = made["KeyMetadata"]["Arn"]
    assert place.client("user").encrypt(KeyId=key, Plaintext=b"x")
    assert place.client("root").get_key_policy(KeyId=key)["Policy"]
    refused = refusal(place.client("nobody").encrypt, KeyId=key, Plaintext=b"x")
    assert refused == denied("nobody", "Encrypt", key, NO_IDENTITY.format("Encrypt"))


@pytest.mark.aws_recorded
@pytest.mark.parametrize("name", ["root", "nobody"])
def test_a_key_of_another_account(place: Place, name: str) -> None:
    """Of another account's key a caller is not told whether it is there."""
    key = f"arn:aws:kms:us-east-1:444455556666:key/{NO_KEY}"
    refused = refusal(place.client(name).describe_key, KeyId=key)
    assert refused.code == "AccessDeniedException"
    assert refused.message.endswith(
        f"is not authorized to perform: kms:DescribeKey on resource: {key} because the resource does not"
        " exist in this Region, no resource-based policies allow access, or a resource-based policy"
        " explicitly denies access"
    )


@pytest.mark.inferred(reason="Which of the two AWS tells of first is not known.")
def test_a_key_that_is_not_there(place: Place) -> None:
    """A key that is not there is not found, whoever asks."""
    assert code(place.client("nobody").describe_key, KeyId=NO_KEY) == "NotFoundException"


@pytest.mark.simulator_only(reason="The policies of principals stand in a file.")
def test_policies_are_read_again(place: Place) -> None:
    """What changes in the file of principals is in force without a restart."""
    added = add_principal(
        place.file, "late", account=ACCOUNT, kind=PrincipalType.USER, tags={},
        policy=policy(allow("kms:GenerateRandom")),
    )  # fmt: skip
    place.credentials["late"] = added
    late = place.client("late")
    deadline = monotonic() + 60
    while not _known(late):
        assert monotonic() < deadline, "the file was not read again"
    assert code(late.list_keys) == "AccessDeniedException"


def _known(client: Any) -> bool:
    """Tell whether a caller may draw; one that may not is not known yet."""
    try:
        return bool(client.generate_random(NumberOfBytes=1)["Plaintext"])
    except client.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == "UnrecognizedClientException"  # noqa: PT017  # or the server is broken
        return False
