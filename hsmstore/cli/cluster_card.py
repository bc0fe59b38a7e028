"""A cluster as a person reads it."""

from collections.abc import Iterator

from hsmstore.cli import screen
from hsmstore.cli.client import Answer, Simulator
from hsmstore.cli.views import ClusterView, HsmView, SubnetView


def show_cluster(simulator: Simulator, answer: Answer, *, as_json: bool) -> None:
    """Put a cluster's description on standard output."""
    if as_json:
        screen.document(answer)
        return
    cluster = simulator.read(answer, ClusterView)
    token = cluster.token
    screen.card(
        [
            ("cluster", cluster.cloud_hsm_cluster_id),
            ("state", cluster.state),
            ("account", cluster.account_id),
            ("Region", cluster.region),
            ("created", screen.moment(cluster.create_timestamp)),
            ("kmsuser", ", ".join(_kmsuser(cluster))),
            ("network", "reachable" if cluster.network_reachable else "cut"),
            ("token", f"{token.label}, serial {token.serial_number}, {token.profile}" if token else "none"),
            *((("at", token.address),) if token and token.address else ()),
            *((("lacks", token.lack),) if token and token.lack else ()),
            *((hsm.hsm_id, _hsm(cluster, hsm)) for hsm in cluster.hsms),
            *((subnet.subnet_id, _subnet(subnet)) for subnet in cluster.subnets),
        ]
    )


def show_certificate(simulator: Simulator, answer: Answer) -> None:
    """Put its certificate there, too."""
    screen.line()
    screen.line(simulator.read(answer, ClusterView).trust_anchor_certificate.rstrip())


def _kmsuser(cluster: ClusterView) -> Iterator[str]:
    having = sum(hsm.has_kmsuser for hsm in cluster.hsms)
    if having == len(cluster.hsms) and having:
        yield "exists"
    else:
        yield f"on {having} of {len(cluster.hsms)} HSMs" if having else "does not exist"
    if cluster.kmsuser_logged_in_elsewhere:
        yield "logged in elsewhere"
    if failed := cluster.kmsuser_failed_logins:
        yield f"{failed} wrong password{'s' if failed > 1 else ''} in a row"


def _hsm(cluster: ClusterView, hsm: HsmView) -> str:
    missed = not hsm.has_kmsuser and any(other.has_kmsuser for other in cluster.hsms)
    return f"{hsm.availability_zone} {hsm.state}{', without kmsuser' if missed else ''}"


def _subnet(subnet: SubnetView) -> str:
    free = f"{subnet.free_addresses} free addresses" if subnet.exists else "deleted"
    return f"{subnet.availability_zone} {free}"
