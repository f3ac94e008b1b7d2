"""Serial ports of this computer: opening and locking them, and the console of a board."""
