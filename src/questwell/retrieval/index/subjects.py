"""`Subjects`: finds the names in a query that are subjects of passages, so that an entry is found by its own name.

BM25 alone puts passages that mention a name often before a long one about it: a search for "Modula-2" found five other
entries first.
"""

import math
import re
from collections.abc import Iterator

import tantivy

from questwell.retrieval.index.analysis import Terms
from questwell.retrieval.index.manifest import SUBJECT, TEXT
from questwell.text.unicode import without_surrogates

WEIGHT = 1.0
"""Weight of a name that is a passage's subject, relative to its words in the text. On 300 MuSiQue questions 0.3, 0.5
and 1 give a recall@5 of 53.0, 53.2 and 54.0 % (52.5 without); recall@10 is 59.2 with 1 (59.8)."""
LONGEST = 8
"""Maximum number of words of such a name."""
MOST_WORDS = 64
"""Number of words of a query that are read; the rest is ignored."""
_WORD = re.compile(r"[^\W\d_]\.(?:\w\.)+|\w(?:\S*\w)?(?:[+#!]+)?")
"""Words as they are written in names, without punctuation around them: "Modula-2", "C++", "U.S."."""


class Subjects:
    """The subjects of an opened index."""

    def __init__(self, schema: tantivy.Schema, searcher: tantivy.Searcher, terms: Terms) -> None:
        self._schema = schema
        self._searcher = searcher
        self._terms = terms

    def named_in(self, query: str) -> Iterator[tantivy.Query]:
        """Yield a query for each name in `query` that is a subject; its score is that of the name's rare words."""
        words = list(_WORD.finditer(query.casefold()))[:MOST_WORDS]
        for first, word in enumerate(words):
            for last in words[first : first + LONGEST]:
                name = without_surrogates(word.string[word.start() : last.end()])
                if self._searcher.doc_freq(SUBJECT, name):
                    score = WEIGHT * sum(map(self._rarity, self._terms.of_name(name)))
                    named = tantivy.Query.term_query(self._schema, SUBJECT, name)
                    yield tantivy.Query.const_score_query(named, score)

    def _rarity(self, term: str) -> float:
        """The weight of a term in BM25 by the number of passages that contain it."""
        holding, passages = self._searcher.doc_freq(TEXT, term), self._searcher.num_docs
        return math.log(1 + (passages - holding + 0.5) / (holding + 0.5))
