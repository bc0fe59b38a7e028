"""Grants: CreateGrant, ListGrants, ListRetirableGrants, RetireGrant, RevokeGrant.

Rules: KMS API Reference, CreateGrant. Grants are kept, listed and ended; what they allow is looked at with
`--iam` (`service/iam`). A grant is in force at once, with its token or without. The texts are ours.
"""

import base64
import binascii
import re
from dataclasses import replace
from typing import Annotated, Final

from hsmstore.domain.errors import (
    DryRunOperationException,
    InvalidArnException,
    InvalidGrantIdException,
    InvalidGrantTokenException,
    LimitExceededException,
    NotFoundException,
    ValidationException,
)
from hsmstore.domain.identifiers import Scope, new_grant_id
from hsmstore.domain.key import Grant, KmsKey
from hsmstore.domain.limits import (
    CONTEXT_CONSTRAINT_PAIRS,
    CONTEXT_CONSTRAINT_VALUE,
    GRANTS_PAGE,
    GRANTS_PER_KEY,
)
from hsmstore.domain.ports import SealBroken, Unit
from hsmstore.service.keys.grantshapes import (
    NOT_SYMMETRIC,
    GrantConstraints,
    GrantListEntry,
    GrantName,
    GrantOperation,
    ListGrantsResponse,
    Principal,
    ServicePrincipal,
    entry,
)
from hsmstore.service.keys.resolving import reread, resolve
from hsmstore.service.markers import Listing
from hsmstore.service.shapes import (
    NOTHING,
    GrantToken,
    GrantTokens,
    KeyId,
    Marker,
    Nothing,
    PageSize,
    Request,
    Response,
    text,
)
from hsmstore.service.world import Call, World, starting_again

GrantId = Annotated[str, text(1, 128)]


class CreateGrantRequest(Request, frozen=True, kw_only=True):
    """`CreateGrantRequest`."""

    key_id: KeyId
    grantee_principal: Principal | None = None
    retiring_principal: Principal | None = None
    operations: list[GrantOperation]
    constraints: GrantConstraints | None = None
    grant_tokens: GrantTokens | None = None
    name: GrantName | None = None
    dry_run: bool | None = None
    grantee_service_principal: ServicePrincipal | None = None
    retiring_service_principal: ServicePrincipal | None = None


class CreateGrantResponse(Response, frozen=True):
    """`CreateGrantResponse`."""

    grant_token: str
    grant_id: str


class ListGrantsRequest(Request, frozen=True, kw_only=True):
    """`ListGrantsRequest`."""

    limit: PageSize | None = None
    marker: Marker | None = None
    key_id: KeyId
    grant_id: GrantId | None = None
    grantee_principal: Principal | None = None
    grantee_service_principal: ServicePrincipal | None = None


class ListRetirableGrantsRequest(Request, frozen=True):
    """`ListRetirableGrantsRequest`."""

    limit: PageSize | None = None
    marker: Marker | None = None
    retiring_principal: Principal | None = None
    retiring_service_principal: ServicePrincipal | None = None


class RetireGrantRequest(Request, frozen=True):
    """`RetireGrantRequest`."""

    grant_token: GrantToken | None = None
    key_id: KeyId | None = None
    grant_id: GrantId | None = None
    dry_run: bool | None = None


class RevokeGrantRequest(Request, frozen=True):
    """`RevokeGrantRequest`."""

    key_id: KeyId
    grant_id: GrantId
    dry_run: bool | None = None


def create_grant(request: CreateGrantRequest, call: Call, world: World) -> CreateGrantResponse:
    """Grant a principal the use of a key. The same grant of the same name again is the one there is.

    Raises:
        NotFoundException, DisabledException, LimitExceededException: as documented.
        KMSInvalidStateException: the key is pending deletion.
        InvalidArnException: a principal that is none.
        InvalidGrantTokenException: a GrantToken that was not made here.
        ValidationException: members that contradict each other, or do not fit a symmetric key.
        DryRunOperationException: it would have been granted.

    """
    key = resolve(world, call, request.key_id)
    _check_principals(request)
    _check_operations(request)
    key.require_grantable()
    for token in request.grant_tokens or ():
        _open_token(world, call.scope, token)
    if request.dry_run:
        raise DryRunOperationException
    grant = _grant(world, key, request)
    with world.registry.writing() as unit:
        reread(unit, key).require_grantable()
        same = _same(unit, grant)
        if same is None:
            if unit.count_grants(key.id) >= GRANTS_PER_KEY:
                raise LimitExceededException(f"The key already has {GRANTS_PER_KEY} grants.")
            unit.add_grant(grant)
        grant_id = (same or grant).id
        answer = CreateGrantResponse(grant_token=_new_token(world, call.scope, grant_id), grant_id=grant_id)
        call.recording.commit(unit, answer)
    return answer


def list_grants(request: ListGrantsRequest, call: Call, world: World) -> ListGrantsResponse:
    """List a page of a key's grants, or of those that it has for one principal.

    Raises:
        NotFoundException, InvalidMarkerException: as documented.
        InvalidGrantIdException: a GrantId that could not be one.
        ValidationException: two kinds of grantee.

    """
    key = resolve(world, call, request.key_id)
    grantee = _one("Grantee", request.grantee_principal, request.grantee_service_principal)
    if request.grant_id is not None:
        _require_grant_id(request.grant_id)
    listing = Listing(world, call.scope, f"grants/{key.id}/{grantee or ''}/{request.grant_id or ''}")
    after = listing.open_marker(request.marker, tuple[float, str])
    limit = _page_size(request.limit)
    with world.registry.reading() as unit:
        if request.grant_id is None:
            found = unit.grants(call.scope, key_id=key.id, grantee=grantee, after=after, limit=limit + 1)
        else:
            grant = unit.grant(call.scope, request.grant_id)
            fits = grant is not None and grant.key_id == key.id and grantee in {None, _grantee(grant)}
            found = [grant] if grant is not None and fits else []
    return _listed(listing, found, limit)


def list_retirable_grants(
    request: ListRetirableGrantsRequest, call: Call, world: World
) -> ListGrantsResponse:
    """List a page of the grants of the account and Region that a principal may retire.

    Raises:
        InvalidMarkerException: as documented.
        ValidationException: no retiring principal, or two.

    """
    retiring = _one("Retiring", request.retiring_principal, request.retiring_service_principal)
    if retiring is None:
        raise ValidationException("RetiringPrincipal is required.")
    listing = Listing(world, call.scope, f"retirable/{retiring}")
    after = listing.open_marker(request.marker, tuple[float, str])
    limit = _page_size(request.limit)
    with world.registry.reading() as unit:
        found = unit.grants(call.scope, retiring=retiring, after=after, limit=limit + 1)
    return _listed(listing, found, limit)


@starting_again
def retire_grant(request: RetireGrantRequest, call: Call, world: World) -> Nothing:
    """End a grant, named by its token, or by its id and its key.

    Raises:
        ValidationException: neither, or both.
        NotFoundException, InvalidGrantIdException: as documented.
        InvalidGrantTokenException: a GrantToken that was not made here.
        DryRunOperationException: it would have been retired.

    """
    by_id = request.key_id is not None and request.grant_id is not None
    if by_id == (request.grant_token is not None):
        raise ValidationException("Grant token OR (grant ID, key ID) must be specified")
    if request.grant_token is not None:
        grant_id = _open_token(world, call.scope, request.grant_token)
        return _end(world, call, grant_id, None, dry_run=bool(request.dry_run))
    assert request.key_id is not None  # noqa: S101  # by_id says so
    assert request.grant_id is not None  # noqa: S101  # likewise
    key = resolve(world, call, request.key_id)
    return _end(world, call, request.grant_id, key, dry_run=bool(request.dry_run))


def revoke_grant(request: RevokeGrantRequest, call: Call, world: World) -> Nothing:
    """End a grant of a key.

    Raises:
        NotFoundException, InvalidGrantIdException: as documented.
        DryRunOperationException: it would have been revoked.

    """
    key = resolve(world, call, request.key_id)
    return _end(world, call, request.grant_id, key, dry_run=bool(request.dry_run))


def grant_to_retire(request: RetireGrantRequest, call: Call, world: World) -> Grant | None:
    """Return the grant that the request is to end; None where it names none that there is."""
    try:
        token = request.grant_token
        grant_id = request.grant_id if token is None else _open_token(world, call.scope, token)
    except InvalidGrantTokenException:
        return None
    if grant_id is None:
        return None
    with world.registry.reading() as unit:
        return unit.grant(call.scope, grant_id)


_PRINCIPAL: Final = re.compile(r"[0-9]{12}|arn:aws[a-z-]*:(?:iam|sts)::[0-9]{12}:.+")
_GRANT_ID: Final = re.compile("[0-9a-f]{64}")


def _check_principals(request: CreateGrantRequest) -> None:
    grantee = _one("Grantee", request.grantee_principal, request.grantee_service_principal)
    if grantee is None:
        raise ValidationException("GranteePrincipal is required.")
    _one("Retiring", request.retiring_principal, request.retiring_service_principal)
    for principal in (request.grantee_principal, request.retiring_principal):
        if principal is not None and _PRINCIPAL.fullmatch(principal) is None:
            raise InvalidArnException(f"ARN does not refer to a valid principal: {principal}")


def _check_operations(request: CreateGrantRequest) -> None:
    if not request.operations:
        raise ValidationException("Operations is required.")
    for operation in request.operations:
        if operation in NOT_SYMMETRIC:
            raise ValidationException(
                f"A key with a KeySpec of SYMMETRIC_DEFAULT does not support {operation}."
            )
    constraints = request.constraints or GrantConstraints()
    for context in (constraints.encryption_context_subset, constraints.encryption_context_equals):
        if len(context or ()) > CONTEXT_CONSTRAINT_PAIRS:
            raise ValidationException(f"A grant constraint has at most {CONTEXT_CONSTRAINT_PAIRS} pairs.")
        if any(len(value) > CONTEXT_CONSTRAINT_VALUE for value in (context or {}).values()):
            raise ValidationException(
                f"A value in a grant constraint has at most {CONTEXT_CONSTRAINT_VALUE} characters."
            )


def _one(role: str, principal: str | None, service: str | None) -> str | None:
    """Return whichever of the two is given."""
    if principal is not None and service is not None:
        raise ValidationException(f"Specify either {role}Principal or {role}ServicePrincipal, but not both.")
    return principal or service


def _grant(world: World, key: KmsKey, request: CreateGrantRequest) -> Grant:
    constraints = request.constraints or GrantConstraints()
    return Grant(
        id=new_grant_id(world.entropy.random_bytes),
        scope=key.scope,
        key_id=key.id,
        created_at=world.clock.now(),
        name=request.name,
        grantee_principal=request.grantee_principal,
        grantee_service=request.grantee_service_principal,
        retiring_principal=request.retiring_principal,
        retiring_service=request.retiring_service_principal,
        operations=tuple(dict.fromkeys(request.operations)),
        context_subset=constraints.encryption_context_subset,
        context_equals=constraints.encryption_context_equals,
        source_arn=constraints.source_arn,
    )


def _same(unit: Unit, grant: Grant) -> Grant | None:
    """Return the key's grant of the same name and with the same of everything else, if there is one."""
    if grant.name is None:
        return None
    others = unit.grants(grant.scope, key_id=grant.key_id, grantee=_grantee(grant))
    return next(
        (other for other in others if replace(grant, id=other.id, created_at=other.created_at) == other), None
    )


def _end(world: World, call: Call, grant_id: str, key: KmsKey | None, *, dry_run: bool) -> Nothing:
    _require_grant_id(grant_id)
    with world.registry.writing() as unit:
        grant = unit.grant(call.scope, grant_id)
        if grant is None or (key is not None and grant.key_id != key.id):
            raise NotFoundException(f"Grant ID {grant_id} not found")
        if dry_run:
            raise DryRunOperationException
        unit.remove_grant(grant)
        call.recording.commit(unit)
    return NOTHING


def _require_grant_id(grant_id: str) -> None:
    if _GRANT_ID.fullmatch(grant_id) is None:
        raise InvalidGrantIdException(f"Invalid grant ID {grant_id}")


def _grantee(grant: Grant) -> str | None:
    return grant.grantee_principal or grant.grantee_service


def _page_size(limit: int | None) -> int:
    return min(limit or GRANTS_PAGE[0], GRANTS_PAGE[1])


def _listed(listing: Listing, found: list[Grant], limit: int) -> ListGrantsResponse:
    shown = listing.page(found, limit, lambda grant: (grant.created_at, grant.id))
    entries: list[GrantListEntry] = [entry(grant) for grant in shown.items]
    return ListGrantsResponse(grants=entries, truncated=shown.truncated, next_marker=shown.marker)


def _new_token(world: World, scope: Scope, grant_id: str) -> str:
    """Return a token that names the grant, and is another each time."""
    sealed = world.sealer.seal(bytes.fromhex(grant_id), _token_identity(scope))
    return base64.urlsafe_b64encode(sealed).decode("ascii")


def _open_token(world: World, scope: Scope, token: str) -> str:
    try:
        sealed = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
        return world.sealer.unseal(sealed, _token_identity(scope)).hex()
    except (binascii.Error, SealBroken) as error:
        raise InvalidGrantTokenException("The grant token is not valid.").elsewhere() from error


def _token_identity(scope: Scope) -> str:
    return f"grant-token/{scope.account}/{scope.region}"
