"""What tests that run on CPython and on MicroPython share. Imports only what both have."""


class approx:
    """Compares equal to numbers within `rel` of the expected value or `abs` of it, whichever is wider."""

    def __init__(self, expected, rel=1e-6, abs=1e-12):
        self.expected = expected
        self.rel = rel
        self.abs = abs

    def __eq__(self, value):
        if isinstance(self.expected, (list, tuple)):
            return len(value) == len(self.expected) and all(
                [approx(wanted, self.rel, self.abs) == got for wanted, got in zip(self.expected, value)]
            )
        difference = value - self.expected
        if difference < 0:
            difference = -difference
        size = self.expected if self.expected >= 0 else -self.expected
        return value == self.expected or difference <= max(self.abs, self.rel * size)

    def __ne__(self, value):
        return not self == value

    def __hash__(self):
        return 0  # equal to many values, so no finer hash is right

    def __repr__(self):
        return "approx(%r)" % (self.expected,)


class raises:
    """`with raises(ValueError, "part of the text") as caught: …`; the exception is `caught.value`."""

    def __init__(self, expected, text=None):
        self.expected = expected
        self.text = text
        self.value = None

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            raise AssertionError("%s was not raised" % self.expected)
        if not issubclass(kind, self.expected):
            return False
        self.value = value
        if self.text is not None and self.text not in str(value):
            raise AssertionError("%r is not in %r" % (self.text, str(value)))
        return True
