"""The certificate of Amazon's authority, which signs IoT Core's endpoints, from botocore's own bundle."""

import hashlib
import re
import ssl
from pathlib import Path

from buoyfleet.model.errors import PreflightError

FILE = "AmazonRootCA1.pem"
_SHA256 = "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e"
"""Of Amazon Root CA 1 in DER (Amazon Trust Services, repository)."""
_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n", re.DOTALL)


def write_root_ca(file: Path) -> bool:
    """Write the certificate, unless it is there; returns whether it was written.

    Raises:
        PreflightError: this installation of botocore does not have it.
        OSError: the file cannot be written.
    """
    if file.exists():
        return False
    import botocore

    bundle = Path(botocore.__file__).with_name("cacert.pem").read_text(encoding="utf-8")
    for block in _BLOCK.findall(bundle):
        if hashlib.sha256(ssl.PEM_cert_to_DER_cert(block)).hexdigest() == _SHA256:
            file.write_text(block)
            return True
    raise PreflightError(
        "botocore's bundle does not hold Amazon Root CA 1",
        where=str(file),
        next_step=f"download it from Amazon Trust Services' repository and save it as {file}",
    )
