"""Why a broker with IoT Core's rules refused a message or a connection, and what to change.

Keys are `broker/reason`, the reasons of the twin's broker (`buoyfleet.cloud.local.broker.records.Reason`).
What an account tells is given in the same reasons.
"""

from buoyfleet.verify.cause import Cause

BROKER_CAUSES: dict[str, Cause] = {
    "broker/publish-rate": Cause(
        "the broker discards what one connection publishes beyond its rate ({detail})",
        "Plan fewer messages per second and board: IoT Core takes 100 per connection.",
    ),
    "broker/account-publish-rate": Cause(
        "the account's publish rate was used up ({detail})",
        "Send less per second over all boards, or have the account's quota raised.",
    ),
    "broker/payload-too-large": Cause(
        "the broker does not take payloads of that size ({detail})",
        "Make payloads smaller: IoT Core takes 128 KB.",
    ),
    "broker/not-authorised": Cause(
        "the board's policy does not allow that ({detail})",
        "Allow the action on that resource in the policy of the board's certificate; where the policy names "
        "the thing, the certificate must be attached to it and the client id be its name.",
    ),
    "broker/not-authenticated": Cause(
        "the service refused who asked ({detail})",
        "Give the certificate, or the signature and token, of an identity that the account knows.",
    ),
    "broker/request-refused": Cause(
        "the service refused the request ({detail})",
        "Correct the path, the query or the body of the request.",
    ),
    "broker/duplicate-client-id": Cause(
        "another client connected under the board's client id, and the broker drops the older connection "
        "({detail})",
        "Find who else uses that client id: a second board with the id, a board in service, a second run.",
    ),
    "broker/client-id-rate": Cause(
        "the broker takes one CONNECT a second from a client id ({detail})",
        "Let the board wait at least 1 s before it connects again (`link.backoff`).",
    ),
    "broker/connect-rate": Cause(
        "the account's rate of connections was used up ({detail})",
        "Let boards start over a longer time (`start_spread`), or have the account's quota raised.",
    ),
    "broker/keep-alive": Cause(
        "the broker dropped a connection that was silent for too long ({detail})",
        "Shorten `link.keep_alive`, or look why the board's link carried nothing.",
    ),
    "broker/tls-failed": Cause(
        "the TLS handshake failed ({detail})",
        "Give the board the certificate, key and CA that belong to this broker.",
    ),
    "broker/protocol-error": Cause(
        "the board sent what is no MQTT 3.1.1 ({detail})", "Look into the board's MQTT client."
    ),
    "broker/qos-2": Cause(
        "QoS 2 is neither taken nor answered ({detail})", "Publish with QoS 1: IoT Core knows no QoS 2."
    ),
    "broker/in-flight": Cause(
        "too many publishes were unanswered at once ({detail})",
        "Allow fewer in flight (`link.in_flight`): IoT Core takes 100.",
    ),
    "broker/sink-failed": Cause(
        "the pipeline behind the broker failed ({detail})", "Look at the log of the twin in the run's folder."
    ),
    "broker/topic-too-long": Cause(
        "the broker does not take topics of that length ({detail})", "Shorten the topic prefix."
    ),
    "broker/topic-too-deep": Cause(
        "the broker does not take topics of that many levels ({detail})",
        "Use fewer levels in the topic prefix: IoT Core takes 7 slashes.",
    ),
    "broker/topic-reserved": Cause(
        "IoT Core does not take that on a topic that begins with $ ({detail})",
        "Use the topics that `buoy docs twin` lists, or choose a topic prefix that does not begin with $.",
    ),
    "broker/client-id-invalid": Cause(
        "the broker does not take that client id ({detail})",
        "Choose a thing name of at most 128 bytes that does not begin with $.",
    ),
    "broker/protocol-version": Cause(
        "the board speaks a version of MQTT that the broker does not ({detail})",
        "Let the board speak MQTT 3.1.1 or 5.",
    ),
    "broker/connect-timeout": Cause(
        "the board opened a connection and said nothing on it ({detail})",
        "Look at the board's log: it hangs between TCP and CONNECT, or its link is too slow.",
    ),
    "broker/too-many-subscriptions": Cause(
        "the board subscribed to more than a connection may ({detail})",
        "Subscribe to fewer topics, or use wildcards: IoT Core takes 50 subscriptions a connection.",
    ),
    "broker/too-many-filters": Cause(
        "the board put too many filters into one SUBSCRIBE ({detail})",
        "Send several SUBSCRIBEs: IoT Core takes 8 filters in one.",
    ),
    "broker/filter-invalid": Cause(
        "the board subscribed to a filter that is no topic filter ({detail})",
        "Write shared subscriptions as $share/NAME/FILTER, NAME without +, # and /.",
    ),
    "broker/retained-quota": Cause(
        "the broker keeps no more retained messages ({detail})",
        "Publish without retain, or clear retained messages that are no longer needed.",
    ),
    "broker/connection-lost": Cause(
        "the network between board and broker broke ({detail})",
        "Look at the board's radio signal and power, and at what lies between it and the broker.",
    ),
    "broker/server-initiated-disconnect": Cause(
        "the broker closed the connection for reasons of its own ({detail})",
        "Let the board connect again; if it happens often, ask AWS with the time and the client id.",
    ),
    "broker/server-error": Cause(
        "the broker failed inside ({detail})",
        "Send again; if it happens often, ask AWS with the time and the client id.",
    ),
}
