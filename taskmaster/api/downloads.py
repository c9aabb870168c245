"""A response whose content is a file, sent piece by piece."""

from collections.abc import Iterator
from typing import IO

from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header

PIECE = 256 * 1024


class Download(StreamingHttpResponse):
    """A file as it is, under a type that no browser would run. It is closed with the response.

    `tag` is the ETag; `name` is what the file is to be saved as, and must be printable.
    """

    def __init__(self, file: IO[bytes], *, size: int, name: str, tag: str) -> None:
        super().__init__(self.pieces(), content_type="application/octet-stream")
        self._resource_closers.append(file.close)  # type: ignore[attr-defined]
        self.file, self.size = file, size
        self["Content-Length"] = str(size)
        self["Content-Disposition"] = content_disposition_header(True, name)
        self["ETag"] = tag
        self["X-Content-Type-Options"] = "nosniff"

    def piece(self) -> bytes:
        """The next piece, empty at the end; never more in all than was announced."""
        return self.file.read(min(PIECE, self.size - self.file.tell()))

    def pieces(self) -> Iterator[bytes]:
        """All pieces."""
        while piece := self.piece():
            yield piece

    def keep_open(self) -> None:
        """Let the response be closed, and with it what it holds of the database, but not the file."""
        self._resource_closers.remove(self.file.close)  # type: ignore[attr-defined]
