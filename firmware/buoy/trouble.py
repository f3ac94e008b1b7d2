"""Errors of the network in words."""


def describe(error):
    """An exception in words for a log line."""
    if isinstance(error, OSError) and error.args and isinstance(error.args[0], int):
        if error.args[0] == _CERTIFICATE:
            return _judged("certificate refused")
        words = _ERRNO.get(error.args[0], "OSError %d" % error.args[0])
        # Mbed TLS gives its own name for what went wrong.
        return words if len(error.args) < 2 else "%s (%s)" % (words, error.args[1])
    if isinstance(error, ValueError):
        # Mbed TLS says in words what is wrong with a certificate; the board's clock judges its dates.
        return _judged(str(error).strip())
    if isinstance(error, AssertionError):
        return "an answer that breaks the protocol"
    return str(error).strip() or type(error).__name__


def _judged(text):
    import time

    return "%s; the board's clock says %04d-%02d-%02d %02d:%02d" % ((text,) + tuple(time.gmtime()[:5]))


_CERTIFICATE = -0x2700  # MBEDTLS_ERR_X509_CERT_VERIFY_FAILED
_ERRNO = {
    -2: "the broker's name cannot be resolved",
    -1: "closed by the broker",
    12: "out of memory",
    32: "connection closed",
    103: "connection aborted",
    104: "connection reset",
    110: "no answer in time",
    111: "connection refused",
    113: "no route to the broker",
    116: "no answer in time",
}
