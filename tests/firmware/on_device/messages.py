"""A ring that is filled, freed, cut off and filled again: the messages that it sends, and at the end what it holds.

One order a line on standard input: ["hold", count, at_ms] (the first of them at that time, one a millisecond),
["take", limit], ["free", boot or null, through], ["again"], ["restart", boot, capacity], ["spill"], and ["tear"]
(half a record is left at the end of the newest file). One answer a line for each but hold, again, spill and tear.
"""

import json
import os
import sys

import flash
from lib.store import Ring

NAMES = ("vibration_rms_g", "temperature_c")
NOW_MS = 1763800000000 + 3600000

flash.mount(sys.argv[1], int(sys.argv[2]))
ring = None


def tear():
    with open("ring/" + max(os.listdir("ring")), "ab") as file:
        file.write(b"\x00\x01\x02")


for line in sys.stdin:
    order, *given = json.loads(line)
    if order == "restart":
        ring = Ring("ring", given[0], NAMES, given[1])
        print(len(ring))
    elif order == "hold":
        for at in range(given[0]):
            seq = ring.next_seq
            # Every fourth time the thermometer is silent.
            ring.hold(given[1] + at, (seq / 8, None if seq % 4 == 3 else 20 + seq / 8))
    elif order == "take":
        batch = ring.take(given[0])
        print("null" if batch is None else "".join(batch.message(NOW_MS)))
    elif order == "free":
        print(ring.free(given[0] or ring.boot, given[1]))
    elif order == "again":
        ring.send_again()
    elif order == "spill":
        ring.spill()
    elif order == "tear":
        tear()
print(json.dumps({"held": len(ring), "dropped": ring.dropped, "files": sorted(os.listdir("ring"))}))
