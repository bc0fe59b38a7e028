"""The routes of the management API, one row each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, get_type_hints

import msgspec

from hsmstore.service import clusters
from hsmstore.service.shapes import Response
from hsmstore.service.world import Call, World

PREFIX: Final = "/_hsmstore"


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path below the prefix, and the service function behind it.

    The function's annotations say what it takes and gives. The request is gathered from the path, the query
    string and the JSON body.
    """

    method: str
    path: str
    serve: Callable[[Any, Call, World], Response]

    @property
    def request(self) -> type[msgspec.Struct]:
        """The type of the request."""
        kind: type[msgspec.Struct] = get_type_hints(self.serve)["request"]
        return kind

    @property
    def response(self) -> type[msgspec.Struct]:
        """The type of the response."""
        kind: type[msgspec.Struct] = get_type_hints(self.serve)["return"]
        return kind


ROUTES: Final = (
    Route("POST", "/clusters", clusters.create_cluster),
    Route("GET", "/clusters", clusters.list_clusters),
    Route("GET", "/clusters/{ClusterId}", clusters.describe_cluster),
    Route("DELETE", "/clusters/{ClusterId}", clusters.delete_cluster),
    Route("POST", "/clusters/{ClusterId}/kmsuser", clusters.create_kmsuser),
    Route("PUT", "/clusters/{ClusterId}/kmsuser", clusters.set_kmsuser_password),
    Route("DELETE", "/clusters/{ClusterId}/kmsuser", clusters.delete_kmsuser),
)
