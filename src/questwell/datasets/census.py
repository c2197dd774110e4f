"""Counts a dataset's items for its manifest, with one item in memory at a time."""

from bisect import insort
from collections import Counter
from collections.abc import Collection, Iterable
from operator import itemgetter

from questwell.datasets.language import frequent, language_of
from questwell.datasets.manifest import Example, SplitCounts
from questwell.datasets.split import documents
from questwell.types.dataset import Item
from questwell.types.gates import Gate
from questwell.types.ids import id_order

_EXAMPLES = 3
_NOT_ASKED = "not asked"


class Census:
    """Counts over all items of a dataset."""

    def __init__(self, splits: Iterable[str], sealed: Collection[str] = (), *, detect: bool = True) -> None:
        """Start with nothing counted.

        Args:
            splits: names of all splits, in the order of the manifest.
            sealed: splits that give no example.
            detect: whether to detect the languages of the questions.
        """
        self._difficulties = {name: Counter[int]() for name in splits}
        self._answer_types = {name: Counter[str]() for name in self._difficulties}
        self._documents = {name: set[str]() for name in self._difficulties}
        self._sealed = sealed
        self._detect = detect
        self._languages = Counter[str | None]()
        self._licences = Counter[str]()
        self._reviews = Counter[str]()
        self._gates = {gate: Counter[str]() for gate in Gate}
        self._first: dict[int, list[tuple[tuple[str, int], Example]]] = {}

    def add(self, split: str, item: Item) -> None:
        """Count an item of a split."""
        self._difficulties[split][item.difficulty] += 1
        self._answer_types[split][str(item.answer_type)] += 1
        self._documents[split] |= documents(item)
        self._licences.update(item.licences or ("unknown",))
        if item.review:
            self._reviews[item.review] += 1
        if self._detect:
            self._languages[language_of(item.question)] += 1
        for gate, outcomes in self._gates.items():
            outcomes[next((one.outcome.value for one in item.gates if one.gate is gate), _NOT_ASKED)] += 1
        if split not in self._sealed:
            first = self._first.setdefault(item.difficulty, [])
            shown = Example(item.question, item.answer, item.difficulty, item.solve_rate)
            insort(first, (id_order(item.id), shown), key=itemgetter(0))
            del first[_EXAMPLES:]

    def splits(self) -> dict[str, SplitCounts]:
        """Return the counts of each split."""
        return {
            name: SplitCounts(
                items=found.total(),
                documents=len(self._documents[name]),
                by_difficulty={str(steps): found[steps] for steps in sorted(found)},
                by_answer_type=dict(sorted(self._answer_types[name].items())),
            )
            for name, found in self._difficulties.items()
        }

    def licences(self) -> dict[str, int]:
        """Return the number of items by licence; an item with several licences counts for each."""
        return dict(sorted(self._licences.items()))

    def reviews(self) -> dict[str, int]:
        """Return the number of items by review decision, without those that nobody reviewed."""
        return dict(sorted(self._reviews.items()))

    def certificates(self) -> dict[str, dict[str, int]]:
        """Return the number of items by outcome, for each gate that ran on any item."""
        return {
            gate.value: dict(found.most_common()) for gate, found in self._gates.items() if set(found) - {_NOT_ASKED}
        }

    def languages(self) -> tuple[str, ...]:
        """Return the languages of the questions, most frequent first; empty if most are unclear."""
        return frequent(self._languages)

    def examples(self) -> list[Example]:
        """Return example items, of different difficulties if possible; the same items give the same examples."""
        rows = [found for _, found in sorted(self._first.items())]
        taken = [found[at] for at in range(_EXAMPLES) for found in rows if at < len(found)][:_EXAMPLES]
        return [example for _, example in taken]
