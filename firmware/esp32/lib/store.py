"""The ring in flash: keeps every reading until the store has it, oldest first, also those of earlier power-ups.

The broker's acknowledgement frees nothing: only the watermark does, which the store publishes after its commit. Full,
the ring drops its oldest reading and counts it. Files of SEGMENT readings: a line of JSON (boot, first seq, names of
the values), then records of equal size. The newest readings wait in memory: while the store confirms within seconds,
the flash is never written.
"""

import json
import math
import os
import struct

from lib.serial import say

# 18 kB a file: few files to list at power-up, and little to keep beyond the ring's size.
SEGMENT = 512
# What a power cut can take of readings that are not confirmed yet; during an outage one write in so many seconds.
IN_MEMORY = 16
# What waited longer than this (an outage) is history: stored and judged, but nobody is called about it.
LATE_MS = 5 * 60 * 1000
# A value that was not measured.
_NONE = float("nan")


class Batch:
    """Readings of one boot that follow each other, to be sent together."""

    def __init__(self, boot, first, names, rows, oldest):
        self.boot, self.first, self.names, self.rows, self.oldest = boot, first, names, rows, oldest

    def message(self, now_ms):
        """The telemetry message, as the contract spells it, in pieces: its whole finds no room in the chip's memory."""
        oldest = "" if self.oldest is None else ',"oldest":%d' % self.oldest
        replayed = ',"replayed":true' if self.rows[-1][0] < now_ms - LATE_MS else ""
        pieces = ['{"boot":"%s"%s%s,"readings":[' % (self.boot, oldest, replayed)]
        pieces += [self._reading(at, row) for at, row in enumerate(self.rows)]
        pieces.append("]}")
        return pieces

    def _reading(self, at, row):
        # Six digits are what a sensor can mean, and what the chip's single-precision numbers hold.
        pairs = zip(self.names, row[1:])
        values = ",".join(['"%s":%.6g' % (name, value) for name, value in pairs if not math.isnan(value)])
        comma = "," if at else ""
        return '%s{"seq":%d,"ts":%d,"values":{%s}}' % (comma, self.first + at, row[0], values)


class _Segment:
    """One file: `count` readings from `first`; those below `start` are stored or dropped."""

    def __init__(self, number, boot, first, names, head_bytes, count):
        self.number, self.boot, self.first, self.names = number, boot, first, names
        self.head_bytes, self.count, self.start = head_bytes, count, first

    @property
    def end(self):
        """The seq behind the last one."""
        return self.first + self.count


class Ring:
    """Of the readings of this boot, `next_seq` counts from 0. Positions are (boot, seq); boots leave in order."""

    def __init__(self, folder, boot, names, capacity):
        self._folder, self.boot, self._names = folder, boot, tuple(names)
        self._record = _record(self._names)
        self.capacity = capacity
        self.next_seq = 0
        self.dropped = 0
        self._segments = _scan(folder)
        self._number = self._segments[-1].number + 1 if self._segments else 0
        self._closed = True  # the newest file takes no more readings
        self._memory = []  # of this boot, the newest
        self._through = -1  # of this boot, the watermark
        self._cursor = None  # (boot, the seq to send next), None: from the oldest

    def __len__(self):
        return sum(segment.end - segment.start for segment in self._segments) + len(self._memory)

    @property
    def under_way(self):
        """Were readings sent that are not known to be stored?"""
        if self._cursor is None or not len(self):
            return False
        boot, seq = self._oldest()
        return self._cursor[0] == boot and self._cursor[1] > seq

    def hold(self, at_ms, values):
        """Keep a reading, measured at `at_ms` (UTC epoch), None for what was not measured; returns its seq."""
        if len(self) >= self.capacity:
            self._drop(len(self) - self.capacity + 1)
        row = struct.pack(self._record, at_ms, *[_NONE if value is None else value for value in values])
        self._memory.append(row)
        self.next_seq += 1
        if len(self._memory) > IN_MEMORY:
            self.spill()
        return self.next_seq - 1

    def take(self, limit):
        """The next Batch to send, at most `limit` readings, or None; they count as under way."""
        if not len(self):
            return None
        boot, oldest = self._oldest()
        seq = oldest
        # The cursor of a boot that is stored to the end says nothing about the next one.
        if self._cursor is not None and self._cursor[0] == boot:
            seq = max(oldest, self._cursor[1])
        names, record, rows = self._read(boot, seq, limit)
        if not rows:
            return None
        self._cursor = (boot, seq + len(rows))
        rows = [struct.unpack(record, row) for row in rows]
        return Batch(boot, seq, names, rows, self._lost_below(boot, oldest))

    def free(self, boot, through):
        """Delete what the store has of this boot; returns how many readings."""
        freed = 0
        for segment in [one for one in self._segments if one.boot == boot]:
            freed += max(0, min(through + 1, segment.end) - segment.start)
            segment.start = max(segment.start, min(through + 1, segment.end))
            if segment.start == segment.end:
                self._remove(segment)
        if boot == self.boot:
            through = min(through, self.next_seq - 1)
            here = max(0, through + 1 - self._memory_first())
            self._memory = self._memory[here:]
            freed += here
            if through < self._through:
                self.send_again()  # of a store restored from a backup
            self._through = through
        return freed

    def send_again(self):
        """Start over behind the watermark: after a reconnect, or when nothing is stored for too long."""
        self._cursor = None

    def spill(self):
        """Write what waits in memory to flash. Flash that is full, or worn out, costs the oldest readings."""
        try:
            while self._memory:
                self._append()
        except OSError as error:
            say("flash.unwritable", error)
            self._closed = True
            oldest = self._segments[0] if self._segments else None
            self._drop(oldest.end - oldest.start if oldest else len(self._memory) - IN_MEMORY)

    def _append(self):
        segment = self._segments[-1] if self._segments else None
        if segment is None or segment.boot != self.boot or segment.count >= SEGMENT or self._closed:
            segment = self._begin()
        rows = self._memory[: SEGMENT - segment.count]
        with open(self._path(segment.number), "ab") as file:
            file.write(b"".join(rows))
        segment.count += len(rows)
        self._memory = self._memory[len(rows) :]

    def _begin(self):
        """A new file, where the memory follows on."""
        head = _head(self.boot, self._memory_first(), self._names)
        segment = _Segment(self._number, self.boot, self._memory_first(), self._names, len(head), 0)
        self._number += 1
        with open(self._path(segment.number), "wb") as file:
            file.write(head)
        self._segments.append(segment)
        self._closed = False
        return segment

    def _oldest(self):
        """(boot, seq) of the oldest reading; asked only while there is one."""
        if self._segments:
            return self._segments[0].boot, self._segments[0].start
        return self.boot, self._memory_first()

    def _lost_below(self, boot, oldest):
        """What to report as `oldest`: readings below it are gone. Of an earlier boot all of them are accounted for."""
        return oldest if boot != self.boot or oldest > self._through + 1 else None

    def _memory_first(self):
        return self.next_seq - len(self._memory)

    def _read(self, boot, seq, limit):
        """(names, record, rows) from this position on, of one file or of the memory."""
        for segment in self._segments:
            if segment.boot == boot and segment.first <= seq < segment.end:
                return self._read_segment(segment, seq, limit)
        if boot != self.boot:
            return self._names, self._record, []
        at = seq - self._memory_first()
        return self._names, self._record, self._memory[at : at + limit]

    def _read_segment(self, segment, seq, limit):
        record = _record(segment.names)
        size = struct.calcsize(record)
        with open(self._path(segment.number), "rb") as file:
            file.seek(segment.head_bytes + (seq - segment.first) * size)
            data = file.read(min(limit, segment.end - seq) * size)
        return segment.names, record, [data[at : at + size] for at in range(0, len(data), size)]

    def _drop(self, count):
        """Lose the oldest readings, and count them."""
        self.dropped += count
        while count > 0 and self._segments:
            segment = self._segments[0]
            here = min(count, segment.end - segment.start)
            segment.start += here
            count -= here
            if segment.start == segment.end:
                self._remove(segment)
        self._memory = self._memory[count:]

    def _remove(self, segment):
        self._segments.remove(segment)
        os.remove(self._path(segment.number))

    def _path(self, number):
        return "%s/%08d" % (self._folder, number)


def _record(names):
    """Milliseconds in 64 bits, each value in 32."""
    return "<q%df" % len(names)


def _head(boot, first, names):
    return (json.dumps({"boot": boot, "first": first, "names": list(names)}) + "\n").encode()


def _scan(folder):
    """The files of earlier power-ups, oldest first; what cannot be read is deleted."""
    try:
        os.mkdir(folder)
    except OSError:
        pass  # it is there
    found = []
    for name in sorted(os.listdir(folder)):
        path = "%s/%s" % (folder, name)
        segment = _segment(path, int(name))
        if segment is None:
            os.remove(path)
        else:
            found.append(segment)
    return found


def _segment(path, number):
    """The file's content without its readings; None for one that was cut before its first reading."""
    with open(path, "rb") as file:
        head = file.readline()
    try:
        known = json.loads(head)
        names = tuple(known["names"])
        # A record that a power cut left half is no reading.
        count = (os.stat(path)[6] - len(head)) // struct.calcsize(_record(names))
        return _Segment(number, known["boot"], known["first"], names, len(head), count) if count else None
    except (ValueError, KeyError):
        return None
