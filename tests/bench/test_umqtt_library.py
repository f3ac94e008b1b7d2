"""umqtt for boards that have none: what mpremote fetches with `mip`, else the copy of the set-up."""

import functools
import hashlib
import http.server
import json
import threading

import pytest

from buoyfleet.bench.umqtt import INDEX_VARIABLE, Umqtt
from buoyfleet.model.errors import PreflightError

NEWEST = b"class MQTTClient:\n    pass\n"


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A package index as micropython-lib's: a document per package, files by hash."""
    short = hashlib.sha256(NEWEST).hexdigest()[:8]
    www = tmp_path / "www"
    document = www / "package" / "py" / "umqtt.simple" / "latest.json"
    document.parent.mkdir(parents=True)
    document.write_text(json.dumps({"hashes": [["umqtt/simple.py", short]], "version": "1.8.0"}))
    file = www / "file" / short[:2] / short
    file.parent.mkdir(parents=True)
    file.write_bytes(NEWEST)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(www))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv(INDEX_VARIABLE, f"http://127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.usefixtures("index")
def test_the_newest_release_is_fetched_by_mip_and_kept(tmp_path, monkeypatch):
    first = Umqtt(tmp_path / "kept", tmp_path / "none")
    assert dict(first) == {"lib/umqtt/simple.py": NEWEST}
    assert "mip fetched" in first.source
    monkeypatch.setenv(INDEX_VARIABLE, "http://127.0.0.1:1")
    assert dict(Umqtt(tmp_path / "kept", tmp_path / "none")) == dict(first), "fetched once"


def test_without_an_index_the_copy_is_taken_and_said(tmp_path, monkeypatch):
    monkeypatch.setenv(INDEX_VARIABLE, "http://127.0.0.1:1")
    (tmp_path / "copy" / "umqtt").mkdir(parents=True)
    (tmp_path / "copy" / "umqtt" / "simple.py").write_bytes(b"old")
    library = Umqtt(tmp_path / "kept", tmp_path / "copy")
    assert dict(library) == {"lib/umqtt/simple.py": b"old"}
    assert str(tmp_path / "copy") in library.source
    assert "refused" in library.source, "with the reason"
    with pytest.raises(PreflightError, match="no umqtt"):
        len(Umqtt(tmp_path / "kept", tmp_path / "nowhere"))
