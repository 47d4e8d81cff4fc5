"""Wi-Fi that is always there: the process is on the loopback."""

STA_IF = 0


class WLAN:
    """The station."""

    def __init__(self, interface):
        self._connected = False

    def active(self, on):
        pass

    def connect(self, ssid, password):
        self._connected = True

    def disconnect(self):
        self._connected = False

    def isconnected(self):
        return self._connected

    def ifconfig(self):
        return ("127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1")

    def status(self, what):
        assert what == "rssi"
        return -55
