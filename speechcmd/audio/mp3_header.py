"""How many frames an mp3 says it has, and what to say where that is not so.

The first frame may be a note (`Xing` or `Info`) of how many frames and bytes follow. Without one, decoders
guess from the bit rate of the first frames, which is wrong where the rate varies, and read no further.
Layout of the note: LAME's VbrTag.c, the "Xing VBR header" of the MP3 Tech FAQ.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

_MOST_FRAMES = 2**31 - 1
_LEAST_COVERED = 0.95  # of the file: tags and filling at the end are no frames
_TAG_BYTES = 10
_FRAMES, _BYTES = 1, 2  # flags of the note
_LAYER_3 = 1
_MONO = 3
# Hz by version (2.5, reserved, 2, 1) and index
_RATES_HZ = {0: (11_025, 12_000, 8_000), 2: (22_050, 24_000, 16_000), 3: (44_100, 48_000, 32_000)}
_KBIT_INDEX = 9
_KBIT = {0: 80, 2: 80, 3: 128}


def mp3_head(look: Callable[[int, int], bytes], size: int) -> tuple[bytes, int] | None:
    """A head with which a decoder goes on to the end, and how many bytes it replaces; None without need.

    `look(position, n_bytes)` gives bytes of the file, `size` is its length. For what is no mp3: None.
    """
    first = _behind_tag(look(0, _TAG_BYTES))
    frame = look(first, 4 + 32 + 16)
    note_at = _note_position(frame)
    if note_at is None:
        return None
    if frame[36:40] == b"VBRI":
        return None
    if frame[note_at : note_at + 4] not in (b"Xing", b"Info"):
        return look(0, first) + _note(frame), first
    flags, n_frames, n_bytes = struct.unpack_from(">III", frame, note_at + 4)
    if not flags & _FRAMES:
        return None
    is_covered = not flags & _BYTES or n_bytes >= _LEAST_COVERED * (size - first)
    if n_frames and is_covered:
        return None
    n_replaced = first + note_at + 12
    return look(0, n_replaced - 4) + struct.pack(">I", _MOST_FRAMES), n_replaced


def _behind_tag(start: bytes) -> int:
    """Where the first frame is: behind an ID3 tag, if there is one."""
    if not start.startswith(b"ID3") or len(start) < _TAG_BYTES:
        return 0
    length = 0
    for part in start[6:10]:  # seven bits each
        length = length << 7 | part & 0x7F
    has_footer = start[5] & 0x10
    return _TAG_BYTES + length + (_TAG_BYTES if has_footer else 0)


def _note_position(frame: bytes) -> int | None:
    """Where in a frame of layer III the note would stand; None if it is no such frame."""
    if len(frame) < 52 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0:
        return None
    version, layer = frame[1] >> 3 & 3, frame[1] >> 1 & 3
    bit_rate, rate = frame[2] >> 4, frame[2] >> 2 & 3
    if version not in _RATES_HZ or layer != _LAYER_3 or bit_rate in (0, 15) or rate == 3:
        return None
    is_mono = frame[3] >> 6 == _MONO
    if version == 3:
        return 4 + (17 if is_mono else 32)
    return 4 + (9 if is_mono else 17)


def _note(frame: bytes) -> bytes:
    """A frame without sound that says: more frames follow than anybody has."""
    version, rate = frame[1] >> 3 & 3, frame[2] >> 2 & 3
    n_bytes = (144 if version == 3 else 72) * _KBIT[version] * 1000 // _RATES_HZ[version][rate]
    header = bytes([0xFF, frame[1] | 1, _KBIT_INDEX << 4 | rate << 2, frame[3]])  # no checksum, no filling
    position = _note_position(frame) or 0
    note = header + bytes(position - 4) + b"Xing" + struct.pack(">II", _FRAMES, _MOST_FRAMES)
    return note.ljust(n_bytes, b"\0")
