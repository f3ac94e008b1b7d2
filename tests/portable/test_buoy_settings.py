"""Settings of a board: checked as a whole, written whole, and never lost to a bad file."""

import json
import os

from buoy import settings
from support import raises


def start_over():
    for name in os.listdir():
        if name.startswith("settings."):
            os.remove(name)


def write(name, text):
    with open(name, "w") as file:
        file.write(text)


def test_a_board_that_was_never_configured_has_defaults():
    start_over()
    found, trouble, _ = settings.load()
    assert found == settings.defaults()
    assert trouble == ""


def test_defaults_are_valid():
    assert settings.problems(settings.defaults()) == []


def test_what_was_saved_is_loaded():
    start_over()
    wanted = settings.merge(settings.defaults(), {"publish_interval_s": 60, "broker_host": "broker.test"})
    settings.save(wanted)
    assert settings.load() == (wanted, "", settings.FILE)


def test_every_mistake_is_named_at_once():
    wrong = settings.problems(
        {
            "qos": 2,
            "broker_port": "8883",
            "broker_tls": 1,
            "payload": "fancy",
            "publish_intervall_s": 5,
            "sensors": [],
        }
    )
    text = "; ".join(wrong)
    for name in ("qos", "broker_port", "broker_tls", "payload", "publish_intervall_s", "sensors"):
        assert name in text
    assert len(wrong) == 6


def test_truth_values_are_no_numbers():
    assert settings.problems({"qos": True}) != []


def test_wrong_settings_are_not_written():
    start_over()
    settings.save(settings.defaults())
    bad = dict(settings.defaults())
    bad["qos"] = 7
    with raises(settings.SettingsError):
        settings.save(bad)
    assert settings.load() == (settings.defaults(), "", settings.FILE)


def test_a_damaged_file_falls_back_to_the_last_good_one_and_says_so():
    start_over()
    old = settings.merge(settings.defaults(), {"publish_interval_s": 60})
    new = settings.merge(settings.defaults(), {"publish_interval_s": 120})
    settings.save(old)
    settings.save(new)
    for damage in ("{", "", "[]", '{"qos": 9}', "\x00\x01"):
        write(settings.FILE, damage)
        found, trouble, _ = settings.load()
        assert found["publish_interval_s"] == 60
        assert settings.FILE in trouble


def test_a_damaged_file_does_not_replace_the_last_good_one_at_the_next_save():
    start_over()
    settings.save(settings.merge(settings.defaults(), {"publish_interval_s": 60}))
    settings.save(settings.merge(settings.defaults(), {"publish_interval_s": 120}))
    write(settings.FILE, "{")
    settings.save(settings.merge(settings.defaults(), {"publish_interval_s": 180}))
    write(settings.FILE, "{")
    assert settings.load()[0]["publish_interval_s"] == 60


def test_a_file_of_another_version_is_refused():
    start_over()
    other = dict(settings.defaults())
    other["version"] = 99
    write(settings.FILE, json.dumps(other))
    found, trouble, _ = settings.load()
    assert found == settings.defaults()
    assert "version" in trouble


def test_a_settings_file_between_the_two_renames_of_a_save_is_not_lost():
    start_over()
    old = settings.merge(settings.defaults(), {"publish_interval_s": 60})
    settings.save(old)
    os.rename(settings.FILE, settings.LAST)
    assert settings.load() == (old, "", settings.LAST)


def test_a_pin_used_twice_is_refused():
    wrong = settings.problems({"sensors": {"ph": {"mode": "hardware"}}, "pins": {"temp": 36, "do": 36}})
    assert "pins" in "; ".join(wrong)


def test_an_unknown_sensor_is_refused():
    assert "xy" in "; ".join(settings.problems({"sensors": {"xy": {}}}))
