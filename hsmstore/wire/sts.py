"""STS as far as tools ask it first: GetCallerIdentity, over the query protocol. Everything else is refused.

Shapes, texts and status codes are those of the AWS STS API Reference and its page "Common Errors".
"""

from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from hsmstore.domain.errors import AwsError, IncompleteSignatureException
from hsmstore.domain.identifiers import root_arn
from hsmstore.wire.auth import Identification, Identity
from hsmstore.wire.http import Request, Response

VERSION: Final = "2011-06-15"

_NAMESPACE: Final = f"https://sts.amazonaws.com/doc/{VERSION}/"
_FORM: Final = b"application/x-www-form-urlencoded"
ACTION: Final = "GetCallerIdentity"


def is_sts(request: Request) -> bool:
    """Tell whether a request is for STS: its credential scope says so, or it asks who calls."""
    headers = request.headers
    if request.method != b"POST" or request.target.partition(b"?")[0] != b"/" or request.body is None:
        return False
    if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != _FORM:
        return False
    return (
        b"/sts/aws4_request" in headers.get(b"authorization", b"") or _form(request).get("Action") == ACTION
    )


def answer(request: Request, request_id: str, identification: Identification) -> Response:
    """Answer a request that `is_sts`."""
    try:
        identity = identification.of_query(request)
    except AwsError as error:
        return refused(error, request_id)
    asked = _form(request)
    action, version = asked.get("Action", ""), asked.get("Version", VERSION)
    if action == ACTION:
        return _answered(identity, request_id)
    if not action:
        return _refused(HTTPStatus.BAD_REQUEST, "MissingAction", "Missing Action", request_id)
    text = f"Could not find operation {action} for version {version}"
    return _refused(HTTPStatus.BAD_REQUEST, "InvalidAction", text, request_id)


def refused(error: AwsError, request_id: str) -> Response:
    """Refuse a request whose signature is not right, by the names of the query protocol.

    Raises:
        AwsError: the query protocol has no name for it.

    """
    if error.query_code is None:
        raise error
    early = isinstance(error, IncompleteSignatureException)
    status = HTTPStatus.BAD_REQUEST if early else HTTPStatus.FORBIDDEN
    return _refused(status, error.query_code, error.message or "", request_id)


def _form(request: Request) -> dict[str, str]:
    try:
        fields = parse_qs((request.body or b"").decode("latin-1"), max_num_fields=100)
    except ValueError:
        return {}
    return {name: values[-1] for name, values in fields.items()}


def _answered(identity: Identity, request_id: str) -> Response:
    """Say who calls; who is not known is the root user of the account."""
    scope, caller = identity
    body = (
        f'<GetCallerIdentityResponse xmlns="{_NAMESPACE}">\n'
        "  <GetCallerIdentityResult>\n"
        f"    <Arn>{escape(caller.arn or root_arn(scope))}</Arn>\n"
        f"    <UserId>{escape(caller.user_id or scope.account)}</UserId>\n"
        f"    <Account>{scope.account}</Account>\n"
        "  </GetCallerIdentityResult>\n"
        "  <ResponseMetadata>\n"
        f"    <RequestId>{request_id}</RequestId>\n"
        "  </ResponseMetadata>\n"
        "</GetCallerIdentityResponse>\n"
    )
    return _response(HTTPStatus.OK, body, request_id)


def _refused(status: HTTPStatus, code: str, text: str, request_id: str) -> Response:
    body = (
        f'<ErrorResponse xmlns="{_NAMESPACE}">\n'
        "  <Error>\n"
        "    <Type>Sender</Type>\n"
        f"    <Code>{code}</Code>\n"
        f"    <Message>{escape(text)}</Message>\n"
        "  </Error>\n"
        f"  <RequestId>{request_id}</RequestId>\n"
        "</ErrorResponse>\n"
    )
    return _response(status, body, request_id)


def _response(status: HTTPStatus, body: str, request_id: str) -> Response:
    head = f"x-amzn-RequestId: {request_id}\r\nContent-Type: text/xml\r\n".encode()
    return Response(status, head, body.encode())
