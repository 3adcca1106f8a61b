"""The wire format of protobuf, in which ONNX files are written: numbered fields, each a number or bytes.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator

from speechcmd.errors import ModelError

Value = int | memoryview

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FULL = 2**64


def read_fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """Yield number and value of each field; nothing is copied.

    Raises
    ------
    ModelError
        If the bytes are no whole message.
    """
    position = 0
    while position < len(message):
        tag, position = read_varint(message, position)
        number, wire_type = tag >> 3, tag & 7
        if number == 0:
            raise damaged()
        if wire_type == _VARINT:
            whole, position = read_varint(message, position)
            yield number, whole
            continue
        length, position = _length_of(message, position, wire_type)
        if length > len(message) - position:
            raise damaged()
        yield number, message[position : position + length]
        position += length


def read_varint(message: memoryview, position: int) -> tuple[int, int]:
    """A whole number and the position after it."""
    whole = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise damaged()
        byte = message[position]
        position += 1
        whole |= (byte & 0x7F) << shift
        if byte < 0x80:
            return whole, position
    raise damaged()


def read_signed(whole: int) -> int:
    """An int64 as it was meant: negative ones are written as their two's complement."""
    return whole - _FULL if whole >= _FULL // 2 else whole


def write_field(number: int, value: int | bytes | memoryview | str) -> bytes:
    """One field: whole numbers as varints, everything else with its length."""
    if isinstance(value, int):
        return _write_varint(number << 3 | _VARINT) + _write_varint(value % _FULL)
    content = value.encode() if isinstance(value, str) else bytes(value)
    return _write_varint(number << 3 | _BYTES) + _write_varint(len(content)) + content


def as_message(value: Value) -> memoryview:
    """The value as bytes.

    Raises
    ------
    ModelError
        If it is a number.
    """
    if isinstance(value, int):
        raise damaged()
    return value


def as_text(value: Value) -> str:
    """The value as text.

    Raises
    ------
    ModelError
        If it is none.
    """
    try:
        return bytes(as_message(value)).decode("utf-8")
    except UnicodeDecodeError:
        raise damaged() from None


def damaged() -> ModelError:
    """The error of bytes that are no model."""
    return ModelError("not an ONNX model, or a damaged one", advice="export or copy it again")


def _length_of(message: memoryview, position: int, wire_type: int) -> tuple[int, int]:
    if wire_type == _BYTES:
        return read_varint(message, position)
    if wire_type == _FIXED64:
        return 8, position
    if wire_type == _FIXED32:
        return 4, position
    raise damaged()


def _write_varint(whole: int) -> bytes:
    written = bytearray()
    while whole > 0x7F:
        written.append(whole & 0x7F | 0x80)
        whole >>= 7
    written.append(whole)
    return bytes(written)
