"""The machine's clock is set; a file `time.unset` in the plant's folder is a time server that does not answer."""

import plant

host = None


def settime():
    assert host
    if plant.is_so("time.unset"):
        raise OSError(110)
