"""Every refusal that a caller can meet, on one page.

Each class fixes the AWS error's `code` (its name), the HTTP `status` and the body member that carries
the text. Recorded responses answer 400 to every client error, whatever the Smithy model says.
An error has two messages: `message` is for the caller, `internal` is for the log.
"""

from typing import ClassVar, Final, Self

ERRORS: Final[dict[str, type["AwsError"]]] = {}
"""By code."""


class AwsError(Exception):
    """An error that has a code on the AWS wire."""

    code: ClassVar[str]
    status: ClassVar[int] = 400
    text_member: ClassVar[str] = "message"
    query_code: ClassVar[str | None] = None
    """Its name at services of the query protocol (STS), if they have it."""
    foreign: bool = False
    """Whether it came of something that is not here, and that another emulator may have."""

    def __init_subclass__(cls) -> None:
        """Name the AWS error after its class."""
        cls.code = cls.__name__
        ERRORS[cls.code] = cls

    def __init__(self, message: str | None = None, *, internal: str | None = None) -> None:
        super().__init__(message or self.code)
        self.message = message
        self.internal = internal

    def elsewhere(self) -> Self:
        """Say that what was asked for may be with another emulator; nothing has been changed here."""
        self.foreign = True
        return self


# The wire itself: refused before an operation has been chosen or its input understood.


class UnknownOperationException(AwsError):
    """No such operation, or a request that is not awsJson1.1."""


class SerializationException(AwsError):
    """The body is not JSON, or a member has the wrong type."""


class ValidationException(AwsError):
    """A member breaks a constraint of the service model, or members contradict each other."""


class RequestEntityTooLargeException(AwsError):
    """The body is larger than the endpoint reads."""

    status = 413


# The door, which AWS does not have: refused whatever is asked for.


class HostNotAllowedException(AwsError):
    """The request names a host that is not this server."""

    status = 403


class OriginNotAllowedException(AwsError):
    """The request comes from a web page that is not this server's."""

    status = 403


# Custom key stores.


class CustomKeyStoreNotFoundException(AwsError):
    """Unknown key store id or name."""


class CustomKeyStoreInvalidStateException(AwsError):
    """The ConnectionState forbids the operation."""


class CustomKeyStoreNameInUseException(AwsError):
    """Another key store of the account and Region has the name."""


class CustomKeyStoreHasCMKsException(AwsError):
    """The key store still holds KMS keys."""


class LimitExceededException(AwsError):
    """A quota is used up."""


class InvalidMarkerException(AwsError):
    """The Marker was not made by this endpoint, or for another account or Region."""


class UnsupportedOperationException(AwsError):
    """The operation does not exist for this type of key store, or not here."""


# Ciphertext.


class InvalidCiphertextException(AwsError):
    """The ciphertext blob, or the encryption context that belongs to it, is not what was encrypted."""


class IncorrectKeyException(AwsError):
    """The ciphertext blob names another key than the request does."""


# KMS keys.


class NotFoundException(AwsError):
    """No such key, alias or grant; also an id that could not be one."""


class InvalidArnException(AwsError):
    """An ARN that is not that of a KMS key."""


class DisabledException(AwsError):
    """The key is Disabled."""


class KMSInvalidStateException(AwsError):
    """The key's state forbids the operation, or its cluster cannot be used."""


class AlreadyExistsException(AwsError):
    """The alias is there already."""


class InvalidAliasNameException(AwsError):
    """The alias has a name that is AWS's own."""


class MalformedPolicyDocumentException(AwsError):
    """The key policy is no policy, or would lock its owner out."""


class TagException(AwsError):
    """Tags that contradict each other, or that are AWS's own."""


class InvalidGrantIdException(AwsError):
    """The grant's id could not be one."""


class InvalidGrantTokenException(AwsError):
    """The grant token was not made by this endpoint."""


class InvalidKeyUsageException(AwsError):
    """The key's usage forbids the operation."""


class DryRunOperationException(AwsError):
    """The request would have succeeded, but for DryRun."""

    def __init__(self, message: str | None = None, *, internal: str | None = None) -> None:
        super().__init__(message or _DRY_RUN, internal=internal)


_DRY_RUN: Final = "The request would have succeeded, but the DryRun option is set."


# The cluster behind a key store.


class CloudHsmClusterNotFoundException(AwsError):
    """No such cluster in the account and Region."""


class CloudHsmClusterNotActiveException(AwsError):
    """The cluster has not been initialised and activated."""


class CloudHsmClusterInUseException(AwsError):
    """The cluster, or one that shares its certificate, already backs a key store."""


class CloudHsmClusterNotRelatedException(AwsError):
    """The new cluster has a different cluster certificate."""


class CloudHsmClusterInvalidConfigurationException(AwsError):
    """Too few active HSMs or Availability Zones."""


class IncorrectTrustAnchorException(AwsError):
    """The certificate is not the cluster's trust anchor."""


# The proxy behind an external key store.


class XksProxyUriInUseException(AwsError):
    """Another external key store has this endpoint and path."""


class XksProxyUriEndpointInUseException(AwsError):
    """The endpoint is in use by a store of the other connectivity, or is another store's private DNS name."""


class XksProxyVpcEndpointServiceInUseException(AwsError):
    """Another external key store has this VPC endpoint service."""


class XksProxyInvalidConfigurationException(AwsError):
    """The proxy's configuration is contradictory."""


# Not found out by this simulator, which has no proxy client; a fault plan can raise them.


class XksProxyUriUnreachableException(AwsError):
    """The proxy did not answer, or in time."""


class XksProxyIncorrectAuthenticationCredentialException(AwsError):
    """The proxy rejected the credential."""


class XksProxyInvalidResponseException(AwsError):
    """The proxy's answer cannot be read."""


class XksProxyVpcEndpointServiceNotFoundException(AwsError):
    """There is no such VPC endpoint service, or KMS may not use it."""


class XksProxyVpcEndpointServiceInvalidConfigurationException(AwsError):
    """The VPC endpoint service does not fulfil the requirements."""


# Who calls, in the order of the checks.


class MissingAuthenticationTokenException(AwsError):
    """The request is not signed."""

    query_code = "MissingAuthenticationToken"

    def __init__(self, message: str | None = None, *, internal: str | None = None) -> None:
        super().__init__(message or "Request is missing Authentication Token", internal=internal)


class IncompleteSignatureException(AwsError):
    """The Authorization header lacks a part, or cannot be read."""

    query_code = "IncompleteSignature"


class InvalidSignatureException(AwsError):
    """The signature is of another time, place, request or secret."""

    query_code = "SignatureDoesNotMatch"

    def __init__(self, message: str | None = None, *, internal: str | None = None) -> None:
        super().__init__(message or _MISMATCH, internal=internal)


_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret"
    " Access Key and signing method. Consult the service documentation for details."
)


class UnrecognizedClientException(AwsError):
    """No such access key, or not with this session token."""

    query_code = "InvalidClientTokenId"

    def __init__(self, message: str | None = None, *, internal: str | None = None) -> None:
        super().__init__(
            message or "The security token included in the request is invalid.", internal=internal
        )


class ExpiredTokenException(AwsError):
    """The temporary credential is out of date."""

    query_code = "ExpiredToken"

    def __init__(self, message: str | None = None, *, internal: str | None = None) -> None:
        super().__init__(
            message or "The security token included in the request is expired", internal=internal
        )


# Raised for any operation.


class AccessDeniedException(AwsError):
    """The caller may not do that. Recorded from KMS, though its service model does not declare it."""

    text_member = "Message"


class ThrottlingException(AwsError):
    """The caller is too fast. Recorded from KMS, though its service model does not declare it."""

    def __init__(self, message: str | None = None, *, internal: str | None = None) -> None:
        super().__init__(message or _THROTTLED, internal=internal)


_THROTTLED: Final = (
    "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls."
)


# Faults of the service.


class KMSInternalException(AwsError):
    """The HSM did not do what was asked of it; callers may retry."""

    status = 500


class DependencyTimeoutException(AwsError):
    """The HSM did not answer in time; callers may retry."""

    status = 500  # the documentation's page lists 500, the Smithy model 503


# The management API speaks CloudHSM's own vocabulary, whose text member is capital.


class CloudHsmInvalidRequestException(AwsError):
    """The management request cannot be carried out as it stands."""

    text_member = "Message"


class CloudHsmAccessDeniedException(AwsError):
    """The management API wants its token. AWS answers 400; a browser asks for more at 401."""

    status = 401
    text_member = "Message"


class CloudHsmResourceNotFoundException(AwsError):
    """No such cluster."""

    status = 404
    text_member = "Message"


class CloudHsmInternalFailureException(AwsError):
    """The token behind the cluster could not be reached."""

    status = 500
    text_member = "Message"


# Not AWS's: for the services and the command line.


class Conflict(Exception):
    """Somebody else changed the row first. The operation starts again from what is true now."""


class EnvironmentUnfit(Exception):
    """The machine cannot run hsmstore as it stands. `mend` says what to do, in one line."""

    def __init__(self, reason: str, mend: str) -> None:
        super().__init__(f"{reason} ({mend})")
        self.reason = reason
        self.mend = mend
