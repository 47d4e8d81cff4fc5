"""What a device keeps over a power cut: which past it was sending, and which commands it has obeyed."""

from __future__ import annotations

from pathlib import Path

import msgspec

from contract.errors import RondaError

# A command is repeated within seconds, if at all; 64 of them are days of a demonstration.
REMEMBERED_COMMANDS = 64


class FlashError(RondaError):
    """A device's file cannot be read or written."""


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """A back-fill: `rows` readings of `boot` from `first_seq`, one a second from `first_s` (UTC epoch seconds).

    With the device's seed that is all of it: the same readings under the same identities, as often as asked.
    """

    boot: str
    first_seq: int
    first_s: int
    rows: int
    done: bool = False

    @property
    def last_seq(self) -> int:
        """The seq of its newest reading."""
        return self.first_seq + self.rows - 1


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the file. `told_s`: the newest second (UTC epoch) of which a demonstration pump has spoken."""

    past: Past | None = None
    told_s: int = 0
    obeyed: list[str] = []


class Flash:
    """One device's file, written whole or not at all; without a path it forgets when the power is cut."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._memory: Memory | None = None

    @property
    def memory(self) -> Memory:
        """What is remembered. Raises: FlashError for a file that this device did not write."""
        if self._memory is None:
            self._memory = self._read(self._path) if self._path else Memory()
        return self._memory

    def remember_past(self, past: Past) -> None:
        """Keep which back-fill is being sent, before its first reading goes out; or that it is done."""
        self._write(msgspec.structs.replace(self.memory, past=past))

    def remember_told(self, told_s: int) -> None:
        """Keep up to when the pump has spoken, so that no second is told twice."""
        self._write(msgspec.structs.replace(self.memory, told_s=told_s))

    def remember_command(self, command_id: str) -> None:
        """Keep that this command is being obeyed, before anything is done: it happens at most once."""
        obeyed = [*self.memory.obeyed, command_id][-REMEMBERED_COMMANDS:]
        self._write(msgspec.structs.replace(self.memory, obeyed=obeyed))

    def _write(self, memory: Memory) -> None:
        if self._path:
            _replace(self._path, msgspec.json.encode(memory))
        self._memory = memory

    @staticmethod
    def _read(path: Path) -> Memory:
        try:
            return msgspec.json.decode(path.read_bytes(), type=Memory)
        except FileNotFoundError:
            return Memory()
        except (OSError, msgspec.DecodeError) as error:
            raise FlashError(f"cannot read {path}: {error}; delete it to let the device start anew") from error


def _replace(path: Path, content: bytes) -> None:
    """The new content or, after a crash at any moment, the old one."""
    fresh = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(content)
        fresh.replace(path)
    except OSError as error:
        raise FlashError(f"cannot write {path}: {error}") from error
