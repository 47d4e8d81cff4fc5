"""The chip's flash as a file of the machine's: LittleFS writes its blocks there as it would there."""

import os
import vfs

_BLOCK = 4096


class Flash:
    """A block device of the extended kind that LittleFS asks for."""

    def __init__(self, path, blocks):
        self._blocks = blocks
        try:
            self._file = open(path, "r+b")
        except OSError:
            self._file = open(path, "w+b")
            self._file.seek(blocks * _BLOCK - 1)
            self._file.write(b"\xff")

    def readblocks(self, block, buffer, offset=0):
        self._file.seek(block * _BLOCK + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block, buffer, offset=0):
        self._file.seek(block * _BLOCK + offset)
        self._file.write(buffer)
        # What was written survives the death of this process.
        self._file.flush()

    def ioctl(self, operation, argument):
        if operation == 4:
            return self._blocks
        if operation == 5:
            return _BLOCK
        return 0


def mount(path, blocks=512):
    """Mount the file at /flash and go there, as the chip starts in its own root; formatted when it is new."""
    device = Flash(path, blocks)
    try:
        system = vfs.VfsLfs2(device, readsize=256, progsize=256)
    except OSError:
        vfs.VfsLfs2.mkfs(device, readsize=256, progsize=256)
        system = vfs.VfsLfs2(device, readsize=256, progsize=256)
    vfs.mount(system, "/flash")
    os.chdir("/flash")
