"""What IAM knows of a request: the values of condition keys, each found when a policy asks for it.

Sources: IAM User Guide, "AWS global condition context keys"; KMS Developer Guide, "AWS KMS condition keys"
and "AWS KMS condition keys for attested platforms". Names are in lower case.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final

from hsmstore.domain.attestation import Attested
from hsmstore.domain.principal import Caller, PrincipalType
from hsmstore.service.iam.needs import Need
from hsmstore.service.keys.metadata import KeySpec, KeyUsage, Origin
from hsmstore.service.recipient import attested_recipient
from hsmstore.service.world import Call, World

Value = str | tuple[str, ...] | None


class Facts:
    """The context of one need of one request."""

    def __init__(self, world: World, call: Call, members: Any, need: Need) -> None:
        """Take the request; nothing is looked up yet."""
        self.world = world
        self.call = call
        self.members = members
        self.need = need
        self.attested: Attested | None = None

    def get(self, key: str) -> Value:
        """Return the value of a condition key; None where the request has none.

        Raises:
            ValidationException, ThrottlingException: of a Recipient, as `attested_recipient`.

        """
        found = _BY_KEY.get(key)
        if found is not None:
            return found(self)
        for prefix, by_name in _BY_PREFIX.items():
            if key.startswith(prefix):
                return by_name(self, key.removeprefix(prefix))
        return None

    @property
    def caller(self) -> Caller:
        """Who calls."""
        return self.call.caller

    def member(self, name: str) -> Any:
        """Return a member of the request; None where the operation has none of the name."""
        return getattr(self.members, name, None)


def _current_time(facts: Facts) -> str:
    return datetime.fromtimestamp(int(facts.world.clock.now()), UTC).isoformat().replace("+00:00", "Z")


def _principal_type(facts: Facts) -> Value:
    principal = facts.caller.principal
    if principal is None:
        return None
    if facts.caller.session is not None:
        return "AssumedRole"
    return _TYPES[principal.type]


def _username(facts: Facts) -> Value:
    principal = facts.caller.principal
    return principal.name if principal is not None and principal.type is PrincipalType.USER else None


def _principal_arn(facts: Facts) -> Value:
    return None if facts.caller.principal is None else facts.caller.principal.arn


def _principal_tag(facts: Facts, name: str) -> Value:
    tags = {} if facts.caller.principal is None else facts.caller.principal.tags
    return next((value for key, value in tags.items() if key.lower() == name), None)


def _request_tags(facts: Facts) -> dict[str, str]:
    return {tag.tag_key: tag.tag_value for tag in facts.member("tags") or ()}


def _request_tag(facts: Facts, name: str) -> Value:
    return next((value for key, value in _request_tags(facts).items() if key.lower() == name), None)


def _tag_keys(facts: Facts) -> Value:
    keys = [*_request_tags(facts), *(facts.member("tag_keys") or ())]
    return _several(keys)


def _resource_tag(facts: Facts, name: str) -> Value:
    key = facts.need.key
    if key is None:
        return None
    with facts.world.registry.reading() as unit:
        return next((tag.value for tag in unit.tags(key.id) if tag.key.lower() == name), None)


def _resource_aliases(facts: Facts) -> Value:
    key = facts.need.key
    if key is None:
        return None
    with facts.world.registry.reading() as unit:
        return _several(alias.name for alias in unit.aliases(key.scope, key_id=key.id))


def _request_alias(facts: Facts) -> Value:
    name = facts.need.name or ""
    if name.startswith("arn:"):
        name = name.split(":", 5)[-1]
    return name if name.startswith("alias/") else None


def _context_value(facts: Facts, name: str) -> Value:
    values = [value for key, value in (facts.need.context or {}).items() if key.lower() == name]
    return values[0] if len(values) == 1 else _several(values)


def _attestation(facts: Facts, name: str) -> Value:
    recipient = facts.member("recipient")
    if recipient is None:
        return None
    if facts.attested is None:
        facts.attested = attested_recipient(recipient, facts.world)
    keys = {key.lower(): value for key, value in facts.attested.condition_keys().items()}
    return keys.get(_ATTESTATION + name)


def _several(values: Iterable[str]) -> Value:
    return tuple(values) or None


def _flag(value: Any) -> Value:
    return None if value is None else str(bool(value)).lower()


def _of_key(value: str, unless: str, *members: str) -> Callable[[Facts], Value]:
    """Return what a key in a key store is; or what one is to be that CreateKey makes, else `unless`."""

    def find(facts: Facts) -> Value:
        if facts.need.key is not None:
            return value
        if facts.need.action != "kms:CreateKey":
            return None
        given = next((found for member in members if (found := facts.member(member)) is not None), unless)
        return str(given).lower() if isinstance(given, bool) else str(given)

    return find


def _constraint_type(facts: Facts) -> Value:
    constraints = facts.member("constraints")
    if constraints is None:
        return None
    if constraints.encryption_context_equals is not None:
        return "EncryptionContextEquals"
    return None if constraints.encryption_context_subset is None else "EncryptionContextSubset"


def _of_request(member: str) -> Callable[[Facts], Value]:
    """Return what a request says itself."""

    def find(facts: Facts) -> Value:
        value = facts.member(member)
        return None if value is None else str(value)

    return find


def _algorithm(facts: Facts) -> Value:
    """Return what a key in a key store encrypts with: a text, or a data key."""
    encrypting = ("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt", "kms:GenerateDataKey")
    return "SYMMETRIC_DEFAULT" if facts.need.action.startswith(encrypting) else None


def _on_same_key(facts: Facts) -> Value:
    if not facts.need.action.startswith("kms:ReEncrypt"):
        return None
    return str(len({key.arn for key in facts.call.keys.values()}) == 1).lower()


def _for_aws(facts: Facts) -> Value:
    """No AWS service asks for grants here."""
    about_grants = {"kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"}
    return "false" if facts.need.action in about_grants else None


_TYPES: Final = {
    PrincipalType.ROOT: "Account",
    PrincipalType.USER: "User",
    PrincipalType.ROLE: "AssumedRole",
}
_ATTESTATION: Final = "kms:recipientattestation:"
_BY_PREFIX: Final[dict[str, Callable[[Facts, str], Value]]] = {
    "aws:principaltag/": _principal_tag,
    "aws:requesttag/": _request_tag,
    "aws:resourcetag/": _resource_tag,
    "kms:encryptioncontext:": _context_value,
    _ATTESTATION: _attestation,
}
_SAID: Final = {
    "kms:datakeypairspec": "key_pair_spec",
    "kms:expirationmodel": "expiration_model",
    "kms:granteeprincipal": "grantee_principal",
    "kms:keyagreementalgorithm": "key_agreement_algorithm",
    "kms:macalgorithm": "mac_algorithm",
    "kms:messagetype": "message_type",
    "kms:primaryregion": "primary_region",
    "kms:replicaregion": "replica_region",
    "kms:retiringprincipal": "retiring_principal",
    "kms:rotationperiodindays": "rotation_period_in_days",
    "kms:schedulekeydeletionpendingwindowindays": "pending_window_in_days",
    "kms:signingalgorithm": "signing_algorithm",
    "kms:validto": "valid_to",
    "kms:wrappingalgorithm": "wrapping_algorithm",
    "kms:wrappingkeyspec": "wrapping_key_spec",
}
_spec: Final = _of_key(
    KeySpec.SYMMETRIC_DEFAULT, KeySpec.SYMMETRIC_DEFAULT, "key_spec", "customer_master_key_spec"
)
_usage: Final = _of_key(KeyUsage.ENCRYPT_DECRYPT, KeyUsage.ENCRYPT_DECRYPT, "key_usage")
_BY_KEY: Final[dict[str, Callable[[Facts], Value]]] = {
    "aws:currenttime": _current_time,
    "aws:epochtime": lambda facts: str(int(facts.world.clock.now())),
    "aws:principalaccount": lambda facts: facts.caller.account,
    "aws:principalarn": _principal_arn,
    "aws:principalisawsservice": lambda _: "false",
    "aws:principaltype": _principal_type,
    "aws:requestedregion": lambda facts: facts.call.scope.region,
    "aws:resourceaccount": lambda facts: facts.call.scope.account,
    "aws:securetransport": lambda facts: _flag(facts.world.terms.has_tls),
    "aws:sourceip": lambda facts: facts.call.source or None,
    "aws:tagkeys": _tag_keys,
    "aws:useragent": lambda facts: facts.call.user_agent.decode("latin-1") or None,
    "aws:userid": lambda facts: facts.caller.user_id,
    "aws:username": _username,
    "aws:viaawsservice": lambda _: "false",
    "kms:bypasspolicylockoutsafetycheck": lambda facts: _flag(
        facts.member("bypass_policy_lockout_safety_check")
    ),
    "kms:calleraccount": lambda facts: facts.caller.account,
    "kms:customermasterkeyspec": _spec,
    "kms:customermasterkeyusage": _usage,
    "kms:encryptionalgorithm": _algorithm,
    "kms:encryptioncontextkeys": lambda facts: _several(facts.need.context or ()),
    "kms:grantconstrainttype": _constraint_type,
    "kms:grantisforawsresource": _for_aws,
    "kms:grantoperations": lambda facts: _several(facts.member("operations") or ()),
    "kms:keyorigin": _of_key(Origin.AWS_CLOUDHSM, Origin.AWS_KMS, "origin"),
    "kms:keyspec": _spec,
    "kms:keyusage": _usage,
    "kms:multiregion": _of_key("false", "false", "multi_region"),
    "kms:reencryptonsamekey": _on_same_key,
    "kms:requestalias": _request_alias,
    "kms:resourcealiases": _resource_aliases,
    **{key: _of_request(member) for key, member in _SAID.items()},
}
