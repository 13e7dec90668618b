"""Mels that were sent, as long as another call may need them."""

from __future__ import annotations

from collections import deque

from ..v1 import vocoder_pb2 as pb


class Kept:
    """Consecutive pieces of a mel. One thread may add while another forgets."""

    def __init__(self) -> None:
        self.end = 0
        """Frames that came."""
        self._pieces: deque[tuple[int, pb.Mel]] = deque()

    @property
    def first(self) -> int:
        """The frame that the oldest piece begins with."""
        return self._pieces[0][0] if self._pieces else self.end

    def add(self, mel: pb.Mel) -> pb.Mel:
        """Keeps the next piece."""
        self._pieces.append((self.end, mel))
        self.end += mel.n_frames
        return mel

    def at(self, frame: int) -> pb.Mel | None:
        """The piece that begins with `frame`, where it is there."""
        for first, mel in list(self._pieces):
            if first == frame:
                return mel
        return None

    def forget(self, frame: int) -> None:
        """Drops the pieces that end before `frame`, but for the last: it may not be sent yet."""
        while len(self._pieces) > 1 and self._pieces[1][0] <= frame:
            self._pieces.popleft()
