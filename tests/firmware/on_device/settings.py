"""What a device reports for each desired configuration of standard input, and what it remembers after a restart."""

import json
import sys

from lib.config import Settings

settings = Settings("settings.json")
reports = [settings.change(desired.encode()) for desired in map(json.loads, sys.stdin)]
# The values are one object, which later changes do not reach into.
print(json.dumps({"reports": reports, "kept": Settings("settings.json").values}))
