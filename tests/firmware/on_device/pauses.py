"""The shortest and the longest pause before each attempt to connect, in milliseconds."""

import json

from app import pause_ms

print(json.dumps([[pause_ms(attempt, 0), pause_ms(attempt, 255)] for attempt in range(10)]))
