"""Texts for people that wait on flash until somebody is told: on a board they are no part of its modules.

What is installed on a board has a call of `flash_text` where the files of the tree have a long text.
"""

FILE = "/app/buoy/texts.txt"  # in the file of the program, see start.py


def flash_text(place, given=None):
    """The text at a place of the file, with what is to be put into it; no exception in the place of a text.

    Args:
        place: bytes from the beginning of the file.
        given: what stands behind `%`, if anything.
    """
    try:
        with open(FILE, "rb") as file:
            file.seek(file.tell() + place)
            found = file.readline()[:-1].decode().replace("\\n", "\n")
        return found if given is None else found % given
    except (OSError, TypeError, ValueError, MemoryError):
        # No file, or that of another version.
        return "text %d %r" % (place, given)
