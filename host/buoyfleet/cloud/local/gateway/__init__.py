"""IoT Core's device gateway beside plain MQTT: HTTPS, WebSocket, signatures and custom authorizers.

`front` is light and always there; the rest is loaded with the first client that needs it.
"""
