"""A running simulator, from Python: whatever the command line does, a test can do in its own process.

    >>> cluster = simulator.create_cluster(kmsuser_password="kmsPassword1")
    >>> store = simulator.create_key_store("payments", cluster, password="kmsPassword1")
    >>> simulator.connect(store)
    >>> simulator.key_store(store)["ConnectionState"]
    'CONNECTED'
    >>> len(simulator.random(32, store))
    32

What breaks a cluster in life is done to the cluster:

    >>> _ = cluster.cut_network()
    >>> simulator.random(32, store)
    Traceback (most recent call last):
    hsmstore.simulator.doors.Refused: KMSInternalException: KMS cannot communicate with ...
    >>> _ = cluster.restore_network()
    >>> len(simulator.random(32, store))
    32

What a test wants *now* is a fault:

    >>> fault = simulator.faults.add("draw", "exception", "ThrottlingException", store=store, times=1)
    >>> simulator.random(32, store)
    Traceback (most recent call last):
    hsmstore.simulator.doors.Refused: ThrottlingException: You have exceeded ...
    >>> simulator.faults.remove(fault["FaultId"])

A phase can be held, so that a client is seen to wait, and the clock need not be waited for:

    >>> simulator.disconnect(store)
    >>> _ = simulator.hold("connect", store)
    >>> simulator.connect(store)
    >>> _ = simulator.clock.advance(minutes=20)
    >>> simulator.key_store(store)["ConnectionState"]
    'CONNECTING'
    >>> simulator.release("connect", store)
    1
    >>> simulator.explain(store)["ConnectionState"]
    'CONNECTED'

AWS's own operations are `kms`'s, or boto3's at the same endpoint. Every call raises Refused or Unreachable.
An answer is the API's own JSON object. Only the standard library is needed.
"""

from hsmstore.simulator.client import Controls, Simulator
from hsmstore.simulator.doors import Answer, Credentials, Refused, Unreachable
from hsmstore.simulator.facets import Clock, Cluster, Faults

__all__ = [
    "Answer",
    "Clock",
    "Cluster",
    "Controls",
    "Credentials",
    "Faults",
    "Refused",
    "Simulator",
    "Unreachable",
]
