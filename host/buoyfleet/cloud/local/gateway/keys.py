"""The access keys of a twin: an IAM user's, and temporary ones of a role, as a credentials file of AWS.

AWS_SHARED_CREDENTIALS_FILE=FOLDER/aws-credentials aws iot-data publish --endpoint-url …
"""

import os
import secrets
import string
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILE: Final = "aws-credentials"
TEMPORARY: Final = "temporary"
"""Profile of the keys with a session token."""
_UPPER: Final = string.ascii_uppercase + string.digits


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A key pair of the twin's account."""

    key_id: str
    secret: str
    principal: str
    """What AWS calls its holder: a user's id, or a role's and the session's name."""
    session_token: str = ""
    """Empty: keys that last."""


class AccessKeys:
    """Both key pairs of one twin; made anew with each twin, and good for nothing else."""

    def __init__(self, folder: Path) -> None:
        """Make them and write `folder/aws-credentials`, which its owner alone can read.

        Raises:
            OSError: it cannot be written.
        """
        self.file = folder / FILE
        lasting = AccessKey(_id("AKIA"), secrets.token_urlsafe(30), _id("AIDA"))
        token = secrets.token_urlsafe(150)
        temporary = AccessKey(_id("ASIA"), secrets.token_urlsafe(30), _id("AROA") + ":buoyfleet", token)
        self._keys = {key.key_id: key for key in (lasting, temporary)}
        descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(_profile("default", lasting) + "\n" + _profile(TEMPORARY, temporary))

    def find(self, key_id: str) -> AccessKey | None:
        """The pair of an id."""
        return self._keys.get(key_id)


def _id(prefix: str) -> str:
    """An identifier of IAM's form: a prefix that tells the kind, and 16 characters."""
    return prefix + "".join(secrets.choice(_UPPER) for _ in range(16))


def _profile(name: str, key: AccessKey) -> str:
    lines = [f"[{name}]", f"aws_access_key_id = {key.key_id}", f"aws_secret_access_key = {key.secret}"]
    lines += [f"aws_session_token = {key.session_token}"] if key.session_token else []
    return "\n".join(lines) + "\n"
