"""A loopback server of the documented batch API: POST /v1/files, POST, GET and list of /v1/batches, files' contents.

Each batch is worked on when it is asked for the first time; `plan` says what becomes of it.
"""

import http.server
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

Reply = Callable[[dict], tuple[int, object] | str]
"""(status, body) of a call, or the code of the error for which it was not made."""


@dataclass
class Made:
    """A batch."""

    id: str
    asked: dict
    status: str = "in_progress"
    output: str | None = None
    error: str | None = None
    answered: int = 0


@dataclass
class Plan:
    """How the server behaves."""

    reply: Reply
    ends: str = "completed"
    ready: bool = True
    """False: batches stay in progress."""
    loses_answers: int = 0
    """So many answers to POST /batches are lost: the batch is made, and the connection breaks."""
    pages: bool = True
    """False: the list of batches ignores `after`, and gives its first page for ever."""
    batches: list[Made] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    live: int = 0
    """Calls that came to /chat/completions."""
    seen: Callable[[], None] = lambda: None
    """Called when a batch was made, before its answer is sent."""
    uploaded: Callable[[], None] = lambda: None
    """Called when a file was uploaded, before its answer is sent."""
    lists: Callable[[], int] = lambda: 200
    """Status of the answer to the list of batches; 204: an empty list, as if they were not listed yet."""
    refuses: int = 0
    """Status of the answer to every question for one batch; 0: it is answered."""
    counts: bool = False
    """Whether a batch says how many calls it answered."""
    drops: int = 0
    """So many lines are missing at the end of the file of answers."""
    most_bytes: int = 200_000_000
    """Limit of a file."""

    def calls(self) -> list[dict]:
        """Every call of every batch."""
        return [
            json.loads(line) for one in self.batches for line in self.files[one.asked["input_file_id"]].splitlines()
        ]

    def work(self, made: Made) -> None:
        if made.status != "in_progress" or not self.ready:
            return
        good, bad = [], []
        for line in self.files[made.asked["input_file_id"]].splitlines():
            call = json.loads(line)
            said = self.reply(call["body"])
            row = {"id": "r", "custom_id": call["custom_id"], "response": None, "error": None}
            if isinstance(said, str):
                bad.append(row | {"error": {"code": said, "message": "This request could not be executed."}})
            else:
                response = {"status_code": said[0], "request_id": "q", "body": said[1]}
                (good if said[0] == 200 else bad).append(row | {"response": response})
        made.status = self.ends
        if self.ends != "failed":
            made.answered = len(good)
            kept = good[::-1][: len(good) - self.drops]
            made.output, made.error = self.put(_lines(kept)), self.put(_lines(bad))

    def put(self, content: bytes) -> str | None:
        name = f"file-{len(self.files)}"
        self.files[name] = content
        return name if content else None


def _lines(rows: list[dict]) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def shown(made: Made, counts: bool) -> dict:
    counted = {"request_counts": {"total": made.answered, "completed": made.answered, "failed": 0}} if counts else {}
    return counted | {
        "id": made.id, "object": "batch", "endpoint": made.asked["endpoint"], "status": made.status,
        "errors": {"object": "list", "data": [{"message": "bad line"}]} if made.status == "failed" else None,
        "input_file_id": made.asked["input_file_id"], "completion_window": made.asked["completion_window"],
        "output_file_id": made.output, "error_file_id": made.error, "metadata": made.asked["metadata"],
    }  # fmt: skip


@contextmanager
def serving(plan: Plan) -> Iterator[str]:
    """The address, ending in /v1, while the block runs."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"]))
            if self.path == "/v1/files":
                assert b'name="purpose"\r\n\r\nbatch\r\n' in raw
                mark = re.search(r"boundary=(\S+)", self.headers["content-type"])[1].encode()
                part = next(one for one in raw.split(b"--" + mark) if b'name="file"' in one)
                content = part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
                if len(content) > plan.most_bytes:
                    self._send({"error": {"message": "the file is too large"}}, 413)
                    return
                name = plan.put(content)
                plan.uploaded()
                self._send({"id": name, "object": "file", "purpose": "batch"})
            elif self.path == "/v1/batches":
                asked = json.loads(raw)
                assert asked["completion_window"] == "24h" and asked["input_file_id"] in plan.files
                made = Made(f"batch_{len(plan.batches)}", asked)
                plan.batches.append(made)
                plan.seen()
                if plan.loses_answers:
                    plan.loses_answers -= 1
                    self.close_connection = True
                    return
                self._send(shown(made, plan.counts))
            else:
                plan.live += 1
                self._send({"error": {"message": "only batches here"}}, 400)

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            if url.path == "/v1/batches":
                if (status := plan.lists()) != 200:
                    self._send({"object": "list", "data": [], "has_more": False}, 200 if status == 204 else status)
                    return
                query = parse_qs(url.query)
                newest = plan.batches[::-1]
                start = next((n + 1 for n, one in enumerate(newest) if one.id == query.get("after", [""])[0]), 0)
                start = start if plan.pages else 0
                page = newest[start : start + 2]  # small pages, whatever the limit
                more = start + 2 < len(newest)
                self._send({"object": "list", "data": [shown(one, plan.counts) for one in page], "has_more": more})
            elif found := re.fullmatch(r"/v1/batches/(\w+)", url.path):
                if plan.refuses:
                    self._send({"error": {"message": "No batch found, or no access."}}, plan.refuses)
                    return
                made = next(one for one in plan.batches if one.id == found[1])
                plan.work(made)
                self._send(shown(made, plan.counts))
            else:
                self._raw(plan.files[url.path.split("/")[3]])

        def _send(self, body: object, status: int = 200) -> None:
            self._raw(json.dumps(body).encode(), status)

        def _raw(self, content: bytes, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
