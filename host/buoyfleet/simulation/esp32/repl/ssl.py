# ruff: noqa
# mypy: ignore-errors
"""`ssl` and `tls` in the part that boards use, with the RAM that a connection takes on the chip.

A handshake needs large pieces of it. Where the buffers do not fit, `wrap_socket` raises ENOMEM; where the rest does
not fit, the stock image stands still for seconds before it fails: see docs/conformance.md.
"""

from tls import *
import tls as _tls
import time as _time

import buoy_memory as _memory

HANG_S = 8  # 49 s were seen
ALLOC_FAILED = -0x7F00  # MBEDTLS_ERR_SSL_ALLOC_FAILED


class SSLContext:
    """The context of Mbed TLS."""

    def __init__(self, protocol):
        super().__setattr__("_context", _tls.SSLContext(protocol))

    def __getattr__(self, name):
        return getattr(self._context, name)

    def __setattr__(self, name, value):
        setattr(self._context, name, value)

    def wrap_socket(self, sock, **named):
        call = _memory._wire.call
        outcome = call("tls_begin", sock.fileno() if hasattr(sock, "fileno") else -1)
        if outcome == 1:
            raise OSError(12)
        if outcome == 2:
            _time.sleep(HANG_S)
            raise OSError(ALLOC_FAILED, "MBEDTLS_ERR_SSL_ALLOC_FAILED")
        stands = False
        try:
            made = self._context.wrap_socket(sock, **named)
            stands = True
            return made
        finally:
            call("tls_end", stands)
            _memory.refresh()
