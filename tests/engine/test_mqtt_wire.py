"""The wire between paho and its socket: few calls to the system, and every byte in its order."""

import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.engine.sources.mqtt_wire import Wire


class Narrow:
    """A socket that takes so many bytes of each call, by turns, and none at a zero."""

    def __init__(self, takes: list[int], gives: list[bytes]) -> None:
        self.takes, self.gives, self.took, self.calls = takes, gives, b"", 0

    def send(self, data: bytes) -> int:
        size = self.takes.pop(0) if self.takes else len(data)
        if not size:
            raise BlockingIOError
        self.took += data[:size]
        return min(size, len(data))

    def recv(self, size: int) -> bytes:
        self.calls += 1
        if not self.gives:
            raise BlockingIOError
        return self.gives.pop(0)

    def close(self) -> None:
        self.gives = [b""]

    def fileno(self) -> int:
        return -1

    def setblocking(self, flag: bool) -> None:
        assert not flag


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.binary(min_size=1, max_size=9)), st.lists(st.integers(0, 4), max_size=20))
def test_what_is_sent_leaves_whole_and_in_order_however_little_the_network_takes(
    sent: list[bytes], takes: list[int]
) -> None:
    narrow = Narrow(takes, [])
    wire = Wire(narrow)
    assert [wire.send(data) for data in sent] == [len(data) for data in sent]
    assert b"".join(sent).startswith(narrow.took)
    while narrow.takes:
        narrow.takes.pop(0)
    wire.flush()
    assert narrow.took == b"".join(sent)


def test_many_small_packets_are_read_with_one_call() -> None:
    narrow = Narrow([], [b"abcdef", b"gh"])
    wire = Wire(narrow)
    assert [wire.recv(size) for size in (1, 2, 9)] == [b"a", b"bc", b"def"]
    assert (narrow.calls, wire.pending()) == (1, 0)
    assert (wire.recv(1), wire.pending()) == (b"g", 1)
    assert wire.recv(1) == b"h"
    with pytest.raises(BlockingIOError):
        wire.recv(1)
    wire.close()
    assert wire.recv(1) == b"", "the end of the connection"


def test_messages_are_answered_in_one_piece() -> None:
    here, there = socket.socketpair()
    with here, there:
        Wire(here).acknowledge([1, 0xFFFE])
        assert there.recv(100) == b"\x40\x02\x00\x01\x40\x02\xff\xfe"


def test_a_connection_that_is_gone_is_told() -> None:
    here, there = socket.socketpair()
    with here:
        there.close()
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            Wire(here).send(b"x")
