"""Downloads public files by name and checks their content by hash.

The entry point is `assemble`: it returns the path of a file with a known SHA-256, from the cache or from the first
source that has it.
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
