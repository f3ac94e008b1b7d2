# ruff: noqa
# mypy: ignore-errors
"""`ssl` in the part that boards use; the Unix port has only `tls`."""

from tls import *
