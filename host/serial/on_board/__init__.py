"""Programs that are sent to a board: MicroPython, kept small. `host.serial.board_files` sends them."""
