"""MQTT 3.1.1: packet codec, fleet client, paho client and witness."""
