"""awsJson1.1 on the wire: the answer to a request, byte for byte as KMS has been recorded to send it."""

from typing import Any, Final

import msgspec

from hsmstore.domain.errors import AwsError
from hsmstore.service.shapes import NOTHING, Response

CONTENT_TYPE: Final = b"application/x-amz-json-1.1"

# Recorded from kms.us-east-2.amazonaws.com, success and error alike.
_HEAD: Final = (
    b"X-Amzn-Requestid: %b\r\n"
    b"Content-Type: %b\r\n"
    b"Cache-Control: no-cache, no-store, must-revalidate, private\r\n"
    b"Expires: 0\r\n"
    b"Pragma: no-cache\r\n"
)

encode: Final = msgspec.json.Encoder().encode


def head(request_id: str, content_type: bytes = CONTENT_TYPE) -> bytes:
    """Return the response's header lines but for those that HTTP itself wants."""
    return _HEAD % (request_id.encode(), content_type)


def answer_body(response: Response) -> bytes:
    """Return the response's JSON; the operations without output answer with an empty body."""
    return b"" if response is NOTHING else encode(response)


def error_body(error: AwsError) -> bytes:
    """Return `{"__type":…}`, with the text under the member that the error fixes, or with none."""
    body: dict[str, Any] = {"__type": error.code}
    if error.message is not None:
        body[error.text_member] = error.message
    return encode(body)
