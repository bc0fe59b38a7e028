"""The routes of the management API, one row each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, get_type_hints

import msgspec

from hsmstore.service import backups, clock, clusterkeys, clusters, explain, faults, hsms, kmsuser, overview
from hsmstore.service.iam.suggesting import suggest_policy
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
        kind: type[msgspec.Struct] = next(iter(get_type_hints(self.serve).values()))
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
    Route("POST", "/clusters/{ClusterId}/kmsuser", kmsuser.create_kmsuser),
    Route("PUT", "/clusters/{ClusterId}/kmsuser", kmsuser.set_kmsuser_password),
    Route("DELETE", "/clusters/{ClusterId}/kmsuser", kmsuser.delete_kmsuser),
    Route("POST", "/clusters/{ClusterId}/kmsuser/session", kmsuser.log_in_kmsuser),
    Route("DELETE", "/clusters/{ClusterId}/kmsuser/session", kmsuser.log_out_kmsuser),
    Route("POST", "/clusters/{ClusterId}/hsms", hsms.add_hsm),
    Route("DELETE", "/clusters/{ClusterId}/hsms/{HsmId}", hsms.remove_hsm),
    Route("POST", "/clusters/{ClusterId}/hsms/{HsmId}/stop", hsms.stop_hsm),
    Route("POST", "/clusters/{ClusterId}/hsms/{HsmId}/start", hsms.start_hsm),
    Route("PUT", "/clusters/{ClusterId}/network", hsms.set_network),
    Route("PUT", "/clusters/{ClusterId}/subnets/{SubnetId}", hsms.set_subnet),
    Route("GET", "/clusters/{ClusterId}/keys", clusterkeys.list_cluster_keys),
    Route("DELETE", "/clusters/{ClusterId}/keys/{KeyId}", clusterkeys.delete_cluster_key),
    Route("POST", "/clusters/{ClusterId}/backups", backups.create_backup),
    Route("GET", "/backups", backups.list_backups),
    Route("DELETE", "/backups/{BackupId}", backups.delete_backup),
    Route("POST", "/backups/{BackupId}/restore", backups.restore_backup),
    Route("GET", "/clock", clock.show_clock),
    Route("POST", "/clock/advance", clock.advance_clock),
    Route("PUT", "/clock/rate", clock.scale_clock),
    Route("GET", "/faults", faults.list_faults),
    Route("POST", "/faults", faults.add_fault),
    Route("DELETE", "/faults", faults.clear_faults),
    Route("DELETE", "/faults/{FaultId}", faults.remove_fault),
    Route("GET", "/key-stores", overview.list_states),
    Route("GET", "/key-stores/{CustomKeyStoreId}/explanation", explain.explain_key_store),
    Route("GET", "/principals/{Name}/suggestion", suggest_policy),
    Route("GET", "/trail", overview.list_records),
)
