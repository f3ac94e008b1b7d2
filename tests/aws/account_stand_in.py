"""An AWS account on loopback, as far as tests need one. It is a stand-in, not AWS:

- moto in server mode answers for IoT's registry, S3, CloudWatch, Logs, Kinesis, Firehose, STS;
- what moto does not do (Timestream queries, connections and retained messages of IoT, Service Quotas and
  Lambda's configuration) is answered here, in the shapes of botocore's service models;
- the twin stands in for IoT Core's endpoint (mutual TLS, policies) and for what lies behind it: whenever the
  table is asked, what the twin's stores hold by then is copied to where AWS has it.
"""

import asyncio
import atexit
import base64
import datetime
import io
import json
import re
import threading
import time
import urllib.parse
import urllib.request
import zipfile
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from buoyfleet.cloud.local.s3 import list_objects
from buoyfleet.cloud.local.target import LocalTarget
from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.fleet import TargetSpec, TwinSpec
from buoyfleet.model.stage_count import StageCount
from buoyfleet.model.store import SCHEMA

REGION = "us-west-2"
ACCOUNT = "123456789012"
NAME = "buoytest"
BUCKET = f"{NAME}-{ACCOUNT}-{REGION}"
PREFIX = f"{NAME}/0"
PAGE_ROWS = 1000
_EVER = (0, 1 << 62)


@cache
def moto_server() -> str:
    """moto's address: one server for all tests of this process, as moto keeps its accounts in the process."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from moto.iot.models import IoTBackend
    from moto.server import ThreadedMotoServer

    # moto makes a key for each certificate, to sign it. One key does: serial numbers differ.
    sign = IoTBackend._generate_certificate_pem
    signing_key = rsa.generate_private_key(65537, 2048)
    IoTBackend._generate_certificate_pem = lambda self, domain_name, subject, key=None: sign(
        self, domain_name, subject, key or signing_key
    )
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    atexit.register(server.stop)
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}"


@cache
def _client(service: str) -> Any:
    import boto3

    session = boto3.session.Session(
        aws_access_key_id="testing", aws_secret_access_key="testing", region_name=REGION
    )
    return session.client(service, endpoint_url=moto_server())


TIMESTREAM_CLOSED = (
    "Only existing Timestream for LiveAnalytics customers can access the service. "
    "Reach out to AWS support, for more information."
)
"""What AWS says since 2025-06-20, with the code of a missing permission (public reports)."""


class AccountStandIn:
    """Everything that a run with target `aws` talks to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        moto = moto_server()
        reset = urllib.request.Request(f"{moto}/moto-api/reset", method="POST")
        urllib.request.urlopen(reset, timeout=100).close()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        own = f"http://127.0.0.1:{self._http.server_address[1]}"
        self.environment = {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": str(folder / "no-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(folder / "no-credentials"),
            "AWS_ENDPOINT_URL": moto,
            **{
                f"AWS_ENDPOINT_URL_{name}": own
                for name in ("TIMESTREAM_QUERY", "IOT_DATA_PLANE", "SERVICE_QUOTAS", "LAMBDA")
            },
        }
        self.queries: list[str] = []
        self.retained: dict[str, bytes] = {}
        self.lock = threading.Lock()
        """Of `retained`: requests come in threads."""
        self.connections: dict[str, dict[str, Any]] = {}
        self.quotas: dict[str, float] = {}
        self.denied: set[str] = set()
        """Operations that are answered with AccessDenied."""
        self.timestream_closed = False
        """As in an account that never used Timestream for LiveAnalytics."""
        self.pipeline: Pipeline | None = None
        self.functions: dict[str, dict[str, Any]] = {}
        """Name → the answer to GetFunction."""
        self.code: dict[str, bytes] = {}
        """Name → deployment package."""

    def client(self, service: str) -> Any:
        """boto3's client of the account."""
        return _client(service)

    def make_resources(self) -> None:
        """What the pipeline's template makes, as far as moto knows it."""
        self.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        self.client("kinesis").create_stream(StreamName=NAME, ShardCount=1)
        self.client("firehose").create_delivery_stream(
            DeliveryStreamName=NAME,
            ExtendedS3DestinationConfiguration={
                "RoleARN": f"arn:aws:iam::{ACCOUNT}:role/firehose",
                "BucketARN": f"arn:aws:s3:::{BUCKET}",
                "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 60},
            },
        )
        for kind in ("timestream", "kinesis"):
            self.make_rule(f"{NAME}_{kind}", f"SELECT * FROM '{PREFIX}/+/data/#'", kind)

    def make_rule(self, name: str, sql: str, kind: str, *, table: str = "measures") -> None:
        """A topic rule with one action."""
        role = f"arn:aws:iam::{ACCOUNT}:role/rules"
        actions: dict[str, dict[str, Any]] = {
            "timestream": {
                "roleArn": role,
                "databaseName": NAME,
                "tableName": table,
                "dimensions": [{"name": "buoy_id", "value": "${topic(3)}"}],
            },
            "kinesis": {"roleArn": role, "streamName": NAME, "partitionKey": "${newuuid()}"},
        }
        self.client("iot").create_topic_rule(
            ruleName=name, topicRulePayload={"sql": sql, "actions": [{kind: actions[kind]}]}
        )

    def make_things(self, things: dict[str, dict[str, str]]) -> None:
        """Things of the pipeline's type with these attributes."""
        iot = self.client("iot")
        iot.create_thing_type(thingTypeName=NAME)
        for name, attributes in things.items():
            iot.create_thing(thingName=name, thingTypeName=NAME, attributePayload={"attributes": attributes})

    def make_function(self, name: str, files: dict[str, str], **configuration: Any) -> str:
        """A Lambda function with its code, as GetFunction has it; its ARN."""
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
        package = io.BytesIO()
        with zipfile.ZipFile(package, "w") as archive:
            for file, text in files.items():
                archive.writestr(file, text)
        self.code[name] = package.getvalue()
        self.functions[name] = {
            "Configuration": {"FunctionName": name, "FunctionArn": arn, **configuration},
            "Code": {"Location": f"{self.environment['AWS_ENDPOINT_URL_LAMBDA']}/code/{name}"},
        }
        return arn

    def close(self) -> None:
        """End everything."""
        if self.pipeline is not None:
            self.pipeline.close()
        self._http.shutdown()
        self._http.server_close()

    # -- answers -------------------------------------------------------------------------------------------

    def query(self, body: dict[str, Any]) -> dict[str, Any]:
        """Timestream's Query, by DuckDB over what the twin holds."""
        text, _, offset = body.get("NextToken", "").rpartition("|")
        if not text:
            text = body["QueryString"]
            self.queries.append(text)
            if self.pipeline is not None and "count(*)" in text:
                self.pipeline.copy(self)
        columns, rows = self._answer(text)
        start = int(offset or 0)
        page = rows[start : start + PAGE_ROWS]
        answer: dict[str, Any] = {
            "QueryId": "stand-in",
            "ColumnInfo": [{"Name": name, "Type": {"ScalarType": "VARCHAR"}} for name in columns],
            "Rows": [{"Data": [_datum(value) for value in row]} for row in page],
            "QueryStatus": {"CumulativeBytesScanned": 100, "CumulativeBytesMetered": 10_000_000},
        }
        if start + PAGE_ROWS < len(rows):
            answer["NextToken"] = f"{text}|{start + PAGE_ROWS}"
        return answer

    def _answer(self, text: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        kinds = ("double", "bigint", "boolean", "varchar")
        if text.startswith("DESCRIBE"):
            names = ["buoy_id", "measure_name", "time", *(f"measure_value::{kind}" for kind in kinds)]
            return ["Column"], [(name,) for name in names]
        table = self.pipeline.table() if self.pipeline is not None else SCHEMA.empty_table()
        with duckdb.connect() as db:
            db.register("stored", table)
            db.execute("CREATE MACRO to_milliseconds(x) AS x")
            db.execute("CREATE MACRO from_milliseconds(x) AS x")
            db.execute("""
                CREATE VIEW measures AS SELECT buoy::VARCHAR AS buoy_id, measure AS measure_name,
                    timestamp_ms AS time,
                    CASE type WHEN 'DOUBLE' THEN value END AS double_value,
                    CASE type WHEN 'BIGINT' THEN value::BIGINT END AS bigint_value,
                    CASE type WHEN 'BOOLEAN' THEN value <> 0 END AS boolean_value,
                    CASE type WHEN 'VARCHAR' THEN text END AS varchar_value
                FROM stored
            """)
            sql = re.sub(r"measure_value::(\w+)", r"\1_value", text).replace(f'"{NAME}".', "")
            cursor = db.execute(sql)
            names = [column[0] for column in cursor.description or []]
            return names, cursor.fetchall()


def _datum(value: Any) -> dict[str, Any]:
    if value is None:
        return {"NullValue": True}
    return {"ScalarValue": str(value).lower() if isinstance(value, bool) else str(value)}


def _handler(account: AccountStandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _send(self, status: int, document: Any, error: str = "") -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(body)))
            if error:
                self.send_header("x-amzn-ErrorType", error)
            self.end_headers()
            self.wfile.write(body)

        def _refuse(self, operation: str, message: str = "") -> bool:
            if not message and operation not in account.denied:
                return False
            message = message or f"User: tester is not authorized to perform: {operation}"
            self._send(403, {"__type": "AccessDeniedException", "message": message}, "AccessDeniedException")
            return True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            target = self.headers.get("X-Amz-Target", "")
            url = urllib.parse.urlsplit(self.path)
            if url.path.startswith("/topics/"):
                topic = urllib.parse.unquote(url.path.removeprefix("/topics/"))
                if self._refuse("Publish"):
                    return
                with account.lock:
                    account.retained.pop(topic, None)
                    if body:
                        account.retained[topic] = body
                self._send(200, {})
            elif self._refuse(target.rpartition(".")[2]):
                return
            elif account.timestream_closed and target.startswith("Timestream_"):
                self._refuse(target, TIMESTREAM_CLOSED)
            elif target == "Timestream_20181101.Query":
                self._send(200, account.query(json.loads(body)))
            elif target == "ServiceQuotasV20190624.GetServiceQuota":
                asked = json.loads(body)
                if asked["QuotaCode"] not in account.quotas:
                    self._send(400, {"__type": "NoSuchResourceException", "Message": "no such quota"})
                    return
                quota = {"QuotaCode": asked["QuotaCode"], "Value": account.quotas[asked["QuotaCode"]]}
                self._send(200, {"Quota": quota})
            else:
                self._send(400, {"__type": "UnknownOperationException", "message": target})

        def do_GET(self) -> None:
            url = urllib.parse.urlsplit(self.path)
            path = urllib.parse.unquote(url.path)
            if path.startswith("/connections/"):
                known = account.connections.get(path.removeprefix("/connections/"))
                if not self._refuse("GetConnection"):
                    self._answer(known)
            elif path == "/retainedMessage":
                with account.lock:
                    topics = [
                        {"topic": topic, "payloadSize": len(data)} for topic, data in account.retained.items()
                    ]
                if not self._refuse("ListRetainedMessages"):
                    self._send(200, {"retainedTopics": topics})
            elif path.startswith("/retainedMessage/"):
                topic = path.removeprefix("/retainedMessage/")
                payload = base64.b64encode(account.retained.get(topic, b"")).decode()
                self._send(200, {"topic": topic, "payload": payload, "qos": 1})
            elif "/functions/" in path and not path.endswith("/configuration"):
                if not self._refuse("GetFunction"):
                    self._answer(account.functions.get(path.rpartition(":function:")[2].split(":")[0]))
            elif path.startswith("/code/"):
                body = account.code[path.removeprefix("/code/")]
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            elif "/functions/" in path:
                self._send(200, {"FunctionName": "datatransform", "Timeout": 3, "MemorySize": 128})
            else:
                self._answer(None)

        def _answer(self, document: dict[str, Any] | None) -> None:
            if document is None:
                self._send(404, {"message": "there is none"}, "ResourceNotFoundException")
            else:
                self._send(200, document)

        def log_message(self, *_: Any) -> None:
            """Nothing is printed."""

    return Handler


class Pipeline:
    """A twin with mutual TLS in a thread of its own, as IoT Core and what lies behind it."""

    def __init__(self, folder: Path, twin: TwinSpec, things: tuple[tuple[str, int], ...]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._folder = folder
        self._lock = threading.Lock()
        self._uploaded: set[str] = set()
        self._closing = threading.Event()
        self._copier: threading.Thread | None = None
        self._told: dict[tuple[str, str], float] = {}
        self._logged = False
        self._table = SCHEMA.empty_table()
        self._target = LocalTarget(
            TargetSpec("local", twin=twin), folder, topic_prefix=PREFIX, limits="aws", things=things
        )
        self.endpoint: Endpoint = self._run(self._target.start())

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    @property
    def certificates(self) -> Path:
        """Folder of the things' certificates and keys, and `ca.pem`."""
        assert self.endpoint.tls is not None
        return Path(self.endpoint.tls.ca).parent

    def table(self) -> Any:
        """What Timestream held when it was copied last."""
        return self._table

    def copy(self, account: AccountStandIn) -> None:
        """Bring the twin's stores, counters and log lines to where an account has them."""
        with self._lock:
            self._run(self._target.drain(0, 5, lambda _: None))
            live = self._run(self._target.counts())
            if not live.received:
                return
            out = self._folder / "copied"
            buoys = frozenset(range(1000))
            collected = self._run(self._target.collect(out, *_EVER, buoys))
            parts = sorted((out / "stores" / "timestream").glob("*.parquet"))
            if parts:
                self._table = pq.read_table(parts, schema=SCHEMA)
            bucket = self._target.folder / "s3"
            for info in list_objects(bucket):
                if info.key not in self._uploaded:
                    self._uploaded.add(info.key)
                    body = (bucket / info.key).read_bytes()
                    account.client("s3").put_object(Bucket=BUCKET, Key=info.key, Body=body)
            self._tell(account, {stage.name: stage for stage in collected.stages})

    def _tell(self, account: AccountStandIn, stages: dict[str, StageCount]) -> None:
        """Metrics are written once, with what the stages have counted so far beyond it."""
        metrics = account.client("cloudwatch")
        for (namespace, name), (value, dimensions) in _cloudwatch(stages).items():
            known = self._told.get((namespace, name), 0.0)
            if value > known:
                self._told[namespace, name] = value
                metrics.put_metric_data(
                    Namespace=namespace,
                    MetricData=[
                        {
                            "MetricName": name.split()[0],
                            "Value": value - known,
                            "Timestamp": datetime.datetime.now(datetime.UTC),
                            "Dimensions": [{"Name": key, "Value": text} for key, text in dimensions],
                        }
                    ],
                )
        lines = [note for note in stages["lambda"].notes if "timed out" in note]
        if lines and not self._logged:
            self._logged = True
            logs = account.client("logs")
            group = f"/aws/lambda/{NAME}-datatransform"
            logs.create_log_group(logGroupName=group)
            logs.create_log_stream(logGroupName=group, logStreamName="s")
            message = "2026-11-26T02:00:00Z 0000 Task timed out after 3.00 seconds"
            logs.put_log_events(
                logGroupName=group,
                logStreamName="s",
                logEvents=[{"timestamp": int(time.time() * 1000), "message": message}],
            )

    def keep_copying(self, account: AccountStandIn) -> None:
        """Copy again and again until it is closed, where no query of Timestream makes it happen."""

        def copy() -> None:
            while not self._closing.wait(0.3):
                self.copy(account)

        self._copier = threading.Thread(target=copy, daemon=True)
        self._copier.start()

    def close(self) -> None:
        """End the twin and the thread."""
        self._closing.set()
        if self._copier is not None:
            self._copier.join(20)
        self._run(self._target.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


def _cloudwatch(
    stages: dict[str, StageCount],
) -> dict[tuple[str, str], tuple[float, tuple[tuple[str, str], ...]]]:
    """The stages' counters under AWS's names and dimensions."""
    mqtt = (("Protocol", "MQTT"),)
    stream, delivery = (("StreamName", NAME),), (("DeliveryStreamName", NAME),)
    function = (("FunctionName", f"{NAME}-datatransform"),)
    found: dict[tuple[str, str], tuple[float, tuple[tuple[str, str], ...]]] = {
        ("AWS/IoT", "PublishIn.Success"): (stages["broker"].left, mqtt),
    }
    for kind, rule in (("timestream", 0), ("kinesis", 1)):
        matched = [
            value
            for label, value in stages["rules"].metrics.items()
            if label.startswith("AWS/IoT TopicMatch {")
        ]
        dimensions = (("RuleName", f"{NAME}_{kind}"),)
        found["AWS/IoT", f"TopicMatch {kind}"] = (matched[rule], dimensions)
    for stage, namespace, dimensions in (
        ("kinesis", "AWS/Kinesis", stream),
        ("firehose", "AWS/Firehose", delivery),
        ("lambda", "AWS/Lambda", function),
    ):
        for label, value in stages[stage].metrics.items():
            if label.startswith(namespace):
                found[namespace, label.removeprefix(f"{namespace} ")] = (value, dimensions)
    return found
