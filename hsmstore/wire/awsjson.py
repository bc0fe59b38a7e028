"""awsJson1.1 on the wire: the answer to a request, byte for byte as KMS has been recorded to send it."""

from typing import Any, Final

import msgspec

from hsmstore.domain.errors import AwsError
from hsmstore.service.shapes import NOTHING, Response

CONTENT_TYPE: Final = "application/x-amz-json-1.1"

Headers = list[tuple[str, str]]

# Recorded from kms.us-east-2.amazonaws.com, success and error alike. The HTTP server adds
# Date and Content-Length.
_STANDING: Final[Headers] = [
    ("Cache-Control", "no-cache, no-store, must-revalidate, private"),
    ("Expires", "0"),
    ("Pragma", "no-cache"),
]

encode: Final = msgspec.json.Encoder().encode


def headers(request_id: str, content_type: str = CONTENT_TYPE) -> Headers:
    """Return the response's headers."""
    return [
        ("X-Amzn-Requestid", request_id),
        ("Content-Type", content_type),
        *_STANDING,
    ]


def answer_body(response: Response) -> bytes:
    """Return the response's JSON; the operations without output answer with an empty body."""
    return b"" if response is NOTHING else encode(response)


def error_body(error: AwsError) -> bytes:
    """Return `{"__type":…}`, with the text under the member that the error fixes, or with none."""
    body: dict[str, Any] = {"__type": error.code}
    if error.message is not None:
        body[error.text_member] = error.message
    return encode(body)
