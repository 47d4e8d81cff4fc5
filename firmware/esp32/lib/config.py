"""Who this device is and how it measures: `config.json` comes with the cable, the settings also come over MQTT."""

import json
import os

# What may be changed from afar: name -> (default, lowest, highest) or (default, choices). What could cut the device off
# (Wi-Fi, broker, names) may not.
SETTINGS = {
    "reading_every_s": (1, 1, 3600),
    "status_every_s": (15, 1, 3600),
    "accel_range_g": (8, (2, 4, 8, 16)),
    # 40 bytes each: a shift of eight hours at one a second is 1.2 MB of the chip's flash.
    "ring_readings": (30000, 10, 30000),
}
# A desired configuration is a few hundred bytes.
_LARGEST = 1024
_LONGEST_ID = 128


class ConfigError(Exception):
    """The file cannot be used; the text says which entry, and what to write there."""


def load(path):
    """The device's file, complete. Raises: ConfigError."""
    try:
        with open(path) as file:
            config = json.load(file)
    except OSError:
        raise ConfigError("there is no %s: copy config.example.json and fill it in" % path)
    except ValueError:
        raise ConfigError("%s is not JSON" % path)
    if not isinstance(config, dict):
        raise ConfigError("%s is not a JSON object" % path)
    for name in ("site", "device"):
        if not _is_name(config.get(name)):
            raise ConfigError("%s: %r must be 1 to 63 letters, digits, '-' or '_'" % (path, name))
    if not config.get("wifi", {}).get("ssid"):
        raise ConfigError("%s: 'wifi' needs an 'ssid', the network's name" % path)
    if not config.get("mqtt", {}).get("host"):
        raise ConfigError("%s: 'mqtt' needs a 'host', such as 192.168.1.10" % path)
    return config


class Settings:
    """What the device measures by: the defaults, and what was set from afar, kept over a power cut."""

    def __init__(self, path):
        self._path = path
        self.values = {name: rule[0] for name, rule in SETTINGS.items()}
        try:
            with open(path) as file:
                kept = json.load(file)
        except (OSError, ValueError):
            kept = {}
        if not isinstance(kept, dict):
            kept = {}
        # What an earlier firmware allowed may not be allowed any more.
        self.values.update({name: kept[name] for name in kept if name in SETTINGS and _fault(name, kept[name]) is None})

    def __getitem__(self, name):
        return self.values[name]

    def change(self, payload):
        """Take a desired configuration, all of it or nothing: returns what to report."""
        given, refused, detail = _read(payload)
        answer = {} if given is None or "id" not in given else {"id": given.pop("id")}
        for name in given or ():
            if refused is None:
                refused, detail = _fault(name, given[name]) or (None, None)
        if refused is None:
            self._keep(given)
        else:
            answer["refused"], answer["detail"] = refused, detail
        answer["config"] = self.values
        return answer

    def _keep(self, given):
        changed = dict(self.values)
        changed.update(given)
        # The retained message comes again with every connection; flash is written only when something is new.
        if changed != self.values:
            replace(self._path, json.dumps(changed))
            self.values = changed


def replace(path, text):
    """The new content or, after a power cut at any moment, the old one."""
    with open(path + ".new", "w") as file:
        file.write(text)
    os.rename(path + ".new", path)


def _read(payload):
    """(object, refused, detail) of a message; the object is None where there is none."""
    if len(payload) > _LARGEST:
        return None, "too_large", "%d bytes; a configuration has at most %d" % (len(payload), _LARGEST)
    try:
        given = json.loads(payload)
    except ValueError:
        return None, "malformed", "not JSON"
    if not isinstance(given, dict):
        return None, "malformed", "not a JSON object"
    if "id" in given and not (isinstance(given["id"], str) and len(given["id"]) <= _LONGEST_ID):
        return None, "malformed", "the id must be a text of at most %d characters" % _LONGEST_ID
    return given, None, None


def _fault(name, value):
    """(code, sentence) why this setting cannot be, or None."""
    rule = SETTINGS.get(name)
    if rule is None:
        return "unknown_setting", "%r is none of: %s" % (name[:40], ", ".join(sorted(SETTINGS)))
    if isinstance(value, bool) or not isinstance(value, int):
        return "wrong_type", "%s must be a whole number" % name
    if isinstance(rule[1], tuple):
        if value not in rule[1]:
            return "out_of_range", "%s must be one of %s" % (name, ", ".join(str(one) for one in rule[1]))
    elif not rule[1] <= value <= rule[2]:
        return "out_of_range", "%s must be %d to %d" % (name, rule[1], rule[2])
    return None


def _is_name(text):
    """May this stand in a topic and in a user name? The rule of the contract."""
    return (
        isinstance(text, str)
        and 0 < len(text) < 64
        and text[0] not in "-_"
        and all(one.isalpha() or one.isdigit() or one in "-_" for one in text)
        and len(text.encode()) == len(text)
    )
