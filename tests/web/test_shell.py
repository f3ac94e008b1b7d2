"""What surrounds every page, in Chromium."""

import pytest
from chromium import SIZES, WAIT_MS, findings, new_tab, ready, served

from buoyfleet.web.pages import PAGES

pytestmark = pytest.mark.web


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with served(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_every_page_of_the_menu_has_no_serious_finding(browser, server, size, colours):
    with new_tab(browser, size, color_scheme=colours) as tab:
        found = {}
        for page in PAGES:
            if page.in_menu:
                tab.goto(server.address + page.address)
                ready(tab)
                found[page.address] = findings(tab)
                wide = tab.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert wide <= 0, f"{page.address} is {wide} pixels too wide for a {size}"
        assert found == {address: [] for address in found}


def test_pages_load_nothing_from_elsewhere(opened, server, tab):
    hosts = set()
    tab.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    opened(server.address)
    assert hosts == {server.address.split("/")[2]}


def test_the_first_tab_stop_skips_the_menu(opened, server):
    page = opened(server.address)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


def test_colours_are_chosen_and_stay(opened, server):
    page = opened(server.address)
    page.get_by_role("button", name="Colours: auto").click()
    page.get_by_role("button", name="Colours: dark").wait_for()
    page.reload()
    ready(page)
    assert page.evaluate("document.body.classList.contains('body--dark')")


PLANT = """() => {
  const image = document.createElement("div");
  image.innerHTML = '<img src=x onerror="window.hit=1">';
  const script = document.createElement("script");
  script.textContent = "window.hit=2";
  document.body.append(image, script);
  return new Promise(done => image.firstChild.addEventListener("error", () => done(window.hit ?? 0)));
}"""


def test_a_script_that_came_to_stand_in_a_page_does_not_run(browser, server):
    with new_tab(browser, may_complain=True) as page:
        page.goto(server.address)
        ready(page)
        assert page.evaluate(PLANT) == 0


def test_a_page_opens_itself_again_when_its_server_is_back(browser, tmp_path, free_port):
    with new_tab(browser) as tab:
        with served(tmp_path, port=free_port) as first:
            tab.goto(first.address)
            ready(tab)
            tab.evaluate("window.old = true")
        with served(tmp_path, port=free_port):
            tab.wait_for_function("window.old === undefined && window.socket?.connected", timeout=WAIT_MS)


def test_the_token_opens_the_page_that_was_asked_for(browser, tmp_path):
    with served(tmp_path, "--token") as server, new_tab(browser, "phone") as tab:
        tab.goto(server.address + "/?x=1")
        assert findings(tab) == []
        tab.get_by_label("Token").fill("ABCD-wrong")
        tab.get_by_role("button", name="Sign in").click()
        tab.get_by_role("alert").wait_for()
        assert "/login" in tab.url
        tab.get_by_label("Token").fill(server.token.lower().replace("-", " "))
        tab.get_by_role("button", name="Sign in").click()
        ready(tab)
        assert tab.url == server.address + "/?x=1"
        tab.get_by_role("button", name="Sign out").click()
        tab.get_by_label("Token").wait_for()
