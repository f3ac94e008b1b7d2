"""TLS contexts of MQTT clients."""

import ssl

from buoyfleet.model.fleet import TlsSpec


def client_context(tls: TlsSpec, thing_name: str) -> ssl.SSLContext:
    """A context for one client: trusts the given CA only, shows its certificate if there is one.

    Args:
        tls: files; `{thing}` in certificate and key stands for `thing_name`.
        thing_name: the client's thing name.

    Raises:
        OSError: a file cannot be read.
        ssl.SSLError: a file is no certificate or key.
    """
    context = ssl.create_default_context(cafile=tls.ca)
    if tls.certificate:
        context.load_cert_chain(
            tls.certificate.replace("{thing}", thing_name), tls.key.replace("{thing}", thing_name)
        )
    if tls.alpn:
        context.set_alpn_protocols([tls.alpn])
    return context
