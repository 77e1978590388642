"""TLS handshakes that fail, said aloud on both sides.

asyncio's server drops a connection whose handshake failed without a word: the peer sees a reset and
not the alert that says why (RFC 8446, 6), and nobody here learns of it.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable

Refused = Callable[[str], None]
"""Told OpenSSL's reason, such as CERTIFICATE_VERIFY_FAILED."""


def tell_refusals(context: ssl.SSLContext, refused: Refused) -> None:
    """From now on handshakes of this server's context that fail are told to ``refused``, and their
    peers get the alert before the connection ends."""

    class Handshake(ssl.SSLObject):
        """Fails one step late: in between, the event loop sends the alert."""

        failed: ssl.SSLError | None = None

        def do_handshake(self) -> None:
            if self.failed is not None:
                raise self.failed
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLError as error:
                self.failed = error
                refused(error.reason or type(error).__name__)
                raise ssl.SSLWantReadError from error

    context.sslobject_class = Handshake
