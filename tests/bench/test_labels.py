"""Labels are read back by a decoder of its own (ZXing)."""

import re

import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st

from buoyfleet.bench.code128 import QUIET, modules
from buoyfleet.bench.labels import Label, write_label
from buoyfleet.model.errors import UsageError

LABEL = Label(131, "240ac4000083", "buoy-131")


def decoded(array) -> list[tuple[str, str]]:
    found = zxingcpp.read_barcodes(array)
    return [(re.sub(r"\W", "", str(one.format)).lower(), one.text) for one in found]


def picture(path):
    import matplotlib.image
    import numpy

    return (numpy.asarray(matplotlib.image.imread(path))[:, :, 0] * 255).astype("uint8")


@pytest.mark.parametrize(("code", "size"), [("qr", (50, 25)), ("code128", (60, 20)), ("qr", (20, 20))])
def test_a_printed_label_reads_as_id_and_mac(tmp_path, code, size):
    path = tmp_path / "label.png"
    write_label(LABEL, path, code, *size)
    assert [text for _, text in decoded(picture(path))] == ["BUOY 131 240AC4000083"]


@pytest.mark.parametrize("suffix", [".svg", ".pdf"])
def test_the_same_label_is_the_same_file(tmp_path, suffix):
    first, second = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    write_label(LABEL, first)
    write_label(LABEL, second)
    assert first.read_bytes() == second.read_bytes()
    assert len(first.read_bytes()) > 1000


def test_what_no_scanner_could_read_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"0\.19 mm can be read"):
        write_label(LABEL, tmp_path / "small.png", "code128", 20, 10)
    with pytest.raises(UsageError, match=r"not \.svg"):
        write_label(LABEL, tmp_path / "label.jpg")
    with pytest.raises(UsageError, match="cannot be written"):
        write_label(LABEL, tmp_path / "no" / "label.svg")


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=40))
def test_code_128_of_any_text_is_decoded(text):
    import numpy

    line = modules(text)
    assert line[:QUIET] == [False] * QUIET == line[-QUIET:]
    row = numpy.where(numpy.array(line), 0, 255).astype("uint8").repeat(3)
    found = decoded(numpy.tile(row, (40, 1)))
    assert ("code128", text) in found


def test_code_128_refuses_what_it_cannot_say():
    for text in ("", "é", "a\n"):
        with pytest.raises(ValueError, match="printable ASCII"):
            modules(text)
