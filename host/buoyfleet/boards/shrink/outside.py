"""Names that objects of others have, or that others ask ours for: they stay as they are."""

import binascii
import builtins
import collections
import gc
import hashlib
import io
import json
import os
import select
import socket
import ssl
import struct
import sys
import time
import types
from collections.abc import Iterator

# What CPython has of them, MicroPython has too, or less.
_TYPES = (str, bytes, bytearray, memoryview, int, float, list, tuple, dict, set, OSError, StopIteration)
_MORE = (io.BufferedRandom, io.TextIOWrapper, socket.socket, types.GeneratorType, type(hashlib.sha256()))
_LIBRARY = (collections.OrderedDict, ssl.SSLContext, ssl.SSLSocket)
_MODULES = (binascii, builtins, collections, gc, hashlib, json, os, select, socket, ssl, struct, sys, time)

# What MicroPython and its libraries have beyond. Source: MicroPython's documentation of `machine`, `network`,
# `esp32`, `tls`, `gc`, `micropython`, `vfs`; micropython-lib's umqtt.simple, onewire and ds18x20.
_MICROPYTHON = """
    ADC ADCBlock AP_IF Counter DAC DEEPSLEEP_RESET DS18X20 Encoder HARD_RESET HEAP_DATA I2C IN
    IRQ_FALLING IRQ_RISING MQTTClient MQTTException NVS OPEN_DRAIN OUT OneWire OneWireError PCNT
    PULL_DOWN PULL_UP PWM PWRON_RESET Partition Pin RTC SOFT_RESET SPI SSLContext STA_IF SoftI2C SoftSPI
    Timer UART WDT WDT_RESET WLAN active any arg atten attenuation buf bytecode cb check_msg client_id
    collect commit config connect const convert_temp crc8 cycles datetime deauth deepsleep deinit
    disable_irq disconnect enable_irq erase_key feed freq get_blob get_i32 handler hostname
    idf_heap_info idle ifconfig init ipconfig irq isconnected kbd_intr keepalive lightsleep
    load_cert_chain load_verify_locations lw_msg lw_qos lw_retain lw_topic mem_alloc mem_free memory mount
    modify off on ow pid pin ping poll port print_exception pswd publish qstr_info raw_temperature
    rxbuf read_scratch read_temp read_u16 read_uv readbit readbyte register reset reset_cause rom scan
    select_rom server set_blob set_callback set_i32 set_last_will sleep_ms sleep_us sock soft_reset ssl
    ssl_params start stations status stop subscribe ticks_add ticks_cpu ticks_diff ticks_ms ticks_us
    threshold toggle trigger txdone umount unique_id unregister user value verify_mode wait_msg wake_reason
    width wrap_socket write_scratch writebit writebyte
"""


def _all() -> Iterator[str]:
    for thing in (*_TYPES, *_MORE, *_LIBRARY, *_MODULES):
        yield from dir(thing)
    yield from dir(select.poll() if hasattr(select, "poll") else select)
    yield from _MICROPYTHON.split()


OUTSIDE = frozenset(_all())
