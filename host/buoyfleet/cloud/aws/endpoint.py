"""Where clients of an account connect: IoT Core's data endpoint with the certificates of the things."""

from pathlib import Path

from buoyfleet.cloud.aws.account import Account
from buoyfleet.model.aws import AwsSpec
from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.fleet import TlsSpec

ALPN_MQTT = "x-amzn-mqtt-ca"
"""Names MQTT with a client certificate on port 443 (AWS IoT guide, protocols and ports)."""
TLS_PORT = 8883


def account_endpoint(spec: AwsSpec, account: Account | None = None) -> Endpoint:
    """The endpoint; it is asked for where the fleet file does not name it.

    Raises:
        AwsError: it cannot be asked for.
    """
    folder = Path(spec.certificates)
    tls = TlsSpec(
        ca=spec.ca,
        certificate=str(folder / "{thing}.pem"),
        key=str(folder / "{thing}.key"),
        alpn="" if spec.port == TLS_PORT else ALPN_MQTT,
    )
    host = (account or Account(spec)).data_endpoint()
    return Endpoint(host, spec.port, tls, cable_port=TLS_PORT if tls.alpn else 0)
