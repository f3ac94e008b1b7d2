"""Fleet provisioning by claim and by signing request, with AWS's own client on the wire."""

import itertools
import json
import queue
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from gateway_bench import DEADLINE_S, TwinBench

from buoyfleet.cloud.local.broker.authority import Principal
from buoyfleet.cloud.local.things import Services
from buoyfleet.cloud.local.things.provisioning_template import Template, TemplateError
from buoyfleet.model.errors import UsageError
from buoyfleet.model.twin import ProvisioningSpec, TwinTls

# The guide's example, with a thing of its own name and a policy that lets it publish.
TEMPLATE = {
    "Parameters": {
        "SerialNumber": {"Type": "String"},
        "DeviceLocation": {"Type": "String", "Default": "Oslo"},
    },
    "Mappings": {
        "LocationTable": {"Seattle": {"LocationUrl": "https://example.aws"}, "Oslo": {"LocationUrl": "-"}}
    },
    "Resources": {
        "thing": {
            "Type": "AWS::IoT::Thing",
            "Properties": {
                "AttributePayload": {"version": "v1", "serialNumber": {"Ref": "SerialNumber"}},
                "ThingName": {"Fn::Join": ["", ["buoy-", {"Ref": "SerialNumber"}]]},
                "ThingTypeName": {"Fn::Select": ["0", {"Fn::Split": ["-", "buoy-x"]}]},
                "ThingGroups": ["v1-lightbulbs", "WA"],
                "BillingGroup": "LightBulbBillingGroup",
            },
            "OverrideSettings": {
                "AttributePayload": "MERGE",
                "ThingTypeName": "REPLACE",
                "ThingGroups": "DO_NOTHING",
            },
        },
        "certificate": {
            "Type": "AWS::IoT::Certificate",
            "Properties": {"CertificateId": {"Ref": "AWS::IoT::Certificate::Id"}, "Status": "Active"},
        },
        "policy": {
            "Type": "AWS::IoT::Policy",
            "Properties": {
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Action": ["iot:Connect"],
                            "Resource": ["arn:aws:iot:us-east-1:1:client/${iot:Connection.Thing.ThingName}"],
                        },
                        {
                            "Effect": "Allow",
                            "Action": ["iot:Publish"],
                            "Resource": [
                                "arn:aws:iot:us-east-1:1:topic/${iot:Connection.Thing.Attributes[serialNumber]}"
                            ],
                        },
                    ],
                }
            },
        },
    },
    "DeviceConfiguration": {
        "FallbackUrl": "https://www.example.com/test-site",
        "LocationUrl": {"Fn::FindInMap": ["LocationTable", {"Ref": "DeviceLocation"}, "LocationUrl"]},
        "Greeting": {"Fn::Sub": ["Hello ${Name} ${SerialNumber}", {"Name": "buoy"}]},
    },
}
HOOK = """
def lambda_handler(event, context):
    assert event["templateArn"].endswith(":provisioningtemplate/hooked") and event["claimCertificateId"]
    if event["parameters"]["SerialNumber"] == "crash":
        raise RuntimeError("as asked")
    known = event["parameters"]["SerialNumber"].isdecimal()
    return {"allowProvisioning": known, "parameterOverrides": {"DeviceLocation": "Seattle"}}
"""
NUMBERS = itertools.count()
CREATE, FROM_REQUEST = "$aws/certificates/create/json", "$aws/certificates/create-from-csr/json"


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwinBench]:
    """A twin with two templates, one of them with a hook."""
    folder = tmp_path_factory.mktemp("provisioning")
    (folder / "template.json").write_text(json.dumps(TEMPLATE))
    (folder / "hook.py").write_text(HOOK)
    body, hook = str(folder / "template.json"), str(folder / "hook.py")
    specs = (ProvisioningSpec("open", body), ProvisioningSpec("hooked", body, hook))
    bench = TwinBench(folder, tls=TwinTls(), provisioning=specs)
    yield bench
    bench.close()


class Device:
    """paho with a certificate."""

    def __init__(self, twin: TwinBench, client_id: str, certificate: Path, key: Path) -> None:
        self.got: queue.Queue[tuple[str, Any]] = queue.Queue()
        context = ssl.create_default_context(cafile=twin.ca)
        context.load_cert_chain(certificate, key)
        self.paho = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id, protocol=paho.MQTTv5, reconnect_on_failure=False
        )
        self.paho.tls_set_context(context)
        put = self.got.put
        self.paho.on_connect = lambda *args: put(("connect", str(args[3])))
        self.paho.on_subscribe = lambda *args: put(("subscribe", str(args[3][0])))
        self.paho.on_publish = lambda *args: put(("publish", str(args[3])))
        self.paho.on_message = lambda *args: put((args[2].topic, json.loads(args[2].payload)))
        self.paho.connect("localhost", twin.port)
        self.paho.loop_start()

    def next(self, kind: str) -> Any:
        """The next of its kind; what else comes is passed over."""
        while True:
            found, value = self.got.get(timeout=DEADLINE_S)
            if found == kind:
                return value

    def ask(self, topic: str, body: Any) -> tuple[str, Any]:
        """A request, and how it ended."""
        self.paho.subscribe(f"{topic}/+", 1)
        assert self.next("subscribe") == "Granted QoS 1"
        self.paho.publish(topic, b"" if body is None else json.dumps(body), 1)
        while True:
            found, value = self.got.get(timeout=DEADLINE_S)
            if found.startswith(topic):
                return found.rpartition("/")[2], value

    def close(self) -> None:
        """Hang up."""
        self.paho.disconnect()
        self.paho.loop_stop()


@pytest.fixture
def claim(twin: TwinBench) -> Iterator[Device]:
    """A device with the claim certificate."""
    certs = twin.folder / "certs"
    device = Device(twin, f"new-{next(NUMBERS)}", certs / "claim.pem", certs / "claim.key")
    assert device.next("connect") == "Success"
    yield device
    device.close()


def register(device: Device, template: str, token: str, **parameters: str) -> tuple[str, Any]:
    """RegisterThing."""
    body = {"certificateOwnershipToken": token, "parameters": parameters}
    return device.ask(f"$aws/provisioning-templates/{template}/provision/json", body)


def test_a_device_gets_a_certificate_becomes_a_thing_and_connects_as_it(
    twin: TwinBench, claim: Device, tmp_path: Path
) -> None:
    ending, made = claim.ask(CREATE, None)
    assert ending == "accepted"
    assert set(made) == {"certificateId", "certificatePem", "privateKey", "certificateOwnershipToken"}
    key = serialization.load_pem_private_key(made["privateKey"].encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 2048
    (tmp_path / "device.pem").write_text(made["certificatePem"])
    (tmp_path / "device.key").write_text(made["privateKey"])
    files = tmp_path / "device.pem", tmp_path / "device.key"
    early = Device(twin, "early", *files)
    assert early.next("connect") != "Success", "it is not active before RegisterThing"
    early.close()
    ending, said = register(claim, "open", made["certificateOwnershipToken"], SerialNumber="2001")
    assert (ending, said["thingName"]) == ("accepted", "buoy-2001")
    assert said["deviceConfiguration"] == {
        "FallbackUrl": "https://www.example.com/test-site",
        "LocationUrl": "-",
        "Greeting": "Hello buoy 2001",
    }
    device = Device(twin, "buoy-2001", *files)
    assert device.next("connect") == "Success"
    device.paho.publish("2001", b"{}", 1)
    assert device.next("publish") == "Success"
    device.close()
    thing = twin.call(lambda: twin.twin.registry.thing("buoy-2001"))  # type: ignore[union-attr]
    assert thing is not None
    assert (thing.type_name, thing.attributes) == ("buoy", {"version": "v1", "serialNumber": "2001"})
    # A token is good for one time.
    again = register(claim, "open", made["certificateOwnershipToken"], SerialNumber="2001")
    assert (again[0], again[1]["errorCode"]) == ("rejected", "InvalidCertificateOwnershipToken")


def signing_request(key: Any) -> str:
    """PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "of the board")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def test_a_device_keeps_its_key_and_a_hook_decides(claim: Device) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    ending, made = claim.ask(FROM_REQUEST, {"certificateSigningRequest": signing_request(key)})
    assert ending == "accepted"
    assert set(made) == {"certificateId", "certificatePem", "certificateOwnershipToken"}
    certificate = x509.load_pem_x509_certificate(made["certificatePem"].encode())
    assert certificate.public_key() == key.public_key()
    assert certificate.subject.rfc4514_string() == "CN=of the board"
    for serial in ("unknown", "crash"):
        ending, said = register(claim, "hooked", made["certificateOwnershipToken"], SerialNumber=serial)
        assert (ending, said["statusCode"], said["errorCode"]) == ("rejected", 403, "AccessDenied")
    ending, said = register(claim, "hooked", made["certificateOwnershipToken"], SerialNumber="7")
    assert (ending, said["deviceConfiguration"]["LocationUrl"]) == ("accepted", "https://example.aws")


@pytest.mark.parametrize(
    ("topic", "body", "code"),
    [
        (FROM_REQUEST, {"certificateSigningRequest": "none"}, "InvalidCertificateSigningRequest"),
        (FROM_REQUEST, [], "InvalidJson"),
        ("$aws/provisioning-templates/open/provision/json", {}, "InvalidCertificateOwnershipToken"),
        (
            "$aws/provisioning-templates/open/provision/json",
            {"certificateOwnershipToken": "x", "parameters": {"SerialNumber": 7}},
            "InvalidParameters",
        ),
    ],
)
def test_what_it_cannot_take_is_rejected_in_the_form_of_aws(
    claim: Device, topic: str, body: Any, code: str
) -> None:
    ending, said = claim.ask(topic, body)
    assert (ending, set(said)) == ("rejected", {"statusCode", "errorCode", "errorMessage"})
    assert (said["statusCode"], said["errorCode"]) == (400, code)


def test_a_missing_parameter_is_named_as_aws_names_it(claim: Device) -> None:
    _, made = claim.ask(CREATE, {})
    ending, said = register(claim, "open", made["certificateOwnershipToken"])
    assert (ending, said["errorCode"]) == ("rejected", "InvalidParameters")
    assert said["errorMessage"] == "Cannot resolve reference value: SerialNumber"


def test_a_certificate_that_nobody_provisions_is_deleted_after_an_hour(
    twin: TwinBench, claim: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, made = claim.ask(CREATE, {})
    service = twin.twin.services._provisioning
    assert service is not None
    known = twin.twin.registry._certificates  # type: ignore[union-attr]
    assert made["certificateId"] in known
    real = service._utc_s
    monkeypatch.setattr(service, "_utc_s", lambda: real() + 3600)
    ending, said = register(claim, "open", made["certificateOwnershipToken"], SerialNumber="1")
    assert (ending, said["errorCode"]) == ("rejected", "InvalidCertificateOwnershipToken")
    assert made["certificateId"] not in known


def test_the_claim_certificate_may_nothing_else(claim: Device) -> None:
    claim.paho.publish("aws/0/100/data/", b"{}", 1)
    assert claim.next("publish") == "Not authorized"


def test_a_twin_without_templates_says_so() -> None:
    assert "has no template of fleet provisioning" in Services().publish_problem(CREATE)
    assert "in CBOR" in Services().publish_problem("$aws/certificates/create/cbor")


def test_requests_to_services_that_are_not_there_are_counted() -> None:
    services = Services()
    services.request("$aws/things/buoy-1/jobs/get", b"", Principal("buoy-1"))
    services.request("$aws/things/buoy-1/streams/s/get/json", b"{}")
    assert [note.split(",")[0] for note in services.notes] == ["1 requests to jobs", "1 requests to streams"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"Resource": {}}, "unknown section 'Resource'"),
        ({"Resources": {"a": {"Type": "AWS::IoT::Role"}}}, "`Type` is 'AWS::IoT::Role'"),
        ({"Resources": {"t": TEMPLATE["Resources"]["thing"]}}, "one certificate"),  # type: ignore[index]
        (
            {"Resources": {"p": {"Type": "AWS::IoT::Policy", "Properties": {}}}},
            "`PolicyName` or `PolicyDocument`",
        ),
    ],
)
def test_a_template_that_aws_would_not_take_is_refused(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    (tmp_path / "t.json").write_text(json.dumps({**TEMPLATE, **change}))
    with pytest.raises(UsageError, match=words):
        Template("t", str(tmp_path / "t.json"))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ({"Fn::Select": ["7", ["a"]]}, "Fn::Select"),
        ({"Fn::FindInMap": ["LocationTable", "Rome", "LocationUrl"]}, "Fn::FindInMap"),
        ({"Fn::GetAtt": ["a", "b"]}, "there is no function Fn::GetAtt"),
        ({"Ref": "AWS::Region"}, "Cannot resolve reference value: AWS::Region"),
    ],
)
def test_a_function_that_cannot_be_resolved_is_named(tmp_path: Path, function: Any, words: str) -> None:
    (tmp_path / "t.json").write_text(json.dumps({**TEMPLATE, "DeviceConfiguration": {"a": function}}))
    with pytest.raises(TemplateError, match=words):
        Template("t", str(tmp_path / "t.json")).apply({"SerialNumber": "1"}, "c")
