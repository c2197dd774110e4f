"""What the players of the demo write: scripted text for three seeds of the corpus `islands`.

Only their text is scripted. Searches, verdicts, feedback and the run file are real.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pair:
    """A question as the proposer writes it."""

    thought: str
    question: str
    answer: str
    steps: tuple[tuple[str, str, str], ...]
    """Query, answer, and title of the supporting passage of each step."""


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt of the solver."""

    queries: tuple[str, ...]
    answer: str


@dataclass(frozen=True, slots=True)
class Part:
    """The play of one seed."""

    seed: str
    """Title of the seed passage."""
    queries: tuple[str, ...]
    """Queries that the proposer makes first."""
    pairs: tuple[Pair, ...]
    """The first question and its repairs; the proposer gives up after the last."""
    tries: tuple[tuple[Try, ...], ...]
    """Attempts at each of `pairs`, repeated if more are needed."""


_BRIDGE = Try(
    (
        "Who designed the lighthouse on Gannet Rock?",
        "bridge designed by Ines Marlow",
        "steam ferry Tern ran aground and sank",
    ),
    "1889",
)

PARTS = (
    Part(
        "Gannet Light",
        ("Ines Marlow", "bridge designed by Ines Marlow", "steam ferry Tern"),
        (
            Pair(
                "The lighthouse leads to its engineer, and she to a bridge with a date.",
                "In which year was the bridge of the engineer Ines Marlow over Arrow Sound opened?",
                "1894",
                (
                    ("lighthouse on Gannet Rock, engineer", "Ines Marlow", "Gannet Light"),
                    ("best known work of Ines Marlow", "Tern Bridge", "Ines Marlow"),
                    ("Tern Bridge opened", "1894", "Tern Bridge"),
                ),
            ),
            Pair(
                "The question named the engineer and the strait, so one search was enough. I describe both by what "
                "leads to them, and go one step further: to the ferry that the bridge is named after.",
                "In which year did the ferry sink after which a bridge was named that the designer of the lighthouse "
                "on Gannet Rock built?",
                "1889",
                (
                    ("lighthouse on Gannet Rock, designer", "Ines Marlow", "Gannet Light"),
                    ("bridge designed by Ines Marlow", "Tern Bridge, named after the ferry Tern", "Tern Bridge"),
                    ("ferry Tern sank", "1889", "Tern (steam ferry)"),
                ),
            ),
        ),
        (
            (Try(("bridge of the engineer Ines Marlow over Arrow Sound opened",), "1894"),),
            (
                _BRIDGE,
                Try(("ferry after which a bridge was named", "ferry sold in 1894"), "1894"),
                _BRIDGE,
                Try(("lighthouse on Gannet Rock", "Ines Marlow bridge", "Tern Bridge", "ferry Tern sank"), "1889"),
            ),
        ),
    ),
    Part(
        "Leta Orme",
        ("Comet Orme last seen", "Casper Wynn lenses", "Gannet Light keeper"),
        (
            Pair(
                "From the comet to its telescope, to the man who made the lens, to where he worked before.",
                "In which tower did the man once work who ground the lens through which the comet was discovered that "
                "two thousand people watched from a beach in 1997?",
                "Gannet Light",
                (
                    ("comet watched from a beach in 1997", "Comet Orme", "Comet Orme"),
                    ("lens of the telescope that found Comet Orme", "Casper Wynn", "Leta Orme"),
                    ("Casper Wynn before his workshop", "Gannet Light", "Casper Wynn"),
                ),
            ),
        ),
        (
            (
                Try(
                    ("comet watched from a beach in 1997", "Who discovered Comet Orme, lens", "Casper Wynn"),
                    "Gannet Light",
                ),
                Try(
                    ("comet two thousand people beach 1997", "Comet Orme telescope lens", "Casper Wynn lens keeper"),
                    "Gannet Light",
                ),
            ),
        ),
    ),
    Part(
        "Quill Prize",
        ("Marta Venn", "Lifeboat of Port Arrow", "Skerry Farm"),
        (
            Pair(
                "The prize leads to the coxswain, she to the farm where she was born.",
                "Which animal is bred on the farm where the coxswain was born who saved all aboard the ferry Tern?",
                "Skerry ewe",
                (
                    ("prize for the rescue of the ferry Tern", "Marta Venn", "Quill Prize"),
                    ("Marta Venn born", "Skerry Farm", "Marta Venn"),
                    ("Skerry Farm breeds", "Skerry ewe", "Skerry Farm"),
                ),
            ),
        ),
        (
            (
                Try(("coxswain who saved all aboard the ferry Tern", "Marta Venn", "Skerry Farm breeds"), "sheep"),
                Try(("rescue of the ferry Tern", "coxswain Marta Venn born"), "herring"),
            ),
        ),
    ),
)
"""Plays in the order in which the demo draws their seeds."""

GIVES_UP = "The solvers' answer is as good as mine, and nothing else here leads on. I have no better question."
