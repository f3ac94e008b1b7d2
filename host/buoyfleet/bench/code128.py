"""Code 128, as ISO/IEC 15417 has it: bars and spaces of a text of ASCII characters."""

# Widths of bar, space, bar, space, bar, space of each symbol value; the last is the stop with its final bar.
_WIDTHS = (
    "212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232 122132 "
    "122231 113222 123122 123221 223211 221132 221231 213212 223112 312131 311222 321122 321221 312212 "
    "322112 322211 212123 212321 232121 111323 131123 131321 112313 132113 132311 211313 231113 231311 "
    "112133 112331 132131 113123 113321 133121 313121 211331 231131 213113 213311 213131 311123 311321 "
    "331121 312113 312311 332111 314111 221411 431111 111224 111422 121124 121421 141122 141221 112214 "
    "112412 122114 122411 142112 142211 241211 221114 413111 241112 134111 111242 121142 121241 114212 "
    "124112 124211 411212 421112 421211 212141 214121 412121 111143 111341 131141 114113 114311 411113 "
    "411311 113141 114131 311141 411131 211412 211214 211232 2331112 "
)
_PATTERNS = tuple(_WIDTHS.split())
_START_B, _START_C, _CODE_B, _CODE_C, _STOP = 104, 105, 100, 99, 106
QUIET = 10
"""Modules left white on each side."""


def modules(text: str) -> list[bool]:
    """The symbol as modules, True for black, quiet zones included.

    Args:
        text: printable ASCII.

    Raises:
        ValueError: another character in it, or nothing.
    """
    values = _values(text)
    check = (values[0] + sum(place * value for place, value in enumerate(values[1:], 1))) % 103
    found = [False] * QUIET
    for value in (*values, check, _STOP):
        for index, width in enumerate(_PATTERNS[value]):
            found += [index % 2 == 0] * int(width)
    return found + [False] * QUIET


def _values(text: str) -> list[int]:
    """Symbol values: code set C for runs of digits, two to a symbol, B for the rest."""
    if not text or any(not " " <= char <= "~" for char in text):
        raise ValueError(f"{text!r} is no printable ASCII")
    values: list[int] = []
    in_c = False
    at = 0
    while at < len(text):
        digits = len(text[at:]) - len(text[at:].lstrip("0123456789"))
        # A change of the code set costs a symbol: four digits in a row are worth it.
        use_c = digits >= 4 or (in_c and digits >= 2) or digits == len(text) == 2
        if use_c != in_c or not values:
            if values:
                values.append(_CODE_C if use_c else _CODE_B)
            else:
                values.append(_START_C if use_c else _START_B)
            in_c = use_c
        if use_c:
            values.append(int(text[at : at + 2]))
            at += 2
        else:
            values.append(ord(text[at]) - 32)
            at += 1
    return values
