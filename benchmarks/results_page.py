"""docs/results.md and the README's figures, made from benchmarks/results/*.json.

    python benchmarks/results_page.py [--check]

Each file needs a section in claims/, which says which of its figures are claims.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import fill

from arguments import parser
from claims import SECTIONS
from claims.claim import Claim, Result, Section

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "results.md"
README = ROOT / "README.md"
BEGIN, END = "<!-- made by benchmarks/results_page.py -->\n", "<!-- end -->"
"""Marks around the generated lines of the README."""
HEAD = """# Results

Every figure that we claim, each from a file in `benchmarks/results/`. Do not edit this page:
`python benchmarks/results_page.py` writes it, and a test compares it with the files.
[The log](log.md) says why things are as they are, and what did not work. Intervals are 95 %
intervals unless the column says otherwise; a dash means that the file has none.

Most runs shared two CPU cores with other work: "load before" is the machine's load before the run.
A commit that ends in `-dirty` had changes that were not committed.
"""


def page() -> str:
    """The whole page.

    Raises:
        ValueError: A result file has no section; every measurement must be shown, including bad ones.
    """
    files = {str(path.relative_to(RESULTS)) for path in RESULTS.rglob("*.json")}
    if unshown := files - {section.file for section in SECTIONS}:
        raise ValueError(f"no section shows {', '.join(sorted(unshown))}: add one to a file in benchmarks/claims/")
    return "\n".join([HEAD, *(line for section in SECTIONS for line in written(section))])


def readme(text: str) -> str:
    """The README with its figures updated from the files."""
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"README.md has no lines between {BEGIN.strip()!r} and {END!r}")
    return f"{before}{BEGIN}{''.join(limits())}{END}{after}"


def limits() -> Iterator[str]:
    """The lines of the README's limits that contain figures."""
    made, judge, agent = (_read(name) for name in ("staged_questions", "judge_pairs", "from_corpus_to_agent"))
    near = judge["packaged prompt"]["held-out"]["wrong answers"]
    trials = ", ".join(f"{one['accepted']} of {one['of']} at {steps}" for steps, one in made["pooled"].items())
    sound = min(made["sound_by_reader"], key=lambda one: one["accepted"])
    corpora = len({one["corpus"] for one in made["runs"]})
    gains = {domain: _gain(agent["versus"][domain]) for domain in ("in", "out")}
    yield _item(
        f"**The embedded model is for trying things out.** Over {corpora} corpora the seeds that gave an item were "
        f"{trials} search steps; {sound['accepted']} of {sound['of']} items are sound, as the stricter of two readers "
        f"found. As a judge it recognised {near['right calls']} of {near['pairs']} wrong answers that were "
        "close to the right one. Use a capable endpoint for data that counts."
    )
    yield _item(
        f"**Training is shown on a small scale only.** A model of 135M weights learnt to search real text from "
        f"questions that code composes: exact match on countries held out rose {_real_text()}. Questions of the SAGE "
        f"game were trained on in a toy world too: {gains['in']:+.2f} on questions like them, {gains['out']:+.2f} on "
        "plain ones."
    )


def _real_text() -> str:
    """What training on real text gained, by the number of hops."""
    told: list[str] = []
    for hops in (1, 2):
        pairs = {
            one["pair"]: one for one in _read("real_text")["pooled"] if (one["hops"], one["part"]) == (hops, "test")
        }
        if (plain := pairs.get("A to B")) is None:
            continue
        change = f"from {plain['A']:.2f} to {plain['B']:.2f} at {hops} hop{'s' * (hops > 1)}"
        seeds = f"{plain['seeds']} seed{'s' * (plain['seeds'] > 1)}"
        game = f"; {pairs['A to C']['C']:.2f} on questions chosen by the SAGE game" if "A to C" in pairs else ""
        told.append(f"{change} ({seeds}{game})")
    return " and ".join(told)


def _gain(comparisons: list[Result]) -> float:
    (one,) = [one for one in comparisons if (one["group"], one["first"], one["second"]) == ("all", "untrained", "sage")]
    return one["comparison"]["difference"]["mean"]


def _item(text: str) -> str:
    return f"{fill(text, 120, initial_indent='- ', subsequent_indent='  ')}\n"


def _read(name: str) -> Result:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def written(section: Section) -> Iterator[str]:
    """The lines of one section."""
    result: Result = json.loads((RESULTS / section.file).read_text(encoding="utf-8"))
    yield f"## {section.title}\n\n{fill(section.about, 100)}\n"
    yield "| claim | figure | interval |\n|---|---|---|"
    yield from (row(claim) for claim in section.claims(result))
    yield f"\n{origin(result)} File: `benchmarks/results/{section.file}`.\n"


def row(claim: Claim) -> str:
    """A claim as a row of a table."""
    return f"| {claim.what} | {claim.figure} | {claim.interval} |"


def origin(result: Result) -> str:
    """The command, date, commit and machine of a result."""
    commit = f"commit {result['commit']}" if "commit" in result else "commit not recorded"
    machine = result.get("machine")
    if machine is None:
        where = f"{result['device']}, torch {result['torch']}"
    else:
        cores = f"{machine['cores']} core{'s' * (machine['cores'] > 1)}"
        where = f"{machine['cpu']}, {cores}, Python {machine['python']}, load before {machine['load_before']}"
    return f"Command: `{result['command']}`\n\n{result['date'][:10]}, {commit}. {where}."


def main() -> None:
    """Write the page, or compare it."""
    options = parser(__doc__)
    options.add_argument("--check", action="store_true", help="only compare; exit with 1 if they differ")
    check = options.parse_args().check
    made = page()
    if not check:
        PAGE.write_text(made, encoding="utf-8")
        README.write_text(readme(README.read_text(encoding="utf-8")), encoding="utf-8")
        return
    shown = README.read_text(encoding="utf-8")
    if (PAGE.read_text(encoding="utf-8"), shown) != (made, readme(shown)):
        sys.exit("docs/results.md or README.md does not agree with the files: run python benchmarks/results_page.py")


if __name__ == "__main__":
    main()
