"""The features of a file of samples, as JSON."""

import json
import sys

from lib.features import SAMPLE_BYTES, features

with open(sys.argv[1], "rb") as file:
    raw = file.read()
print(json.dumps(features(raw, len(raw) // SAMPLE_BYTES, int(sys.argv[2]))))
