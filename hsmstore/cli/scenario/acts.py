"""What each step does on the stage; the text says what came of it."""

from collections.abc import Mapping
from typing import Any, Final

from hsmstore.cli.scenario.stage import Stage

Values = Mapping[str, Any]

DRAWN: Final = 32
DONE: Final = "done"


def say(_: Stage, __: str, ___: Values) -> str:
    """Do nothing: the step is its own text."""
    return ""


def create_cluster(stage: Stage, name: str, values: Values) -> str:
    """Make a cluster."""
    cluster = stage.simulator.create_cluster(
        kmsuser_password=values.get("kmsuser-password"), hsms=values.get("hsms")
    )
    return stage.made_cluster(name, cluster)


def delete_cluster(stage: Stage, name: str, _: Values) -> str:
    """Delete a cluster."""
    stage.clusters[name].delete()
    return DONE


def add_hsm(stage: Stage, name: str, _: Values) -> str:
    """Add an HSM."""
    stage.clusters[name].add_hsm()
    return DONE


def remove_hsm(stage: Stage, name: str, values: Values) -> str:
    """Delete an HSM."""
    stage.clusters[name].remove_hsm(stage.hsm(name, values["hsm"]))
    return DONE


def stop_hsm(stage: Stage, name: str, values: Values) -> str:
    """Stop an HSM."""
    stage.clusters[name].stop_hsm(stage.hsm(name, values["hsm"]))
    return DONE


def start_hsm(stage: Stage, name: str, values: Values) -> str:
    """Start an HSM."""
    stage.clusters[name].start_hsm(stage.hsm(name, values["hsm"]))
    return DONE


def cut_network(stage: Stage, name: str, _: Values) -> str:
    """Cut the network."""
    stage.clusters[name].cut_network()
    return DONE


def restore_network(stage: Stage, name: str, _: Values) -> str:
    """Restore it."""
    stage.clusters[name].restore_network()
    return DONE


def set_subnet(stage: Stage, name: str, values: Values) -> str:
    """Say how many addresses a subnet has."""
    subnet = stage.subnet(name, values["subnet"])
    stage.clusters[name].set_subnet(subnet, free_addresses=values["free-addresses"])
    return DONE


def delete_subnet(stage: Stage, name: str, values: Values) -> str:
    """Delete a subnet."""
    stage.clusters[name].set_subnet(stage.subnet(name, values["subnet"]), exists=False)
    return DONE


def restore_subnet(stage: Stage, name: str, values: Values) -> str:
    """Bring it back."""
    stage.clusters[name].set_subnet(stage.subnet(name, values["subnet"]), exists=True)
    return DONE


def create_kmsuser(stage: Stage, name: str, values: Values) -> str:
    """Make kmsuser."""
    stage.clusters[name].create_kmsuser(values["password"], hsm=_hsm(stage, name, values))
    return DONE


def set_password(stage: Stage, name: str, values: Values) -> str:
    """Set kmsuser's password."""
    stage.clusters[name].set_kmsuser_password(values["password"])
    return DONE


def _hsm(stage: Stage, name: str, values: Values) -> str | None:
    return stage.hsm(name, values["hsm"]) if "hsm" in values else None


def delete_kmsuser(stage: Stage, name: str, values: Values) -> str:
    """Delete kmsuser."""
    stage.clusters[name].delete_kmsuser(hsm=_hsm(stage, name, values))
    return DONE


def log_in(stage: Stage, name: str, _: Values) -> str:
    """Log kmsuser in."""
    stage.clusters[name].log_in_kmsuser()
    return DONE


def log_out(stage: Stage, name: str, _: Values) -> str:
    """Log it out."""
    stage.clusters[name].log_out_kmsuser()
    return DONE


def back_up(stage: Stage, name: str, values: Values) -> str:
    """Back a cluster up."""
    return stage.made_backup(values["as"], stage.clusters[name].back_up())


def restore(stage: Stage, name: str, values: Values) -> str:
    """Make a cluster of a backup."""
    cluster = stage.simulator.restore(stage.backups[name], hsms=values.get("hsms"))
    return stage.made_cluster(values["as"], cluster)


def create_store(stage: Stage, name: str, values: Values) -> str:
    """Make a key store; its name on the simulator is nobody else's."""
    cluster = stage.clusters[values["cluster"]]
    unique = f"{name}, scenario of {cluster.id}"
    store = stage.simulator.create_key_store(unique, cluster, password=values["password"])
    return stage.made_store(name, store)


def connect(stage: Stage, name: str, _: Values) -> str:
    """Connect."""
    stage.simulator.connect(stage.stores[name])
    return DONE


def disconnect(stage: Stage, name: str, _: Values) -> str:
    """Disconnect."""
    stage.simulator.disconnect(stage.stores[name])
    return DONE


def update(stage: Stage, name: str, values: Values) -> str:
    """Change a key store."""
    cluster = values.get("cluster")
    stage.simulator.kms(
        "UpdateCustomKeyStore",
        CustomKeyStoreId=stage.stores[name],
        KeyStorePassword=values.get("password"),
        CloudHsmClusterId=cluster and stage.clusters[cluster].id,
    )
    return DONE


def show(stage: Stage, name: str, _: Values) -> str:
    """Look at a key store."""
    stage.simulator.key_store(stage.stores[name])
    return ""


def delete_store(stage: Stage, name: str, _: Values) -> str:
    """Delete a key store."""
    stage.simulator.kms("DeleteCustomKeyStore", CustomKeyStoreId=stage.stores[name])
    return DONE


def draw(stage: Stage, name: str, values: Values) -> str:
    """Draw once."""
    drawn = stage.simulator.random(values.get("bytes", DRAWN), stage.stores[name])
    return f"{len(drawn)} bytes"


def advance(stage: Stage, seconds: float, _: Values) -> str:
    """Set the clock forward."""
    stage.simulator.clock.advance(seconds)
    return DONE


def freeze(stage: Stage, _: str, __: Values) -> str:
    """Stop the clock."""
    stage.simulator.clock.freeze()
    return DONE


def run(stage: Stage, _: str, __: Values) -> str:
    """Let it run."""
    stage.simulator.clock.run()
    return DONE


def scale(stage: Stage, rate: float, _: Values) -> str:
    """Let it run faster or slower."""
    stage.simulator.clock.scale(rate)
    return DONE


def add_fault(stage: Stage, point: str, values: Values) -> str:
    """Add a fault."""
    now = stage.simulator.clock.show()["Now"]
    fault = stage.simulator.faults.add(
        point,
        values["effect"],
        values.get("error"),
        seconds=values.get("duration"),
        store=stage.stores.get(values.get("store", "")),
        cluster=stage.clusters[values["cluster"]].id if "cluster" in values else None,
        times=values.get("times"),
        every=values.get("every"),
        probability=values.get("probability"),
        seed=values.get("seed"),
        until=now + values["until"] if "until" in values else None,
    )
    return stage.made_fault(values.get("as"), fault)


def remove_fault(stage: Stage, name: str, _: Values) -> str:
    """Take a fault back."""
    stage.simulator.faults.remove(stage.faults[name])
    return DONE


def hold(stage: Stage, phase: str, values: Values) -> str:
    """Hold a phase."""
    fault = stage.simulator.hold(phase, stage.stores.get(values.get("store", "")))
    return stage.made_fault(None, fault)


def release(stage: Stage, phase: str, values: Values) -> str:
    """Release it."""
    count = stage.simulator.release(phase or None, stage.stores.get(values.get("store", "")))
    return f"{count} released"
