"""How a test plays a failing connect and its mend: a key store on a cluster, and what is done to the two."""

import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hsmstore.hsm.session import LOOK_INTERVAL
from tests.server import PASSWORD, Server
from tests.wire.refusals import Refusal, code, refusal

INVALID_STATE = "CustomKeyStoreInvalidStateException"
NEW_PASSWORD = "anotherPassword2"
SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"


class Played:
    """A CloudHSM key store and its cluster on a server."""

    def __init__(self, server: Server, name: str, **members: Any) -> None:
        self.server = server
        self.kms = server.kms()
        self.cluster = server.new_cluster(**members)
        self.store = server.new_store(name, self.cluster)

    @property
    def cluster_id(self) -> str:
        """The cluster's id."""
        cluster_id: str = self.cluster["CloudHsmClusterId"]
        return cluster_id

    @property
    def hsms(self) -> list[str]:
        """The ids of the cluster's HSMs."""
        return [hsm["HsmId"] for hsm in self.cluster["Hsms"]]

    @property
    def home(self) -> Path:
        """The directory of the cluster's token."""
        return self.server.data_dir / "hsm" / self.cluster_id

    def state(self) -> tuple[str, str | None]:
        """Return ConnectionState and ConnectionErrorCode."""
        (entry,) = self.kms.describe_custom_key_stores(CustomKeyStoreId=self.store)["CustomKeyStores"]
        return entry["ConnectionState"], entry.get("ConnectionErrorCode")

    def connect(self) -> tuple[str, str | None]:
        """Connect, and return how that ended."""
        self.kms.connect_custom_key_store(CustomKeyStoreId=self.store)
        return self.state()

    def disconnect(self) -> None:
        """Disconnect."""
        self.kms.disconnect_custom_key_store(CustomKeyStoreId=self.store)
        assert self.state() == ("DISCONNECTED", None)

    def update(self, **members: Any) -> None:
        """Update the key store."""
        self.kms.update_custom_key_store(CustomKeyStoreId=self.store, **members)

    def draw(self) -> bytes:
        """Draw 16 bytes."""
        answer = self.kms.generate_random(NumberOfBytes=16, CustomKeyStoreId=self.store)
        plaintext: bytes = answer["Plaintext"]
        return plaintext

    def refused_draw(self) -> Refusal:
        """Draw, in vain."""
        return refusal(self.kms.generate_random, NumberOfBytes=16, CustomKeyStoreId=self.store)

    def manage(self, method: str, path: str = "", body: Mapping[str, Any] | None = None) -> Any:
        """Do something to the cluster."""
        status, answer = self.server.manage(method, f"/clusters/{self.cluster_id}{path}", body)
        assert status == 200, answer
        return answer

    def set_password(self, password: str = NEW_PASSWORD) -> None:
        """Set kmsuser's password as the crypto officer."""
        self.manage("PUT", "/kmsuser", {"Password": password})

    def stop_hsms(self) -> None:
        """Let no HSM answer."""
        for hsm in self.hsms:
            self.manage("POST", f"/hsms/{hsm}/stop")

    def start_hsms(self) -> None:
        """Let every HSM answer."""
        for hsm in self.hsms:
            self.manage("POST", f"/hsms/{hsm}/start")

    def set_network(self, *, reachable: bool) -> None:
        """Cut or restore the network."""
        self.manage("PUT", "/network", {"Reachable": reachable})

    def set_subnet(self, **members: Any) -> None:
        """Change the first subnet."""
        self.manage("PUT", f"/subnets/{self.cluster['Subnets'][0]['SubnetId']}", members)

    def back_up(self) -> str:
        """Back the cluster up; return the backup's id."""
        backup_id: str = self.manage("POST", "/backups")["BackupId"]
        return backup_id

    def restore(self, backup_id: str, **members: Any) -> Any:
        """Make a cluster from a backup."""
        status, cluster = self.server.manage("POST", f"/backups/{backup_id}/restore", members)
        assert status == 200, cluster
        return cluster

    def use(self, cluster: Any, **members: Any) -> None:
        """Update the key store to another cluster, which is then this one's."""
        self.update(CloudHsmClusterId=cluster["CloudHsmClusterId"], **members)
        self.cluster = cluster

    def fails(self, error_code: str) -> None:
        """See a connect fail with this code, a further one refused, and disconnect."""
        assert self.connect() == ("FAILED", error_code)
        assert code(self.kms.connect_custom_key_store, CustomKeyStoreId=self.store) == INVALID_STATE
        assert code(self.kms.generate_random, NumberOfBytes=8, CustomKeyStoreId=self.store) == INVALID_STATE
        assert self.state() == ("FAILED", error_code)
        self.disconnect()

    def works(self) -> None:
        """See a connect succeed, and bytes."""
        assert self.connect() == ("CONNECTED", None)
        assert len(self.draw()) == 16

    def stays_connected_and_fails(self, times: int = 3) -> None:
        """See draws fail as the documentation says, and the state stay as it is."""
        for _ in range(times):
            refused = self.refused_draw()
            assert (refused.status, refused.code) == (500, "KMSInternalException")
            assert self.state() == ("CONNECTED", None)

    def tool(self, *command: str) -> str:
        """Run a tool of the token's owner beside the server."""
        environment = {"SOFTHSM2_CONF": str(self.home / "softhsm2.conf"), "PATH": "/usr/bin"}
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        return done.stdout

    def pkcs11_tool(self, *options: str) -> str:
        """Run pkcs11-tool on the cluster's token."""
        return self.tool("pkcs11-tool", "--module", SOFTHSM, "--token-label", self.label, *options)

    @property
    def label(self) -> str:
        """The token's label."""
        label: str = self.cluster["Token"]["Label"]
        return label

    @contextmanager
    def away(self, path: Path) -> Iterator[None]:
        """Take a file or directory away for as long as the context lasts."""
        aside = path.with_name(f"{path.name}.aside")
        shutil.move(path, aside)
        wait_for_a_look()
        yield
        shutil.move(aside, path)


def wait_for_a_look() -> None:
    """Let the time go by in which a draw may not notice what became of its token (docs/architecture.md)."""
    threading.Event().wait(20 * LOOK_INTERVAL)


__all__ = ["INVALID_STATE", "NEW_PASSWORD", "PASSWORD", "SOFTHSM", "Played", "wait_for_a_look"]
