"""The configuration in the named file, or the sentence with which it is refused, as JSON."""

import json
import sys

from lib.config import ConfigError, load

try:
    found = load(sys.argv[1])
except ConfigError as error:
    found = str(error)
print(json.dumps(found))
