"""A simulated ESP32: serial port, ROM loader, flash image and MicroPython, served by one supervisor."""
