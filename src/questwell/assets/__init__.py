"""Public files, fetched by name and trusted by content.

`assemble` is the door: it returns the path of a file with a known SHA-256, from the cache or from the first of
several sources that can give it.
"""

from questwell.assets.cache import exclusive, home
from questwell.assets.fetch import assemble, cached
from questwell.assets.progress import Progress, console_progress
from questwell.assets.sources import Deb, HubFile, LocalFile, Source, Wheels

__all__ = [
    "Deb",
    "HubFile",
    "LocalFile",
    "Progress",
    "Source",
    "Wheels",
    "assemble",
    "cached",
    "console_progress",
    "exclusive",
    "home",
]
