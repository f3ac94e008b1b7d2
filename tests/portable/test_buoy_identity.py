"""Identity of a board in NVS."""

from buoy.identity import Identity, IdentityError
from buoy_nvs import Nvs
from support import raises


def test_a_new_board_has_nothing_set():
    identity = Identity(Nvs())
    assert identity.buoy_id() is None
    assert [identity.text(name) for name in ("thing", "ssid", "password")] == [None, None, None]
    assert identity.maintenance_s() == 0
    assert identity.get("reset") is None


def test_what_was_set_survives_a_power_cut():
    nvs = Nvs()
    identity = Identity(nvs)
    identity.set_buoy_id(128)
    identity.set_texts(thing="buoy-128", ssid="Fluß", password="secret")
    identity.set_maintenance(600)
    identity.set("shutdown", "0011223344556677")
    nvs.power_cut()
    again = Identity(nvs)
    assert again.buoy_id() == 128
    assert [again.text(name) for name in ("thing", "ssid", "password")] == ["buoy-128", "Fluß", "secret"]
    assert again.maintenance_s() == 600
    assert again.get("shutdown") == "0011223344556677"
    assert again.get("reset") is None


def test_an_empty_text_unsets():
    identity = Identity(Nvs())
    identity.set_texts(ssid="river")
    identity.set_texts(ssid="", password="")
    assert identity.text("ssid") is None


def test_impossible_values_are_refused_and_change_nothing():
    identity = Identity(Nvs())
    for number in (-1, True, 1.5, "7", 10**9, None):
        with raises(IdentityError):
            identity.set_buoy_id(number)
    for seconds in (-1, 90000, "1", False):
        with raises(IdentityError):
            identity.set_maintenance(seconds)
    with raises(IdentityError) as caught:
        identity.set_texts(ssid="river", password="p" * 129)
    assert "ppp" not in str(caught.value)
    assert identity.text("ssid") is None
    assert identity.buoy_id() is None
