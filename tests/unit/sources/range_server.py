"""A web server on the loopback that serves bytes from any position on, breaks connections, and counts what it sent."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """What is served, how, and what was asked for."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    """Bytes after which the next answers break off, one entry an answer; then they come whole."""
    ranges: bool = True
    asked: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    """Answers wait for it, once they have sent `held_after` bytes."""
    held_after: int = 0
    sent: list[int] = field(default_factory=list)
    """Bytes of content sent, one entry an answer."""


@contextmanager
def running_site() -> Iterator[Site]:
    site = Site()
    site.released.set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(site))
    site.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._start()

        def do_GET(self) -> None:
            body = self._start()
            if body is not None:
                body = body[: site.cuts.pop(0)] if site.cuts else body
                self.wfile.write(body[: site.held_after])
                site.asked.set()
                site.released.wait(60)
                self.wfile.write(body[site.held_after :])
                site.sent.append(len(body))
                self.close_connection = True

        def _start(self) -> bytes | None:
            """Send the head of the answer; return the bytes that belong to it."""
            content = site.files.get(self.path.partition("?")[0])
            if content is None:
                self.send_error(404)
                return None
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")) if site.ranges else None
            start = int(wanted[1]) if wanted else 0
            end = int(wanted[2]) + 1 if wanted and wanted[2] else len(content)
            if wanted and start >= len(content):
                self.send_error(416)
                return None
            body = content[start:end]
            self.send_response(206 if wanted else 200)
            if wanted:
                self.send_header("Content-Range", f"bytes {start}-{start + len(body) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", f'"{md5(content).hexdigest()}"')
            self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/octet-stream")
            self.end_headers()
            return body

        def log_message(self, *_: object) -> None:
            pass

    return Handler
