"""Events on flash: numbers that outlast resets, bounds, and what a flash that fails leaves."""

import os

from buoy.event_ring import EventRing


def told(ring, first=1, last=10000):
    return [(number, bytes(text)) for number, text in ring.events(first, last)]


def event(number):
    return b'{"seq": %d}' % number


def filled(folder, count, **options):
    ring = EventRing(folder, **options)
    for number in range(ring.last + 1, ring.last + count + 1):
        ring.add(event(number))
        if number % 3 == 0:
            ring.flush()
    ring.flush()
    return ring


def test_events_come_back_with_their_numbers():
    ring = filled("plain", 500, segment_bytes=300)
    assert told(ring) == [(number, event(number)) for number in range(1, 501)]
    assert told(ring, 77, 79) == [(number, event(number)) for number in (77, 78, 79)]
    assert told(ring, 501, 600) == []


def test_numbers_go_on_after_a_reset():
    filled("reset", 70, segment_bytes=300)
    again = EventRing("reset", segment_bytes=300)
    assert again.last == 70
    ring = filled("reset", 30, segment_bytes=300)
    assert ring.last == 100
    assert told(ring) == [(number, event(number)) for number in range(1, 101)]


def test_what_was_added_is_told_even_before_it_was_written():
    ring = filled("unwritten", 2)
    ring.add(event(3))
    assert told(ring, 3, 3) == [(3, event(3))]


def test_the_oldest_go_first_and_the_ring_stays_bounded():
    ring = filled("bounded", 1000, segments=4, segment_bytes=300)
    numbers = [number for number, _ in told(ring)]
    assert numbers == list(range(numbers[0], 1001))
    assert 60 < len(numbers) < 200
    assert len(os.listdir("bounded")) == 4


def test_a_line_that_broke_off_is_none_and_the_next_event_takes_its_number():
    filled("torn", 5)
    with open("torn/1.evt", "ab") as file:
        file.write(b'{"seq": 6')
    ring = EventRing("torn")
    assert ring.last == 5
    ring.add(event(6))
    assert told(ring) == [(number, event(number)) for number in range(1, 7)]


def test_flash_that_cannot_be_written_costs_the_events_and_not_the_numbers():
    ring = filled("failing", 5)
    folder = ring._folder
    ring._folder = "nowhere"
    ring.add(event(6))
    ring.flush()
    ring._folder = folder
    assert (ring.failures, ring.last) == (1, 6)
    ring.add(event(7))
    assert told(ring) == [(number, event(number)) for number in (1, 2, 3, 4, 5, 7)]


def test_clear_leaves_nothing_and_numbers_go_on():
    ring = filled("clear", 50, segment_bytes=300)
    ring.clear()
    assert os.listdir("clear") == []
    ring.add(event(51))
    assert told(ring) == [(51, event(51))]
