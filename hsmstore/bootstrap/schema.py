"""The registry's schema, as `hsmstore db` looks after it."""

from hsmstore.bootstrap.parts import open_sealer
from hsmstore.settings.fields import Settings
from hsmstore.storage.migrations import SchemaState, current_state, upgrade
from hsmstore.system.ownership import owned


def upgrade_registry(settings: Settings) -> None:
    """Bring the registry's schema to this version.

    Raises:
        EnvironmentUnfit: the registry cannot be used, or a server is using it.

    """
    with owned(settings.data_dir):
        open_sealer(settings)
        upgrade(settings.registry_url)


def registry_state(settings: Settings) -> SchemaState:
    """Return how the registry's schema stands.

    Raises:
        EnvironmentUnfit: the registry cannot be used.

    """
    return current_state(settings.registry_url)
