"""CSV files that people open in a spreadsheet."""

import csv
import io
import re
from collections.abc import Iterable

_FORMULA = re.compile("(^|[;,|\t\r\n\x0b\x0c\u2028\u2029])(\\s*)(?=[=+\\-@\uff1d\uff0b\uff0d\uff20\t\r\n])")
"""Where a cell can begin, and what makes a spreadsheet compute it, full-width too (OWASP, CSV Injection).

Which separator a spreadsheet takes depends on where it is installed: what is one cell here is two there.
"""


def cell(value: object) -> object:
    """A value as it is; in a text an apostrophe stands before what a spreadsheet would take for a formula."""
    return _FORMULA.sub(r"\1\2'", value) if isinstance(value, str) else value


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Rows as CSV, the first with the names: texts in quotes, so that nothing in them ends a cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerows([cell(value) for value in row] for row in rows)
    return text.getvalue()
