"""The outbox on flash: order, bytes, bounds, and power cuts after any block write."""

import os
import struct
import sys
from binascii import crc32

from buoy import flash_outbox
from buoy.flash_outbox import FlashOutbox
from buoy.message import Message

TOPICS = (b"aws/0/100/data/", b"aws/0/100/error/")


def message(seq, size=50):
    return Message(seq, TOPICS[0], b"%06d" % seq + b"x" * (size - 6), 0)


def fresh(name, **options):
    folder = "outbox-" + name
    return folder, FlashOutbox(folder, TOPICS, **options)


def take_all(outbox):
    taken = []
    while outbox.count:
        taken.append(outbox.take())
    return taken


def seqs(messages):
    return [one.seq for one in messages]


def test_messages_come_back_in_order_with_their_bytes_and_topics():
    _, outbox = fresh("order")
    for seq in range(300):
        outbox.put(message(seq))
    outbox.put(Message(-1, TOPICS[1], b"error", 0))
    taken = take_all(outbox)
    assert seqs(taken) == list(range(300)) + [-1]
    assert taken[7].payload == message(7).payload
    assert taken[-1].topic == TOPICS[1]


def test_they_survive_a_reset():
    folder, outbox = fresh("reset")
    for seq in range(100):
        outbox.put(message(seq))
    again = FlashOutbox(folder, TOPICS)
    assert again.count == 100
    assert seqs(take_all(again)) == list(range(100))


def test_what_survived_a_reset_is_sent_as_a_copy():
    folder, outbox = fresh("copy")
    outbox.put(message(0))
    assert FlashOutbox(folder, TOPICS).take().attempts == 1


def test_settled_segments_leave_the_flash():
    folder, outbox = fresh("settle")
    for seq in range(200):
        outbox.put(message(seq))
    for one in take_all(outbox):
        outbox.settle(one)
    assert os.listdir(folder) == []
    assert FlashOutbox(folder, TOPICS).count == 0


def test_a_full_outbox_drops_the_oldest_and_counts_them():
    drops = []
    _, outbox = fresh(
        "full", segments=3, segment_bytes=500, on_drop=lambda one, _reason: drops.append(one.seq)
    )
    for seq in range(100):
        outbox.put(message(seq))
    assert outbox.dropped == len(drops)
    assert outbox.count + outbox.dropped == 100
    assert drops == list(range(len(drops)))
    assert seqs(take_all(outbox)) == list(range(len(drops), 100))


def test_messages_given_back_come_first_and_survive_a_reset_too():
    folder, outbox = fresh("back")
    outbox.put(message(5))
    outbox.put(message(6))
    # 3 and 4 were sent directly, without touching flash; then the link broke
    outbox.requeue([message(3), message(4)])
    assert outbox.count == 4
    again = FlashOutbox(folder, TOPICS)
    assert seqs(take_all(again)) == [3, 4, 5, 6]
    assert seqs(take_all(outbox)) == [3, 4, 5, 6]


def test_messages_taken_and_given_back_are_not_written_again():
    folder, outbox = fresh("twice")
    for seq in range(4):
        outbox.put(message(seq))
    files = sorted(os.listdir(folder))
    taken = [outbox.take(), outbox.take()]
    outbox.requeue(taken)
    assert sorted(os.listdir(folder)) == files
    assert seqs(take_all(outbox)) == [0, 1, 2, 3]


def test_a_message_sent_at_once_never_touches_the_flash():
    folder, outbox = fresh("direct")
    outbox.settle(message(0))
    assert os.listdir(folder) == []


def one_file(folder, count=5):
    """Path and bytes of a segment; every other record is small, the last is an error message."""
    outbox = FlashOutbox(folder, TOPICS)
    for seq in range(count - 1):
        outbox.put(message(seq, 20 + 30 * (seq % 2)))
    outbox.put(Message(-1, TOPICS[1], b"error", 0))
    (name,) = os.listdir(folder)
    path = folder + "/" + name
    with open(path, "rb") as file:
        return path, file.read()


def reread(path, data, folder):
    with open(path, "wb") as file:
        file.write(data)
    again = FlashOutbox(folder, TOPICS)
    assert again.damaged == again.dropped
    return again, seqs(take_all(again))


def without(data, index):
    """The sequence numbers of `one_file` but that of the record which byte `index` is in."""
    sizes = [32, 62, 32, 62, 17]
    assert sum(sizes) == len(data)
    found = [0, 1, 2, 3, -1]
    for number in range(5):
        if index < sizes[number]:
            del found[number]
            return found
        index -= sizes[number]
    return found


def test_any_damaged_byte_costs_its_own_record_alone_and_is_counted():
    path, data = one_file("outbox-byte")
    for index in range(len(data)):
        damaged = bytearray(data)
        damaged[index] ^= (0x01, 0x80, 0xFF)[index % 3]
        again, found = reread(path, damaged, "outbox-byte")
        assert found == without(data, index), index
        assert again.damaged == 1, index


def test_a_file_that_breaks_off_anywhere_costs_what_is_not_whole():
    path, data = one_file("outbox-short")
    ends = [0, 32, 94, 126, 188, 205]
    for length in range(len(data)):
        whole = len([end for end in ends if end <= length]) - 1
        again, found = reread(path, data[:length], "outbox-short")
        assert found == [0, 1, 2, 3][:whole], length
        assert again.damaged == (length not in ends), length


def test_garbage_between_records_costs_nothing():
    path, data = one_file("outbox-garbage")
    for garbage in (b"\x00", b"\xb1", b"\xb1\x00\x00\x00\x00\x00\x10\x00", b"\xff" * 700, bytes(range(256))):
        for at in (0, 32, 94, 126, 188):
            again, found = reread(path, data[:at] + garbage + data[at:], "outbox-garbage")
            assert found == [0, 1, 2, 3, -1], (garbage, at)
            assert again.damaged == 0


def test_several_damaged_records_are_counted_one_by_one():
    path, data = one_file("outbox-several")
    for places, left in (
        ((40, 100), [0, 3, -1]),
        ((6, 40), [2, 3, -1]),
        ((100, 130, 190), [0, 1]),
        ((0,), [1, 2, 3, -1]),
    ):
        damaged = bytearray(data)
        for place in places:
            damaged[place] ^= 0x55
        again, found = reread(path, damaged, "outbox-several")
        assert (found, again.damaged) == (left, len(places)), places


def test_a_message_is_put_behind_damage_and_comes_back():
    path, data = one_file("outbox-behind-damage")
    damaged = bytearray(data)
    damaged[-1] ^= 1
    with open(path, "wb") as file:
        file.write(damaged)
    again = FlashOutbox("outbox-behind-damage", TOPICS)
    again.put(message(9))
    assert seqs(take_all(FlashOutbox("outbox-behind-damage", TOPICS))) == [0, 1, 2, 3, 9]


def test_damage_that_happens_under_way_is_counted_and_no_reason_to_stop():
    for place in (6, 40, 100, 130, 204):
        folder = "outbox-under-way-%d" % place
        path, data = one_file(folder)
        outbox = FlashOutbox(folder, TOPICS)
        damaged = bytearray(data)
        damaged[place] ^= 0x40
        with open(path, "wb") as file:
            file.write(damaged)
        found = []
        while outbox.count:
            one = outbox.take()
            if one is not None:
                found.append(one)
        assert seqs(found) == without(data, place)
        assert (outbox.damaged, outbox.count) == (1, 0)
        outbox.put(message(7))
        for one in found + [outbox.take()]:
            outbox.settle(one)
        assert os.listdir(folder) == []


def test_a_segment_that_is_gone_is_counted():
    path, _data = one_file("outbox-gone")
    outbox = FlashOutbox("outbox-gone", TOPICS)
    os.remove(path)
    assert outbox.take() is None
    assert (outbox.damaged, outbox.count, outbox.dropped) == (5, 0, 5)
    outbox.clear("end")


def test_records_of_older_firmware_are_read():
    folder = "outbox-older"
    os.mkdir(folder)
    data = b""
    for seq in range(4):
        head = struct.pack(">BBIH", 0xB0, 0, seq, 10)
        body = head + b"%010d" % seq
        data += body + struct.pack(">I", crc32(body) & 0xFFFFFFFF)
    again, found = reread(folder + "/500000.out", data, folder)
    assert (found, again.damaged) == ([0, 1, 2, 3], 0)
    damaged = bytearray(data)
    damaged[30] ^= 4
    again, found = reread(folder + "/500000.out", damaged, folder)
    assert (found, again.damaged) == ([0, 2, 3], 1)


def test_files_of_others_in_the_folder_are_left_alone():
    one_file("outbox-others")
    os.mkdir("outbox-others/7.out")
    for name in ("x.out", "readme.txt", "-.out"):
        with open("outbox-others/" + name, "w") as file:
            file.write("x")
    again = FlashOutbox("outbox-others", TOPICS)
    assert seqs(take_all(again)) == [0, 1, 2, 3, -1]


class Full:
    """Stands for `open`: writing fails after some bytes, as on a full flash, or at the close."""

    def __init__(self, room):
        self.room = room
        self.open = flash_outbox.__dict__.get("open", open)

    def __call__(self, path, mode):
        self.file = self.open(path, mode)
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.file.close()
        if self.room <= 0:
            raise OSError(28)

    def seek(self, place):
        self.file.seek(place)

    def write(self, data):
        part = data[: max(0, self.room)]
        self.file.write(part)
        self.room -= len(data)
        if self.room < 0:
            raise OSError(28)


def test_a_full_flash_costs_the_messages_that_did_not_fit_and_nothing_else():
    for room in range(0, 70, 3):
        folder = "outbox-enospc-%d" % room
        outbox = FlashOutbox(folder, TOPICS)
        outbox.put(message(0))
        drops = []
        outbox.on_drop = lambda one, reason, into=drops: into.append((one.seq, reason))
        flash_outbox.open = Full(room)
        try:
            outbox.put(message(1))
            outbox.requeue([message(2)])
        finally:
            del flash_outbox.open
        fitted = room > 62
        assert drops == ([] if fitted else [(1, "flash cannot be written")])
        assert outbox.write_failures == (1 if fitted else 2)
        outbox.put(message(3))
        assert seqs(take_all(outbox)) == ([2, 0, 1, 3] if fitted else [2, 0, 3])
        again = FlashOutbox(folder, TOPICS)
        assert seqs(take_all(again)) == ([0, 1, 3] if fitted else [0, 3])
        assert again.damaged == 0


class PowerCut(Exception):
    """The supply is gone."""


class Flash:
    """A block device in memory that loses power at its k-th write or erase."""

    SIZE = 512
    BLOCKS = 64

    def __init__(self):
        self.data = bytearray(b"\xff" * (self.SIZE * self.BLOCKS))
        self.left = None

    def readblocks(self, number, buffer, offset=0):
        start = number * self.SIZE + offset
        buffer[:] = self.data[start : start + len(buffer)]

    def writeblocks(self, number, buffer, offset=None):
        self._spend()
        if offset is None:
            offset = 0
        start = number * self.SIZE + offset
        self.data[start : start + len(buffer)] = buffer

    def ioctl(self, operation, argument):
        if operation == 4:
            return self.BLOCKS
        if operation == 5:
            return self.SIZE
        if operation == 6:
            self._spend()
            start = argument * self.SIZE
            self.data[start : start + self.SIZE] = b"\xff" * self.SIZE
            return 0
        return 0

    def _spend(self):
        if self.left is not None:
            if self.left == 0:
                raise PowerCut
            self.left -= 1


def scenario(outbox, safe):
    """Put, take, settle, give back; `safe` learns what is on flash. Nothing happens after the cut."""

    def done(*sequence):
        if outbox.write_failures:
            raise PowerCut
        safe.extend(sequence)

    for seq in range(6):
        outbox.put(message(seq))
        done(seq)
    first = outbox.take()
    second = outbox.take()
    safe.remove(0)
    outbox.settle(first)
    done()
    outbox.requeue([second])
    done()
    outbox.requeue([message(100)])
    done(100)
    for seq in range(6, 12):
        outbox.put(message(seq))
        done(seq)


def test_a_power_cut_after_any_block_write_loses_nothing_that_was_put():
    if sys.implementation.name != "micropython":
        return  # LittleFS is MicroPython's; there this test cuts at every write
    import vfs

    cut_at = 0
    while True:
        flash = Flash()
        vfs.VfsLfs2.mkfs(flash)
        vfs.mount(vfs.VfsLfs2(flash), "/cut")
        outbox = FlashOutbox("/cut/outbox", TOPICS, segment_bytes=150)
        safe = []
        flash.left = cut_at
        finished = False
        try:
            scenario(outbox, safe)
            finished = True
        except (PowerCut, OSError):
            pass
        vfs.umount("/cut")
        flash.left = None
        vfs.mount(vfs.VfsLfs2(flash), "/cut")
        found = seqs(take_all(FlashOutbox("/cut/outbox", TOPICS, segment_bytes=150)))
        vfs.umount("/cut")
        # What was being written may be there or not; what was settled may come again; nothing else differs.
        assert all(seq in found for seq in safe), (cut_at, safe, found)
        assert len(set(found)) == len(found), (cut_at, found)
        later = [seq for seq in found if seq != 100]
        assert later == sorted(later), (cut_at, found)
        if 100 in safe:
            assert found[0] == 100 or found[:2] == [0, 100], (cut_at, found)
        if finished:
            break
        cut_at += 1
    assert cut_at > 20


def test_what_is_put_behind_messages_given_back_comes_after_them_and_once():
    _, outbox = fresh("behind")
    outbox.requeue([message(3), message(4)])
    for seq in range(5, 9):
        outbox.put(message(seq))
    assert seqs(take_all(outbox)) == [3, 4, 5, 6, 7, 8]


def test_any_order_of_events_keeps_every_message_once_and_in_order():
    from buoy.shims import new_random

    for seed in range(40):
        draw = new_random(seed)
        dropped = []
        _, outbox = fresh(
            "any-%d" % seed,
            segments=3,
            segment_bytes=300,
            on_drop=lambda one, _reason, into=dropped: into.append(one.seq),
        )
        put = 0
        flying = []
        arrived = []
        for _ in range(150):
            what = draw()
            if what < 0.4:
                outbox.put(message(put))
                put += 1
            elif what < 0.65 and outbox.count and len(flying) < 4:
                flying.append(outbox.take())
            elif what < 0.85 and flying:
                arrived.append(flying[0].seq)
                outbox.settle(flying.pop(0))
            elif what > 0.93:
                outbox.requeue(flying)
                flying = []
            elif not outbox.count and len(flying) < 4:
                flying.append(message(put))  # sent at once, without touching flash
                put += 1
            everything = sorted(arrived + dropped + seqs(flying))
            assert len(everything) == len(set(everything)), (seed, everything)
            assert len(everything) + outbox.count == put, seed
        outbox.requeue(flying)
        rest = seqs(take_all(outbox))
        assert rest == sorted(rest), seed
        assert sorted(arrived + dropped + rest) == list(range(put)), seed
