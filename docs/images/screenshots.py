"""Takes the screenshots of docs/view.md: `python docs/images/screenshots.py RUN`, of a run of generate.

Needs playwright and Chromium, as `make test-browser` installs them.
"""

import shutil
import sys
import threading
import time
from pathlib import Path

import uvicorn
from playwright.sync_api import sync_playwright

from questwell.recipes.reports.items import items
from questwell.view.access import Access
from questwell.view.app import make_app
from questwell.view.site import Site

HERE = Path(__file__).parent
SHOTS = (
    ("overview", "", "light", 1200),
    ("overview", "", "dark", 1200),
    ("items", "items", "dark", 1200),
    ("items", "items", "light", 375),
    ("item", "items/{item}", "light", 1200),
    ("item", "items/{item}", "dark", 375),
)


def main(run: Path) -> None:
    """Serve `run` on a free port, and write one picture per shot next to this file."""
    server = uvicorn.Server(uvicorn.Config(make_app(Site([run], "me"), Access()), port=0, log_level="error"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    item = items(run)[0].id
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, path, scheme, width in SHOTS:
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page.goto(f"http://127.0.0.1:{port}/r/{run.name}/{path.format(item=item)}")
            page.wait_for_load_state("networkidle")
            page.screenshot(path=HERE / f"view-{name}-{scheme}-{width}.png")
        browser.close()
    server.should_exit = True


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
