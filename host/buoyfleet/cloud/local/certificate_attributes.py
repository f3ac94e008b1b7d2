"""What a certificate says of its subject and its issuer, under the names that policies use."""

from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from buoyfleet.cloud.local.broker.policy_conditions import MOST_VALUES, NAME_PARTS, Values

_OIDS: Final = dict(
    zip(
        NAME_PARTS,
        (
            NameOID.DN_QUALIFIER,
            NameOID.COUNTRY_NAME,
            NameOID.ORGANIZATION_NAME,
            NameOID.ORGANIZATIONAL_UNIT_NAME,
            NameOID.STATE_OR_PROVINCE_NAME,
            NameOID.COMMON_NAME,
            NameOID.SERIAL_NUMBER,
            NameOID.TITLE,
            NameOID.SURNAME,
            NameOID.GIVEN_NAME,
            NameOID.INITIALS,
            NameOID.PSEUDONYM,
            NameOID.GENERATION_QUALIFIER,
        ),
        strict=True,
    )
)
MOST_CHARACTERS: Final = 1024
"""Of a value; a longer one is not substituted (guide, limits of certificate variables)."""
_KINDS: Final[dict[str, type[x509.GeneralName]]] = {
    "RFC822Name": x509.RFC822Name,
    "DNSName": x509.DNSName,
    "DirectoryName": x509.DirectoryName,
    "UniformResourceIdentifier": x509.UniformResourceIdentifier,
    "IPAddress": x509.IPAddress,
}


def attributes_of(pem: bytes) -> Values:
    """Variable → values, of those that the certificate has.

    Raises:
        ValueError: it is no certificate.
    """
    certificate = x509.load_pem_x509_certificate(pem)
    found: dict[str, tuple[str, ...]] = {"iot:Certificate.SerialNumber": (f"{certificate.serial_number:x}",)}
    for whose, name in (("Subject", certificate.subject), ("Issuer", certificate.issuer)):
        for part, oid in _OIDS.items():
            texts = [str(one.value) for one in name.get_attributes_for_oid(oid)]
            found[f"iot:Certificate.{whose}.{part}"] = tuple(texts)
    extensions: dict[str, type[x509.SubjectAlternativeName | x509.IssuerAlternativeName]] = {
        "Subject": x509.SubjectAlternativeName,
        "Issuer": x509.IssuerAlternativeName,
    }
    for whose, extension in extensions.items():
        try:
            names = certificate.extensions.get_extension_for_class(extension).value
        except x509.ExtensionNotFound:
            continue
        for kind, general in _KINDS.items():
            values = [one.value for one in names if isinstance(one, general)]
            texts = [one.rfc4514_string() if isinstance(one, x509.Name) else str(one) for one in values]
            found[f"iot:Certificate.{whose}.AlternativeName.{kind}"] = tuple(texts)
    good = {name: _usable(texts) for name, texts in found.items()}
    known = {name: texts for name, texts in good.items() if texts}
    return {**known, "iot:Certificate.AvailableKeys": tuple(known)}


def _usable(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Values that are substituted: none with a wildcard, none that is too long, five at most."""
    if any("*" in one or "?" in one or len(one) > MOST_CHARACTERS for one in texts):
        return ()
    return texts[:MOST_VALUES]
