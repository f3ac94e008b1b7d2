"""What a board of a running fleet is doing, in one letter: thousands of boards are one short text."""

WAITING, CONNECTED, TROUBLE, CRASHED, DONE = ".", "o", "!", "x", "-"
WORDS = {
    WAITING: "not connected yet",
    CONNECTED: "connected",
    TROUBLE: "connection lost",
    CRASHED: "crashed",
    DONE: "done",
}
BAD = (TROUBLE, CRASHED)
