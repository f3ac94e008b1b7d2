"""MD2 (RFC 1319), which rule SQL still has and Python's hashlib does not."""

_BLOCK = 16


def md2(data: bytes) -> bytes:
    """The digest, 16 bytes."""
    padding = _BLOCK - len(data) % _BLOCK
    data += bytes((padding,)) * padding
    checksum = bytearray(_BLOCK)
    last = 0
    for start in range(0, len(data), _BLOCK):
        for at in range(_BLOCK):
            checksum[at] ^= _PERMUTATION[data[start + at] ^ last]
            last = checksum[at]
    data += checksum
    state = bytearray(3 * _BLOCK)
    for start in range(0, len(data), _BLOCK):
        for at in range(_BLOCK):
            state[_BLOCK + at] = data[start + at]
            state[2 * _BLOCK + at] = state[_BLOCK + at] ^ state[at]
        value = 0
        for number in range(18):
            for at in range(3 * _BLOCK):
                state[at] ^= _PERMUTATION[value]
                value = state[at]
            value = (value + number) % 256
    return bytes(state[:_BLOCK])


def _digits_of_pi(count: int) -> str:
    """By Machin's formula in integers."""
    one: int = 10 ** (count + 10)

    def arctan_of_inverse(number: int) -> int:
        term = total = one // number
        divisor, sign = 3, -1
        while term:
            term //= number * number
            total += sign * (term // divisor)
            divisor, sign = divisor + 2, -sign
        return total

    return str(4 * (4 * arctan_of_inverse(5) - arctan_of_inverse(239)))[:count]


def _permutation() -> bytes:
    """RFC 1319's table of 256 bytes: a shuffle that takes its numbers from the digits of pi."""
    digits = [int(digit) for digit in _digits_of_pi(1000)]
    digits.reverse()

    def below(limit: int) -> int:
        number: int
        while True:
            number = digits.pop()
            room = 10
            while room < limit:
                number, room = 10 * number + digits.pop(), 10 * room
            if number < limit * (room // limit):
                return number % limit

    table = list(range(256))
    for size in range(2, 257):
        chosen = below(size)
        table[chosen], table[size - 1] = table[size - 1], table[chosen]
    return bytes(table)


_PERMUTATION = _permutation()
