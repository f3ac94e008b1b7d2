"""Wrong fleet files and what they are told: a table."""

KINDS_OF_TIME = "a duration is a number with a unit (ms, s, min, h, d)"
KINDS_OF_RATE = "a rate is a number with a unit (/s, /min, /h)"
IDS = "ids are written `100`, `100-127` or `100-109,115`"
TOP = "one of fleet, target, topic_prefix, topics, run, boards, bench, thresholds"
GROUP = "one of messages, interval, rate, kind, ids, sensors, link, thing_name, port, wifi, overrides"
AWS_KEYS = (
    *("kind", "name", "region", "profile", "account", "endpoint", "port", "certificates", "ca", "thing_type"),
    *("thing_group", "policy", "witness", "database", "table", "timestream_rule", "kinesis_rule", "influxdb"),
    *("stream", "delivery_stream", "function", "bucket", "s3_prefix", "failed_prefix", "error_prefix"),
    *("wait", "listen", "max_messages", "max_cost"),
)

# (what replaces what in GOOD, the lines printed)
MISTAKES = {
    "unknown key at the top": (
        [("target: local", "taget: local")],
        [f"2: unknown key 'taget'; {TOP} (did you mean `target`?)"],
    ),
    "no time server beside time servers": (
        [("target: local", "target: local\nbench: {ntp_host: [none, one.test]}")],
        ["3: bench.ntp_host: `none` stands beside servers (write one or the other)"],
    ),
    "more time servers than a board takes": (
        [("target: local", f"target: local\nbench: {{ntp_host: [{'long.' * 20}test, {'name.' * 8}test]}}")],
        ["3: bench.ntp_host: the names are longer than 128 characters together (three servers are enough)"],
    ),
    "a time server that is a URL": (
        [("target: local", "target: local\nbench: {ntp_host: 'ntp://one.test'}")],
        ["3: bench.ntp_host: 'ntp://one.test' is not a host name, with `:port` if it is not 123, or `none`"],
    ),
    "misspelt required key": (
        [("fleet: harbour", "flet: harbour")],
        [f"1: unknown key 'flet'; {TOP} (did you mean `fleet`?)"],
    ),
    "other name for a key": (
        [("fleet: harbour", "name: harbour")],
        [f"1: unknown key 'name'; {TOP} (did you mean `fleet`?)"],
    ),
    "key in the wrong place": (
        [("target: local", "messages: 5")],
        [f"2: unknown key 'messages'; {TOP} (`messages` belongs under `run`)"],
    ),
    "unknown key in a group": (
        [("kind: virtual", "kind: virtual\n    sensorz: walk")],
        [f"8: boards[0]: unknown key 'sensorz'; {GROUP} (did you mean `sensors`?)"],
    ),
    "unknown key in a link": (
        [("ids: 100-103", "ids: 100-103\n    link: {clint: paho}")],
        [
            "9: boards[0].link: unknown key 'clint'; one of client, keep_alive, in_flight, connect_timeout, "
            "ack_timeout, backoff, outbox, clean_session (did you mean `client`?)"
        ],
    ),
    "missing key": (
        [("fleet: harbour\n", "")],
        ["1: the key `fleet` is missing; write a short name of small letters, digits and hyphens"],
    ),
    "key without a value": (
        [("messages: 100", "messages:")],
        ["4: run.messages: has no value; write a whole number from 1 to 10000000"],
    ),
    "section without a value": (
        [("run:\n  messages: 100\n  rate: 10/s\n", "run:\n")],
        ["3: run: has no value; write a mapping"],
    ),
    "text for a number": (
        [("messages: 100", "messages: many")],
        ["4: run.messages: 'many' is not a whole number from 1 to 10000000"],
    ),
    "number in quotes": (
        [("messages: 100", "messages: '100'")],
        ["4: run.messages: '100' is not a whole number from 1 to 10000000 (did you mean `100`?)"],
    ),
    "grouped digits": (
        [("messages: 100", "messages: 1_000")],
        ["4: run.messages: '1_000' is not a whole number from 1 to 10000000 (did you mean `1000`?)"],
    ),
    "half a message": (
        [("messages: 100", "messages: 2.5")],
        ["4: run.messages: 2.5 is not a whole number from 1 to 10000000"],
    ),
    "list for a number": (
        [("messages: 100", "messages: [100]")],
        ["4: run.messages: a list is not a whole number from 1 to 10000000"],
    ),
    "mapping for a list": (
        [("  - kind: virtual\n    ids", "  kind: virtual\n  ids")],
        [
            "7: boards: a mapping is not a list, each item a mapping with `kind` and `ids` "
            "(begin every item with `- `)"
        ],
    ),
    "empty list of boards": (
        [("boards:\n  - kind: virtual\n    ids: 100-103\n", "boards: []\n")],
        ["6: boards: the list is empty"],
    ),
    "zero messages": (
        [("messages: 100", "messages: 0")],
        ["4: run.messages: 0 is too small; write a whole number from 1 to 10000000"],
    ),
    "negative messages": (
        [("messages: 100", "messages: -5")],
        ["4: run.messages: -5 is negative; write a whole number from 1 to 10000000"],
    ),
    "interval without a unit": (
        [("rate: 10/s", "interval: 5")],
        [f"5: run.interval: 5 has no unit; {KINDS_OF_TIME} (did you mean `5 s`?)"],
    ),
    "interval with a long unit": (
        [("rate: 10/s", "interval: 5 seconds")],
        [f"5: run.interval: 'seconds' is no unit here; {KINDS_OF_TIME} (did you mean `5 s`?)"],
    ),
    "negative interval": (
        [("rate: 10/s", "interval: -5 s")],
        [f"5: run.interval: -5 s is negative; {KINDS_OF_TIME}"],
    ),
    "interval of nothing": (
        [("rate: 10/s", "interval: 0 s")],
        ["5: run.interval: 0 s is too small; 1 ms to 30 d is allowed"],
    ),
    "rate in hertz": (
        [("rate: 10/s", "rate: 10 Hz")],
        [f"5: run.rate: 'Hz' is no unit here; {KINDS_OF_RATE} (did you mean `10/s`?)"],
    ),
    "rate that a timestamp cannot tell apart": (
        [("rate: 10/s", "rate: 2000/s")],
        ["5: run.rate: 2000/s is too large; 1/h to 1000/s is allowed"],
    ),
    "flat out as one word": (
        [("rate: 10/s", "rate: flatout")],
        [
            "5: run.rate: 'flatout' is not a rate such as `10/s` (1/h to 1000/s) or `flat-out` "
            "(did you mean `flat-out`?)"
        ],
    ),
    "interval and rate": (
        [("rate: 10/s", "rate: 10/s\n  interval: 1 s")],
        [
            "6: run.interval: `rate` is set on line 5; only one of the two can set the pace "
            "(leave `interval` or `rate` out)"
        ],
    ),
    "no pace": (
        [("  rate: 10/s\n", "")],
        [
            "3: run: boards 100-103 have neither `interval` nor `rate` "
            "(write e.g. `rate: 10/s`, `interval: 1 s` or `rate: flat-out`)"
        ],
    ),
    "no end": (
        [("  messages: 100\n", "")],
        [
            "3: run: boards 100-103 have neither `messages` nor a `duration` "
            "(write e.g. `messages: 100` or `duration: 1 min`)"
        ],
    ),
    "keep-alive of half seconds": (
        [("ids: 100-103", "ids: 100-103\n    link: {keep_alive: 7500 ms}")],
        ["9: boards[0].link.keep_alive: 7500 ms is not a whole number of s"],
    ),
    "start spread longer than the run": (
        [("messages: 100", "duration: 1 min\n  start_spread: 2 min")],
        [
            "5: run.start_spread: boards start spread over 2 min, but the run ends after 1 min: some would "
            "send nothing (write a shorter `start_spread`, e.g. `0 s`)"
        ],
    ),
    "YAML 1.1 boolean": (
        [("ids: 100-103", "ids: 100-103\n    link: {clean_session: no}")],
        ["9: boards[0].link.clean_session: 'no' is not `true` or `false` (did you mean `false`?)"],
    ),
    "unknown kind": (
        [("kind: virtual", "kind: virtul")],
        [
            "7: boards[0].kind: unknown kind 'virtul'; one of virtual, simulated, esp32 "
            "(did you mean `virtual`?)"
        ],
    ),
    "real boards without a port": (
        [("kind: virtual", "kind: esp32")],
        ["7: boards[0]: 100-103 need a `port`, e.g. `/dev/ttyUSB0` (ls -l /dev/serial/by-id/ shows them)"],
    ),
    "port of a virtual board": (
        [("ids: 100-103", "ids: 100-103\n    port: /dev/ttyUSB0\n    wifi: {ssid: x}")],
        [
            "9: boards[0].port: a `virtual` board has no `port` (leave it out, or write `kind: esp32`)",
            "10: boards[0].wifi: a `virtual` board has no `wifi` (leave it out, or write `kind: esp32`)",
        ],
    ),
    "one port for two boards": (
        [("kind: virtual\n    ids: 100-103", "kind: esp32\n    ids: 100-101\n    port: /dev/ttyUSB0")],
        [
            "9: boards[0].port: boards 100 and 101 would both be on /dev/ttyUSB0 "
            "(write `{id}` into it, or give each board its own under `overrides`)"
        ],
    ),
    "port that is none": (
        [("kind: virtual\n    ids: 100-103", "kind: esp32\n    ids: 100\n    port: telnet://x")],
        [
            "9: boards[0].port: `telnet://x` names no board: `telnet://` is not known; known are "
            "`rfc2217://`, `socket://` (write a path (`/dev/ttyUSB0`), `rfc2217://HOST:PORT`, "
            "`socket://HOST:PORT`, `usb:VID:PID:SERIAL`, `location:1-1.2` or `mac:24:0a:c4:00:00:80`)"
        ],
    ),
    "client of this computer on a board": (
        [("kind: virtual\n    ids: 100-103", "kind: simulated\n    ids: 100\n    link: paho")],
        [
            "9: boards[0].link: `paho` is a client of this computer; a board on a cable has its own "
            "(leave it out)"
        ],
    ),
    "Wi-Fi password in clear": (
        [("kind: virtual", "kind: simulated\n    wifi: {ssid: x, password: riverside}")],
        [
            "8: boards[0].wifi.password: a secret stands here in clear; write `${env:NAME}` or "
            "`${file:NAME}`, a key of secrets.yaml (change the secret if this file was ever shared)"
        ],
    ),
    "unknown target": (
        [("target: local", "target: lokal")],
        ["2: target: unknown target 'lokal'; one of local, aws, broker (did you mean `local`?)"],
    ),
    "aws: misspelt key": (
        [("target: local", "target: {kind: aws, regoin: eu-west-1}")],
        [
            "2: target: unknown key 'regoin' of target `aws`; "
            f"one of {', '.join(AWS_KEYS)} (did you mean `region`?)"
        ],
    ),
    "aws: no region": (
        [("target: local", "target: {kind: aws, region: Montreal}")],
        ["2: target.region: 'Montreal' is not a region such as `us-west-2`"],
    ),
    "aws: account without quotes": (
        [("target: local", "target: {kind: aws, account: 123456789012}")],
        [
            "2: target.account: 123456789012 is not a text; write the 12 digits of an account, in quotes "
            "(write it in quotes: `'123456789012'`)"
        ],
    ),
    "aws: rule with a hyphen": (
        [("target: local", "target: {kind: aws, timestream_rule: my-rule}")],
        [
            "2: target.timestream_rule: 'my-rule' is not a name of letters, digits and `_` "
            "(did you mean `my_rule`?)"
        ],
    ),
    "aws: prefix without slash": (
        [("target: local", "target: {kind: aws, s3_prefix: data}")],
        ["2: target.s3_prefix: 'data' is not an S3 prefix such as `data/`"],
    ),
    "aws: credentials in the file": (
        [("target: local", "target: {kind: aws, secret_access_key: abc}")],
        [f"2: target: unknown key 'secret_access_key' of target `aws`; one of {', '.join(AWS_KEYS)}"],
    ),
    "target without kind": (
        [("target: local", "target: {host: x}")],
        ["2: target: the key `kind` is missing; write `local`, `aws` or `broker`"],
    ),
    "key of another target": (
        [("target: local", "target: {kind: local, host: x}")],
        [
            "2: target: unknown key 'host' of target `local`; one of kind, port, attach, twin "
            "(`host` belongs under `target, kind: broker`)"
        ],
    ),
    "address with TLS": (
        [("target: local", "target: mqtts://broker.example")],
        [
            "2: target: 'mqtts://broker.example' is no address `mqtt://HOST:PORT` "
            "(for TLS write a mapping with `kind: broker`, `host` and `tls`)"
        ],
    ),
    "certificate without key": (
        [("target: local", "target: {kind: broker, tls: {ca: ca.pem, certificate: a.pem}}")],
        ["2: target.tls: `certificate` goes with `key` (add `key: PATH`)"],
    ),
    "reversed range": (
        [("100-103", "103-100")],
        ["8: boards[0].ids: the range '103-100' runs backwards and is empty (did you mean `100-103`?)"],
    ),
    "typographic range": (
        [("100-103", "100–103")],
        [f"8: boards[0].ids: '100–103' is no id and no range; {IDS} (did you mean `100-103`?)"],
    ),
    "empty list of ids": ([("100-103", "[]")], ["8: boards[0].ids: an empty list names no id"]),
    "negative id": ([("100-103", "-3")], ["8: boards[0].ids: -3 is negative; ids are whole numbers from 0"]),
    "id that is no 32-bit number": (
        [("100-103", "[100, 2147483648]")],
        ["8: boards[0].ids[1]: 2147483648 is too large; ids go from 0 to 2147483647"],
    ),
    "too many boards": (
        [("100-103", "0-2147483647")],
        ["8: boards[0].ids: these are more than 100000 boards, the most a fleet can have"],
    ),
    "id twice in a list": (
        [("ids: 100-103", "ids:\n      - 100-103\n      - 102")],
        ["10: boards[0].ids: 102 stands here and on line 9; an id belongs to one board"],
    ),
    "ids of two groups": (
        [("ids: 100-103", "ids: 100-103\n  - kind: virtual\n    ids: [99, 102-105]")],
        ["10: boards[1].ids: 102,103 stand here and on line 8; an id belongs to one board"],
    ),
    "unknown sensor": (
        [("ids: 100-103", "ids: 100-103\n    sensors: {pH: walk}")],
        [
            "9: boards[0].sensors: unknown sensor 'pH'; one of others, do, ec, liqlev, ph, tds, tbd, wf, wp, "
            "temp (did you mean `ph`?)"
        ],
    ),
    "constant without a value": (
        [("ids: 100-103", "ids: 100-103\n    sensors: {ph: constant}")],
        ["9: boards[0].sensors.ph: `constant` needs a value (write `{mode: constant, value: 7.0}`)"],
    ),
    "constant as a bare number": (
        [("ids: 100-103", "ids: 100-103\n    sensors: {ph: 7}")],
        [
            "9: boards[0].sensors.ph: 7 is not `counter`, `walk`, `hardware`, `off` or "
            "`{mode: constant, value: 7.0}` "
            "(did you mean `{mode: constant, value: 7}`?)"
        ],
    ),
    "number for a boolean": (
        [("ids: 100-103", "ids: 100-103\n    sensors: {liqlev: {mode: constant, value: 1}}")],
        ["9: boards[0].sensors.liqlev.value: 1 is not `true` or `false`, which liqlev is"],
    ),
    "base of a walk": (
        [("ids: 100-103", "ids: 100-103\n    sensors: {ph: {mode: walk, base: 1}}")],
        ["9: boards[0].sensors.ph.base: only a `counter` of a number has a base; this is `walk`"],
    ),
    "nothing to send": (
        [("ids: 100-103", "ids: 100-103\n    sensors: off")],
        ["9: boards[0].sensors: every sensor is off, so there is nothing to send (leave one on)"],
    ),
    "override of a strange board": (
        [("ids: 100-103", "ids: 100-103\n    overrides: {107: {interval: 1 s}}")],
        ["9: boards[0].overrides.107: 107 is not among this group's boards (100-103)"],
    ),
    "two overrides of a board": (
        [
            (
                "ids: 100-103",
                "ids: 100-103\n    overrides:\n      100-102: {messages: 1}\n      101: {messages: 2}",
            )
        ],
        ["11: boards[0].overrides.101: 101 is overridden on line 10 already (put both into one entry)"],
    ),
    "thing name without the id": (
        [("ids: 100-103", "ids: 100-103\n    thing_name: buoy")],
        [
            "9: boards[0].thing_name: 'buoy' is not a name with `{id}` in it, of letters, digits, `:`, "
            "`_` and `-`"
        ],
    ),
    "thing name twice": (
        [
            (
                "ids: 100-103",
                "ids: 23\n    thing_name: b1{id}\n  - {kind: virtual, ids: 123, thing_name: 'b{id}'}",
            )
        ],
        [
            "10: boards[1].thing_name: boards 23 and 123 would both be called 'b123'; "
            "the broker would know only one"
        ],
    ),
    "back-off upside down": (
        [("ids: 100-103", "ids: 100-103\n    link: {backoff: {min: 40 s}}")],
        ["9: boards[0].link.backoff: `min` (40 s) is longer than `max` (30 s) (exchange them)"],
    ),
    "topic prefix of AWS's own tree": (
        [("target: local", "topic_prefix: $aws/0/")],
        [
            "2: topic_prefix: '$aws/0/' is not topic levels such as `aws/0` (at most 5; no `+`, `#`, space, "
            "leading `$` or slash at an end) (did you mean `aws/0`?)"
        ],
    ),
    "fleet name that is no folder": (
        [("fleet: harbour", "fleet: Inner Harbour/2")],
        [
            "1: fleet: 'Inner Harbour/2' is not a short name of small letters, digits and hyphens "
            "(did you mean `inner-harbour-2`?)"
        ],
    ),
    "threshold of nothing": (
        [("run:", "thresholds: [timestream.mising == 0]\nrun:")],
        [
            "3: thresholds[0]: unknown metric 'timestream.mising'; one of timestream.expected, "
            "timestream.found, timestream.missing, timestream.duplicated, timestream.redelivered, "
            "timestream.altered, timestream.late, timestream.unexpected, timestream.p50, timestream.p95, "
            "timestream.p99 (did you mean `timestream.missing`?)"
        ],
    ),
    "threshold twice": (
        [("run:", "thresholds:\n- s3.missing == 0\n- s3.missing  ==  0.0\nrun:")],
        ["5: thresholds[1]: 's3.missing  ==  0.0' stands on line 4 already (keep one of them)"],
    ),
    "threshold of a store that the target lacks": (
        [("target: local", "target: broker\nthresholds: [s3.missing == 0]")],
        ["3: thresholds[0]: target `broker` has no store 's3'; it has subscriber"],
    ),
    "fault that needs a delay": (
        [("target: local", "target: {kind: local, twin: {faults: [{stage: s3, kind: delayed}]}}")],
        ["2: target.twin.faults[0]: a `delayed` fault needs `delay` (write e.g. `delay: 5 s`)"],
    ),
    "fault of the link elsewhere": (
        [("target: local", "target: {kind: local, twin: {faults: [{stage: s3, kind: unanswered}]}}")],
        [
            "2: target.twin.faults[0].stage: `unanswered` happens between board and broker, not at `s3` "
            "(write `stage: broker`)"
        ],
    ),
    "records have no halves": (
        [("target: local", "target: {kind: local, twin: {faults: [{stage: timestream, kind: truncated}]}}")],
        [
            "2: target.twin.faults[0].stage: Timestream gets values, and only a payload can be `truncated` "
            "(write `stage: rules`)"
        ],
    ),
    "limits that contradict each other": (
        [("target: local", "target: {kind: local, twin: {limits: {keep_alive_max: 20 s}}}")],
        ["2: target.twin.limits: keep-alive from 30 to 20 s"],
    ),
    "unit of no time": (
        [("target: local", "target: {kind: local, twin: {timestream_rule: {timestamp_unit: s}}}")],
        [
            "2: target.twin.timestream_rule.timestamp_unit: `timestamp_unit` is the unit of `timestamp`, "
            "which is not written"
        ],
    ),
    "two error actions": (
        [
            (
                "target: local",
                "target: {kind: local, twin: {kinesis_rule: {error_action: {s3: a/, republish: b}}}}",
            )
        ],
        [
            "2: target.twin.kinesis_rule.error_action: write one of `s3: PREFIX/` and `republish: TOPIC`",
        ],
    ),
    "authorizers that contradict each other": (
        [
            (
                "target: local",
                "target: {kind: local, twin: {authorizers: [{name: a, handler: b.py, default: true},\n"
                "  {name: a, handler: b.py, default: true, signing_key: k.pem}]}}",
            )
        ],
        [
            "3: target.twin.authorizers[1]: a signed token needs `parameter`, the name under which clients "
            "send it (write e.g. `parameter: x-token`)",
            "3: target.twin.authorizers[1].name: `a` is there twice",
            "3: target.twin.authorizers[1].default: `a` is the default authorizer already",
        ],
    ),
    "provisioning without certificates": (
        [("target: local", "target: {kind: local, twin: {provisioning: [{name: a, template: t.json}]}}")],
        [
            "2: target.twin.provisioning: devices are provisioned with certificates, and the twin has none "
            "without `tls` (write `tls: true`)"
        ],
    ),
    "a limit that cannot be lifted": (
        [("target: local", "target: {kind: local, twin: {limits: {payload_bytes: lifted}}}")],
        ["2: target.twin.limits.payload_bytes: 'lifted' is not a whole number from 1 to 268435455"],
    ),
    "fault of a strange buoy": (
        [("target: local", "target: {kind: local, twin: {faults: [{stage: s3, kind: lost, buoys: 7}]}}")],
        ["2: target.twin.faults[0].buoys: 7 is not in the fleet (100-103)"],
    ),
    "store that does not exist": (
        [("messages: 100", "messages: 100\n  late_after: {timestrem: 5 s}")],
        [
            "5: run.late_after: unknown store 'timestrem'; one of timestream, s3, influxdb, subscriber "
            "(did you mean `timestream`?)"
        ],
    ),
    "key twice": (
        [("messages: 100", "messages: 100\n  messages: 200")],
        ["5: the key `messages` stands twice; the first is on line 4 (keep one of them)"],
    ),
    "tag": (
        [("harbour", "!!python/name:os.system x")],
        ["1: the tag 'tag:yaml.org,2002:python/name:os.system' is not supported (remove it)"],
    ),
    "reference where no secret is": (
        [("target: local", "target: {kind: broker, username: '${env:USER}'}")],
        ["2: target.username: '${env:USER}': only secrets are references (write the text itself)"],
    ),
    "secret in clear": (
        [("target: local", "target: {kind: broker, password: hunter2}")],
        [
            "2: target.password: a secret stands here in clear; write `${env:NAME}` or `${file:NAME}`, a key "
            "of secrets.yaml (change the secret if this file was ever shared)"
        ],
    ),
    "password in an address": (
        [("target: local", "target: mqtt://bob:hunter2@broker.example")],
        [
            "2: target: a password does not belong into an address (write a mapping with `kind: broker`, "
            "`host`, `username` and `password: ${env:NAME}`)"
        ],
    ),
}
