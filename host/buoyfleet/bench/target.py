"""The target during self-tests: started when the first board needs it, watched by one client for all."""

import asyncio
import socket
import ssl
import threading
from pathlib import Path

from buoyfleet.bench.arrivals import Arrivals
from buoyfleet.cloud.local.target import LocalTarget
from buoyfleet.cloud.target import Target
from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.errors import PreflightError
from buoyfleet.model.fleet import Fleet

START_S = 60.0
STOP_S = 20.0
CERTIFICATE_S = 5.0


def refuse_wrong_authority(fleet: Fleet) -> None:
    """See that the `ca` that boards get leads to the certificate that the broker shows.

    A broker that cannot be reached from here is left to the self-test.

    Raises:
        PreflightError: it does not; nothing was written.
    """
    target = fleet.target
    if target.kind != "broker" or target.tls is None:
        return
    ca = Path(fleet.source).resolve().parent / target.tls.ca
    name = target.tls.server_name or target.host
    try:
        context = ssl.create_default_context(cafile=str(ca))
        with (
            socket.create_connection((target.host, target.port), CERTIFICATE_S) as line,
            context.wrap_socket(line, server_hostname=name),
        ):
            pass
    except ssl.SSLCertVerificationError as error:
        raise PreflightError(
            f"boards would refuse the broker's certificate: {error.verify_message}",
            where=f"{target.host}:{target.port}, {ca}",
            cause="`ca` is another authority than the one that signed it, or it is for another name",
            next_step="correct `ca`, `host` or `server_name` of the target; nothing was written",
        ) from None
    except OSError:
        return  # refused for want of our own certificate, or not reachable


class SelfTestTarget:
    """May be used from any thread; close it whatever happened.

    Args:
        fleet: with the target as `prepare.bench_target` makes it.
        folder: where a twin keeps what it needs.
        password: of a broker, or empty.
        witness: client id of who watches, and the name of its certificate.
    """

    def __init__(self, fleet: Fleet, folder: Path, password: str = "", witness: str = "witness") -> None:
        self._fleet = fleet
        self._witness = witness
        self._folder = folder
        self._password = password
        self._guard = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._target: Target | None = None
        self._arrivals: Arrivals | None = None

    def arrivals(self) -> Arrivals:
        """The watcher; the first call starts everything.

        Raises:
            TargetError, PreflightError: it does not start.
        """
        with self._guard:
            if self._arrivals is None:
                self._arrivals = Arrivals(self._start(), self._fleet.topic_prefix, self._witness)
            return self._arrivals

    def close(self) -> None:
        """End what was started."""
        with self._guard:
            arrivals, self._arrivals = self._arrivals, None
            if arrivals is not None:
                arrivals.close()
            loop, self._loop = self._loop, None
            target, self._target = self._target, None
            if loop is not None and target is not None:
                asyncio.run_coroutine_threadsafe(target.stop(), loop).result(STOP_S)
                loop.call_soon_threadsafe(loop.stop)

    def _start(self) -> Endpoint:
        spec = self._fleet.target
        if spec.kind != "local":
            return Endpoint(spec.host, spec.port, spec.tls, spec.username, self._password)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="target of self-tests", daemon=True).start()
        self._target = target = LocalTarget(
            spec,
            self._folder,
            topic_prefix=self._fleet.topic_prefix,
            payload=self._fleet.run.payload,
            things=tuple((board.thing_name, board.buoy_id) for board in self._fleet.boards),
        )
        return asyncio.run_coroutine_threadsafe(target.start(), self._loop).result(START_S)
