"""Where a kill would hurt most: the instants between two facts that belong together.

The services pass them by name. In life nothing happens there; a test ends the process at one of them and
looks whether the next process takes up what was left.
"""

from enum import StrEnum


class Checkpoint(StrEnum):
    """An instant at which the process may be killed."""

    TOKEN_MADE = "token-made"
    """A cluster's token is there, its row is not."""
    CLUSTER_FORGOTTEN = "cluster-forgotten"
    """A deleted cluster's row is gone, its token is not."""
    CONNECTING = "connecting"
    """The row says CONNECTING, nothing has been done."""
    LOGGED_IN = "logged-in"
    """The session is open, the password not yet rotated."""
    PASSWORD_PENDING = "password-pending"
    """The new password is written ahead, the token has the old one."""
    PASSWORD_SET = "password-set"
    """The token has the new password, the row still calls it pending."""
    PASSWORD_COMMITTED = "password-committed"
    """The rotation is complete, the row still says CONNECTING."""
    CONNECTED = "connected"
    """The row says CONNECTED, the gate is still shut."""
    GATE_SHUT = "gate-shut"
    """The gate is shut, the row still says CONNECTED."""
    DISCONNECTING = "disconnecting"
    """The row says DISCONNECTING."""
    KEY_AHEAD = "key-ahead"
    """It is written down that a new key's material may be on the token, which it is not."""
    KEY_MADE = "key-made"
    """A new key's material is on the token, its row is not."""
    KEY_FORGOTTEN = "key-forgotten"
    """A deleted key's row is gone, its material is not."""
