"""What the chip runs after power-up: a safe start around the application."""

import gc
import os
import sys
import time

import machine

from lib.serial import say

# A second of samples is the largest thing in memory. Its place is taken before anything else is loaded: afterwards
# nothing so large is left in one piece. For the same reason what is not needed is thrown away early and often.
ROOM = bytearray(6000)
_TIDY_EVERY_BYTES = 8192

# Starts in a row that did not last a minute; after so many a person is waited for instead.
BAD_STARTS = 3
SAFE_S = 600
_COUNT = "starts"


def starts():
    """How many starts in a row have not lasted."""
    try:
        with open(_COUNT) as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0


def remember(count):
    """Keep it over a reset."""
    with open(_COUNT, "w") as file:
        file.write(str(count))


def forget():
    """This start has lasted."""
    try:
        os.remove(_COUNT)
    except OSError:
        pass  # it was never written


def main():
    """Run the application; after repeated bad starts stay reachable over the cable, and try again later."""
    bad = starts()
    if bad >= BAD_STARTS:
        say("start.safe", "%d bad starts in a row; correct the files, or wait %d s for another try" % (bad, SAFE_S))
        forget()
        time.sleep(SAFE_S)
        machine.reset()
    remember(bad + 1)
    gc.threshold(_TIDY_EVERY_BYTES)
    try:
        import app

        app.run(ROOM, on_healthy=forget)
    except Exception as error:
        sys.print_exception(error)
        say("start.failed", "%r; the chip is reset" % error)
    time.sleep(1)  # long enough to be read
    machine.reset()


main()
