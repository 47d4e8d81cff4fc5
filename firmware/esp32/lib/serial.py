"""What a person with a cable sees: one line a happening, with the seconds since power-up."""

import time

_BEGAN = time.ticks_ms()


def say(happening, detail=""):
    """`happening` is noun.verb, as in the server's logs; `detail` never holds a password."""
    print("[%9.3f] %s %s" % (time.ticks_diff(time.ticks_ms(), _BEGAN) / 1000, happening, detail))
