"""Why a connect fails, what brings that about here, and the documented fix.

The fixes are the KMS Developer Guide's ("Fix an AWS CloudHSM key store"), as commands of hsmstore. In a
command `{store}` and `{cluster}` stand for the ids; what is in capitals is for the reader to fill in.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from hsmstore.domain.keystore import ConnectionErrorCode as Code


class Cause(NamedTuple):
    """One ConnectionErrorCode: what is wrong in life, the command that causes it, the commands that mend it.

    The mend stands between `store disconnect` and `store connect`, which every fix begins and ends with.
    """

    meaning: str
    command: str
    mend: tuple[str, ...]


CAUSES: Final[Mapping[Code, Cause]] = MappingProxyType(
    {
        Code.INVALID_CREDENTIALS: Cause(
            "KMS does not have the current password of kmsuser: it was changed behind its back.",
            "cluster kmsuser set-password {cluster} --password NEW-PASSWORD",
            (
                "cluster kmsuser set-password {cluster} --password NEW-PASSWORD",
                "store update {store} --password NEW-PASSWORD",
            ),
        ),
        Code.USER_LOCKED_OUT: Cause(
            "kmsuser is locked out after five wrong passwords in a row.",
            "store connect {store}  # five times, with a wrong password",
            (
                "cluster kmsuser set-password {cluster} --password NEW-PASSWORD  # which lifts the lock",
                "store update {store} --password NEW-PASSWORD",
            ),
        ),
        Code.USER_LOGGED_IN: Cause(
            "kmsuser is logged in to the cluster, so KMS cannot log in as kmsuser.",
            "cluster kmsuser login {cluster}",
            ("cluster kmsuser logout {cluster}",),
        ),
        Code.USER_NOT_FOUND: Cause(
            "kmsuser does not exist in the cluster, or not on every one of its HSMs.",
            "cluster kmsuser delete {cluster}  # with --hsm HSM: on one HSM alone",
            (
                "cluster kmsuser create {cluster} --password NEW-PASSWORD",
                "store update {store} --password NEW-PASSWORD",
            ),
        ),
        Code.INSUFFICIENT_CLOUDHSM_HSMS: Cause(
            "The cluster has no active HSM.",
            "cluster hsm stop {cluster} HSM  # each of them",
            ("cluster hsm add {cluster}  # or: cluster hsm start {cluster} HSM",),
        ),
        Code.CLUSTER_NOT_FOUND: Cause(
            "The cluster has been deleted, or its id is wrong.",
            "cluster delete {cluster}",
            (
                "cluster restore BACKUP  # one of: hsmstore cluster backups",
                "cluster kmsuser set-password NEW-CLUSTER --password NEW-PASSWORD",
                "store update {store} --cluster NEW-CLUSTER --password NEW-PASSWORD",
            ),
        ),
        Code.NETWORK_ERRORS: Cause(
            "KMS cannot reach the cluster over the network.",
            "cluster network cut {cluster}",
            ("cluster network restore {cluster}",),
        ),
        Code.SUBNET_NOT_FOUND: Cause(
            "A subnet that the cluster was configured with has been deleted.",
            "cluster subnet delete {cluster} SUBNET",
            (
                "cluster backup {cluster}",
                "cluster restore BACKUP  # into new subnets",
                "store update {store} --cluster NEW-CLUSTER",
            ),
        ),
        Code.INSUFFICIENT_FREE_ADDRESSES_IN_SUBNET: Cause(
            "A private subnet of the cluster has no free IP address.",
            "cluster subnet set {cluster} SUBNET --free-addresses 0",
            ("cluster subnet set {cluster} SUBNET --free-addresses 100",),
        ),
        Code.INTERNAL_ERROR: Cause(
            "KMS failed within: here, its PKCS#11 module did, or a fault says so.",
            "fault add connect connection-error INTERNAL_ERROR --store {store}",
            (
                "doctor  # what it finds of modules and tokens, it tells how to mend",
                "fault clear  # where a fault says so",
            ),
        ),
        Code.XKS_PROXY_NOT_REACHABLE: Cause(
            "The external key store proxy does not answer: this simulator has no proxy client yet.",
            "store connect {store}  # of an external key store",
            (),
        ),
    }
)
