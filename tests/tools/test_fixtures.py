"""The shared fixtures do what tests rely on."""

import subprocess


def test_a_message_passes_through_the_brokers_own_clients(mosquitto):
    address = ["-h", "127.0.0.1", "-p", str(mosquitto.port), "-t", "t", "-q", "1"]
    subprocess.run([mosquitto.pub, *address, "-r", "-m", "hello"], check=True, timeout=100)
    seen = subprocess.run(
        [mosquitto.sub, *address, "-C", "1", "-W", "5"], check=True, timeout=100, capture_output=True
    )
    assert seen.stdout == b"hello\n"


def test_a_broker_comes_back_on_its_port(start_mosquitto):
    broker = start_mosquitto()
    port, pid = broker.port, broker.pid
    broker.stop()
    broker.start()
    assert broker.port == port
    assert broker.pid != pid


def test_extra_lines_belong_to_the_brokers_listener(start_mosquitto, tmp_path):
    passwords = tmp_path / "passwords"
    passwords.write_text("")
    broker = start_mosquitto([f"password_file {passwords}", "allow_anonymous false"])
    refused = subprocess.run(
        [broker.pub, "-h", "127.0.0.1", "-p", str(broker.port), "-t", "t", "-m", "x"],
        timeout=100,
        capture_output=True,
        text=True,
    )
    assert refused.returncode != 0
    assert "not authorised" in refused.stderr.lower()


def test_the_micropython_is_new_enough(micropython):
    done = subprocess.run(
        [micropython, "-c", "import sys; print(sys.implementation.version >= (1, 24))"],
        check=True,
        timeout=100,
        capture_output=True,
    )
    assert done.stdout == b"True\n"
