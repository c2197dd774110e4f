import io
import threading
from pathlib import Path

from rich.console import Console

from questwell.assets import console_progress, exclusive, home


def test_home_is_the_named_folder_else_the_users_cache(monkeypatch):
    monkeypatch.setenv("QUESTWELL_HOME", "~/qw")
    assert home() == Path.home() / "qw"
    monkeypatch.delenv("QUESTWELL_HOME")
    assert home().name == "questwell"


def test_the_second_waits_for_the_first(tmp_path):
    order = []
    held = threading.Event()
    leave = threading.Event()

    def first():
        with exclusive(tmp_path / "lock"):
            held.set()
            leave.wait()
            order.append("first")

    def second():
        with exclusive(tmp_path / "lock"):
            order.append("second")

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    try:
        threads[0].start()
        held.wait()
        threads[1].start()
        threads[1].join(timeout=0.3)
        assert order == []
    finally:
        leave.set()
    for thread in threads:
        thread.join()
    assert order == ["first", "second"]


def lines_of(**options):
    out = io.StringIO()
    with console_progress("file", console=Console(file=out), **options) as progress:
        for done in range(0, 2_000_001, 10_000):
            progress(done, 2_000_000)
    return out.getvalue().splitlines()


def test_elsewhere_than_on_a_terminal_progress_is_eleven_plain_lines():
    lines = lines_of()
    assert len(lines) == 11
    assert lines[-1] == "file: 2 MB (100 %)"
    assert lines_of(unit="passages")[1] == "file: 200,000 passages (10 %)"


def test_a_step_that_does_nothing_shows_nothing_on_a_terminal():
    out = io.StringIO()
    with console_progress("file", console=Console(file=out, force_terminal=True)):
        pass
    assert out.getvalue() == ""
