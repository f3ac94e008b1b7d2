"""A double of `esp32.NVS`: what is not committed is lost at `power_cut`."""

NOT_FOUND = -0x1102


class Nvs:
    def __init__(self):
        self.flash = {}
        self.values = {}
        self.commits = 0

    def get_i32(self, key):
        return self._get(key)

    def set_i32(self, key, value):
        assert len(key) <= 15
        self.values[key] = value

    def get_blob(self, key, buffer):
        data = self._get(key)
        buffer[: len(data)] = data
        return len(data)

    def set_blob(self, key, data):
        assert len(key) <= 15
        self.values[key] = bytes(data)

    def erase_key(self, key):
        self._get(key)
        del self.values[key]

    def commit(self):
        self.commits += 1
        self.flash = dict(self.values)

    def power_cut(self):
        self.values = dict(self.flash)

    def _get(self, key):
        if key not in self.values:
            raise OSError(NOT_FOUND, "ESP_ERR_NVS_NOT_FOUND")
        return self.values[key]
