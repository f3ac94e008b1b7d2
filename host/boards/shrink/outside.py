"""Names that objects of others have, or that others ask ours for: they stay as they are."""

import builtins
import hashlib
import io
import json
import os
import select
import socket
import struct
import sys
import time
import types
from collections.abc import Iterator

# What CPython has of them, MicroPython has too, or less.
_TYPES = (str, bytes, bytearray, memoryview, int, float, list, tuple, dict, set, OSError, StopIteration)
_MORE = (io.BufferedRandom, io.TextIOWrapper, socket.socket, types.GeneratorType, type(hashlib.sha256()))
_MODULES = (builtins, hashlib, json, os, select, socket, struct, sys, time)

# What MicroPython and its libraries have beyond. Source: MicroPython's documentation of `machine`, `network`,
# `esp32`, `tls`, `gc`, `micropython`; micropython-lib's umqtt.simple, onewire and ds18x20.
_MICROPYTHON = """
    ADC AP_IF Counter DAC DEEPSLEEP_RESET DS18X20 Encoder HARD_RESET HEAP_DATA I2C IN IRQ_FALLING
    IRQ_RISING MQTTClient MQTTException NVS OPEN_DRAIN OUT OneWire OneWireError PULL_DOWN PULL_UP PWM
    PWRON_RESET Partition Pin RTC SOFT_RESET SPI SSLContext STA_IF SoftI2C SoftSPI Timer UART WDT
    WDT_RESET WLAN active any arg atten attenuation cb check_msg client_id collect commit config connect
    const convert_temp cycles deepsleep deinit erase_key feed get_blob get_i32 handler idf_heap_info
    ifconfig init irq isconnected kbd_intr keepalive load_cert_chain load_verify_locations lw_msg lw_qos
    lw_retain lw_topic mem_alloc mem_free modify off on pid ping poll port print_exception pswd publish
    qstr_info read_scratch read_temp read_u16 read_uv register reset reset_cause rom scan select_rom
    server set_blob set_callback set_i32 set_last_will sleep_ms sleep_us sock soft_reset ssl ssl_params
    status subscribe ticks_add ticks_cpu ticks_diff ticks_ms ticks_us toggle trigger txdone unique_id
    unregister user value verify_mode wait_msg width wrap_socket write_scratch
"""


def _all() -> Iterator[str]:
    for thing in (*_TYPES, *_MORE, *_MODULES):
        yield from dir(thing)
    yield from dir(select.poll() if hasattr(select, "poll") else select)
    yield from _MICROPYTHON.split()


OUTSIDE = frozenset(_all())
