"""Downloads a function's deployment package from the address that AWS signed for a few minutes."""

import urllib.error
import urllib.request
from typing import Final

TIMEOUT_S: Final = 60
MAX_BYTES: Final = 250 << 20
"""Lambda quotas: more cannot be a deployment package."""


def download(address: str) -> bytes:
    """The package.

    Raises:
        OSError: no answer, refused, or too large.
    """
    if not address.startswith(("https://", "http://")):
        raise OSError("its address is no web address")
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer:
            data: bytes = answer.read(MAX_BYTES + 1)
    except urllib.error.HTTPError as error:
        raise OSError(f"HTTP {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise OSError(str(error.reason)) from None
    if len(data) > MAX_BYTES:
        raise OSError(f"it is larger than {MAX_BYTES >> 20} MB")
    return data
