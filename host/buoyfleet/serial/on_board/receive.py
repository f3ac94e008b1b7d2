# ruff: noqa
# mypy: ignore-errors
"""Runs on the board: takes files over the REPL's line in checked blocks, and puts them in place at the end.

Block: number, kind, length (2 bytes), CRC-32 (4 bytes), data. Answers are lines: `+` next, `!` again, `E …` over,
`~` a step is done and there is more to do: the block is here, a file is written, a file is in its place.
Kinds: 0 data, 1 compressed data, 2 the end: put everything in place, 3 give up.
What was not put in place is removed.
Data is a stream of files: length of the path (1), size (4), SHA-256 (32), path, content.
Ctrl-C is data meanwhile; a row of them where a block begins is somebody else who wants the prompt, and ends it. A
host that is gone is noticed after 30 s without a block: one that is busy, or was suspended, comes back before.
"""


def receive(size):
    import hashlib, io, micropython, os, select, struct, sys
    from binascii import crc32

    line = sys.stdin.buffer
    poll = select.poll()
    poll.register(sys.stdin, select.POLLIN)
    head = bytearray(8)
    block = bytearray(size)
    one = bytearray(1)
    pending = b""
    file = digest = None
    left = 0
    wanted = b""
    staged = []
    last = -1

    def say(text):
        sys.stdout.write(text + "\n")

    def folders(path):
        at = path.find("/", 1)
        while at > 0:
            try:
                os.mkdir(path[:at])
            except OSError:
                pass
            at = path.find("/", at + 1)

    micropython.kbd_intr(-1)
    try:
        say("ready")
        while poll.poll(30000):
            line.readinto(head)
            if head.find(b"\x03\x03\x03\x03") >= 0:
                say("E given up")
                return
            number, kind, length, crc = struct.unpack("<BBHI", head)
            good = kind <= 3 and length <= size
            if good:
                view = memoryview(block)[:length]
                if length:
                    line.readinto(view)
                good = crc32(view, crc32(head[:4])) & 0xFFFFFFFF == crc
            if not good:
                while poll.poll(40):
                    line.readinto(one)
                say("!")
                continue
            if kind == 3:
                say("E given up")
                return
            if number == last:
                say("+")
                continue
            say("~")
            if kind == 2:
                if left or file:
                    say("E the last file is not whole")
                    return
                while staged:
                    os.rename(staged[0] + ".new", staged[0])
                    del staged[0]
                    say("~")
                say("+")
                return
            if kind == 1:
                import deflate

                view = deflate.DeflateIO(io.BytesIO(view), deflate.RAW, 12).read()
            data = pending + bytes(view) if pending else bytes(view)
            pending = b""
            view = None
            at = 0
            while at < len(data) or (file and not left):
                if file is None:
                    rest = len(data) - at
                    if rest < 37 or rest < 37 + data[at]:
                        pending = data[at:]
                        break
                    count = data[at]
                    left, wanted = struct.unpack("<I32s", data[at + 1 : at + 37])
                    path = data[at + 37 : at + 37 + count].decode()
                    at += 37 + count
                    folders(path)
                    file = open(path + ".new", "wb")
                    digest = hashlib.sha256()
                    staged.append(path)
                piece = data[at : at + left]
                file.write(piece)
                digest.update(piece)
                left -= len(piece)
                at += len(piece)
                if not left:
                    file.close()
                    file = None
                    say("~")
                    if digest.digest() != wanted:
                        say("E %s arrived altered" % path)
                        return
            data = None
            last = number
            say("+")
        say("E no block came for 30 s")
    except (OSError, MemoryError) as error:
        say("E %s" % (error or type(error).__name__))
    finally:
        if file:
            file.close()
        for path in staged:
            try:
                os.remove(path + ".new")
            except OSError:
                pass
        micropython.kbd_intr(3)
