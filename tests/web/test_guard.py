"""Who may ask the server for what: without a browser."""

import asyncio

import pytest
from starlette.datastructures import Headers

from buoyfleet.model.errors import UsageError
from buoyfleet.web.folders import run_folder
from buoyfleet.web.guard import Guard
from buoyfleet.web.holders import AWAY_S, Holder
from buoyfleet.web.login import login_page
from buoyfleet.web.origins import origins_for
from buoyfleet.web.server import OWN_TOKEN, WebOptions, open_server
from buoyfleet.web.sessions import MOST_FAILURES, SESSION_S, Sessions, make_token

HOST = "127.0.0.1:8080"
PAGE = {"host": HOST, "sec-fetch-mode": "navigate"}


async def _behind(scope, receive, send):
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"behind"})


def asked(guard, headers, *, path="/", method="GET", body=b"", query=b""):
    """(status, headers, body) of an answer."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "client": ("10.0.0.7", 9),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(guard(scope, receive, send))
    return sent[0]["status"], Headers(raw=sent[0]["headers"]), sent[1]["body"]


def guard(listen="127.0.0.1", **sessions):
    return Guard(_behind, origins_for(listen), Sessions(**sessions), 8080)


def cookie(headers):
    return headers["set-cookie"].split(";")[0]


def sign_in(guard, token=b"ABCDEFGHJKMNPQRS", query=b""):
    """As `asked`, of a token typed on the sign-in page."""
    return asked(guard, {"host": HOST}, path="/login", method="POST", body=b"token=" + token, query=query)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "192.168.0.5:8080", "", "[", "127.0.0.1.evil.example"]
)
def test_a_name_that_is_not_the_servers_is_refused(host):
    assert asked(guard(), {**PAGE, "host": host})[0] == 403


@pytest.mark.parametrize("host", [HOST, "localhost:9000", "[::1]:8080", "127.0.0.2"])
def test_names_of_loopback_are_the_servers(host):
    assert asked(guard(), {**PAGE, "host": host})[0] == 200


def test_a_server_for_others_is_asked_by_address_and_not_by_a_foreign_name():
    open_to_all = guard("0.0.0.0")
    assert asked(open_to_all, {**PAGE, "host": "192.168.0.5:8080"})[0] == 200
    assert asked(open_to_all, {**PAGE, "host": "evil.example"})[0] == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
    ],
)
def test_requests_of_other_sites_are_refused(headers):
    one = guard()
    signed_in = {**PAGE, "cookie": cookie(asked(one, PAGE)[1])}
    assert asked(one, signed_in)[0] == 200
    for method in ("GET", "POST"):
        assert asked(one, {**signed_in, **headers}, method=method)[0] == 403


def test_a_link_on_another_site_opens_a_page_and_posts_nothing():
    link = {"host": HOST, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert asked(guard(), link)[0] == 200
    assert asked(guard(), link, method="POST")[0] == 403


def test_a_socket_needs_a_session_and_ends_with_it():
    one = guard(length_s=0.2)
    key = cookie(asked(one, PAGE)[1])

    def closed(headers):
        sent = []

        async def receive():
            if sent:
                await asyncio.Event().wait()
            return {"type": "websocket.connect"}

        async def send(message):
            sent.append(message)

        scope = {
            "type": "websocket",
            "path": "/_nicegui_ws/",
            "headers": [(n.encode(), v.encode()) for n, v in headers.items()],
        }
        asyncio.run(asyncio.wait_for(one(scope, receive, send), 60))
        return [(message["type"], message.get("code")) for message in sent]

    own = {"host": HOST, "origin": f"http://{HOST}"}
    assert closed(own) == [("websocket.close", 4401)]
    assert closed({**own, "origin": "http://evil.example", "cookie": key}) == [("websocket.close", 4401)]
    assert closed({**own, "cookie": key}) == [("websocket.accept", None), ("websocket.close", 4401)]


def test_a_session_expires():
    now = [0.0]
    one = guard(token="ABCD-EFGH-JKMN-PQRS", now=lambda: now[0])
    assert asked(one, PAGE)[0] == 303
    status, headers, _ = sign_in(one, b"abcdefghjkmnpqrs")
    assert (status, headers["location"]) == (303, "/")
    assert "HttpOnly" in headers["set-cookie"]
    assert "SameSite=Strict" in headers["set-cookie"]
    signed_in = {**PAGE, "cookie": cookie(headers)}
    now[0] = SESSION_S - 1
    assert asked(one, signed_in)[0] == 200
    assert asked(one, signed_in, path="/alive")[0] == 204
    now[0] = SESSION_S
    assert asked(one, signed_in)[0] == 303
    assert asked(one, signed_in, path="/alive")[0] == 401


def test_signing_out_ends_the_session_for_good():
    one = guard(token="ABCD-EFGH-JKMN-PQRS")
    signed_in = {
        **PAGE,
        "cookie": cookie(sign_in(one)[1]),
    }
    assert asked(one, signed_in)[0] == 200
    assert asked(one, signed_in, path="/logout", method="POST")[0] == 303
    assert asked(one, signed_in)[0] == 303


def test_tokens_cannot_be_tried_without_end():
    now = [0.0]
    one = guard(token="ABCD-EFGH-JKMN-PQRS", now=lambda: now[0])

    def tried(token):
        return sign_in(one, token)[0]

    assert {tried(b"wrong") for _ in range(MOST_FAILURES)} == {401}
    assert tried(b"ABCDEFGHJKMNPQRS") == 429
    now[0] = 61
    assert tried(b"ABCDEFGHJKMNPQRS") == 303


@pytest.mark.parametrize(
    "wanted", [b"//evil.example", b"/%5Cevil.example", b"https://evil.example", b"/x%0D%0ASet-Cookie:a=b"]
)
def test_signing_in_leads_nowhere_else(wanted):
    one = guard(token="ABCD-EFGH-JKMN-PQRS")
    _, headers, _ = sign_in(one, query=b"next=" + wanted)
    assert headers["location"] == "/"


def test_the_sign_in_page_makes_text_of_what_it_is_given():
    assert "<script" not in login_page('/"><script>alert(1)</script>', "<script>")


def test_answers_carry_a_policy_without_inline_scripts():
    _, headers, _ = asked(guard(), PAGE)
    scripts = next(
        part for part in headers["content-security-policy"].split("; ") if part.startswith("script-src")
    )
    assert "'unsafe-inline'" not in scripts
    assert headers["x-content-type-options"] == "nosniff"


def test_tokens_are_not_asked_for_on_loopback_alone(monkeypatch):
    monkeypatch.delenv(OWN_TOKEN, raising=False)
    tokens = []
    for options in (WebOptions(port=0), WebOptions(port=0, token=True), WebOptions(port=0, listen="0.0.0.0")):
        opened = open_server(options)
        opened.socket.close()
        tokens.append(opened.token)
    assert [bool(token) for token in tokens] == [False, True, True]
    assert tokens[1] != tokens[2]
    assert len({make_token() for _ in range(100)}) == 100


def test_a_short_token_and_a_taken_port_are_refused(monkeypatch):
    opened = open_server(WebOptions(port=0))
    with opened.socket, pytest.raises(UsageError, match="cannot listen on"):
        open_server(WebOptions(port=opened.socket.getsockname()[1]))
    monkeypatch.setenv(OWN_TOKEN, "short")
    with pytest.raises(UsageError, match=OWN_TOKEN):
        open_server(WebOptions(port=0, token=True))


@pytest.mark.parametrize("name", ["", ".", "..", "../other", "a/b", "/etc", "a\0b", "none"])
def test_only_folders_directly_among_the_runs_are_opened(tmp_path, name):
    (tmp_path / "runs" / "a" / "b").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    assert run_folder(tmp_path / "runs", "a") == tmp_path / "runs" / "a"
    with pytest.raises(UsageError, match="there is no run"):
        run_folder(tmp_path / "runs", name)


def test_a_bench_is_taken_over_only_by_asking_or_when_its_holder_is_gone():
    now = [0.0]
    bench = Holder(lambda: now[0])
    assert bench.ask("a", "browser 1")
    assert not bench.ask("b", "browser 2")
    assert (bench.key, bench.asked_name) == ("a", "browser 2")
    bench.give("b")  # only the holder gives
    assert bench.key == "a"
    bench.keep("a")
    assert bench.asked_key == ""
    bench.ask("b", "browser 2")
    bench.give("a")
    assert bench.key == "b"
    now[0] = AWAY_S - 1
    bench.seen("a")  # no holder
    bench.seen("b")
    now[0] = 2 * AWAY_S - 2
    assert not bench.ask("a", "browser 1")
    now[0] = 2 * AWAY_S
    assert bench.ask("a", "browser 1")
