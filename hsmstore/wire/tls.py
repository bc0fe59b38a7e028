"""TLS for the server's sockets: certificate and key from files, read again while it runs."""

import ssl
from pathlib import Path

from hsmstore.domain.errors import EnvironmentUnfit


class Tls:
    """TLS 1.2 and 1.3. With a client authority, only clients with a certificate of it get through."""

    def __init__(self, certificate: Path, key: Path | None, client_authority: Path | None) -> None:
        """Take PEM files: the certificate with its chain, its key if that is in another, and the authority.

        Raises:
            EnvironmentUnfit: a file cannot be used.

        """
        self._certificate = certificate
        self._key = key
        self._client_authority = client_authority
        self._current = self.context = self._made()
        # Called for each client, whether it names a server or not.
        self.context.sni_callback = self._use_current

    def reload(self) -> None:
        """Read certificate and key again, for connections from now on; the client authority stays.

        Raises:
            EnvironmentUnfit: a file cannot be used; nothing has changed then.

        """
        self._current = self._made()  # as a whole: halfway between two, certificate and key do not fit

    def _use_current(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._current

    def _made(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            # Without a password OpenSSL would ask the terminal for that of an encrypted key.
            context.load_cert_chain(self._certificate, self._key, password="")
        except OSError as error:
            raise _unfit("certificate", self._certificate, error) from error
        if self._client_authority is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            try:
                context.load_verify_locations(self._client_authority)
            except OSError as error:
                raise _unfit("client authority", self._client_authority, error) from error
        return context


def _unfit(what: str, file: Path, error: OSError) -> EnvironmentUnfit:
    reason = error.reason if isinstance(error, ssl.SSLError) and error.reason else error.strerror or error
    return EnvironmentUnfit(
        f"the TLS {what} {file} cannot be used: {reason}", "name PEM files: a certificate and its own key"
    )
