"""`LexicalIndex`: searches an index on disk with BM25, and returns its passages. The default retriever.

Many processes can open one index at the same time, without a server. `indexing.py` builds it.
"""

import asyncio
import itertools
import random
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self, TypeVar, cast

import tantivy

from questwell.errors import IndexMismatch, RetrievalError
from questwell.retrieval.corpora.passages import passage_id
from questwell.retrieval.index import reading
from questwell.retrieval.index.analysis import Analyzer, Terms
from questwell.retrieval.index.manifest import (
    FACET,
    ID,
    ORDINAL,
    STORED,
    TEXT,
    TITLE,
    Manifest,
    facet,
    open_files,
    stamp_of,
    unpack,
)
from questwell.retrieval.index.subjects import Subjects
from questwell.retrieval.retriever import DocumentPage, Filter
from questwell.text.unicode import without_surrogates
from questwell.types.corpus import Hit, Passage

RANKING = 6
"""Version of the ranking, part of the retriever's name; increase it if the same index would rank differently."""
POSTINGS = 100_000
"""Maximum number of posting list entries that a query may read; reading them is nearly the whole cost of a query."""
POSTINGS_SHARE = 0.14
"""The maximum in entries per passage, if that is more than `POSTINGS`. A million passages then take 2 ms.
The most common terms of a query are dropped first."""
KEPT = 2
"""Number of the rarest terms of a query that are never dropped."""
MOST_TERMS = 64
"""Maximum number of terms of a query that are searched for; the rarest are kept."""
QUERY_CHARS = 20_000
"""Maximum length of a query in characters; only the beginning of a longer one is read."""
TITLE_WEIGHT = 0.5
"""Weight of the title relative to the text, which contains the title too; best of 0.4, 0.5 and 0.75 on 300 MuSiQue
questions."""
DECIMALS = 4
"""Number of decimals of a score. tantivy adds single-precision numbers in an order that depends on its segments, so
smaller differences count as ties; otherwise ranks would depend on how the index was built."""
SPARE = 64
"""Number of candidates beyond k that are examined, but not loaded, to find the end of a tie at rank k."""
OPENINGS = 5
"""Number of attempts to open an index: it may be updated between reading its manifest and its files."""
INLINE_PASSAGES = 200_000
"""Up to this number of passages a search is faster than passing it to a thread."""
_T = TypeVar("_T")


class Scored(NamedTuple):
    """A passage that was found but not loaded yet."""

    score: float
    ordinal: int
    """Position in the corpus, from 0. It does not depend on how the index was built."""
    address: tantivy.DocAddress


class LexicalIndex:
    """A complete index, opened for searching. Implements `Retriever`."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self._stamp = ""  # stamp of the files when they last were of this snapshot
        self._terms = Terms(manifest.analyzer)
        self._always: dict[str, str | Sequence[str]] = {}
        self._live_before = [ordinal - place for place, ordinal in enumerate(manifest.removed)]
        try:
            self._index = open_files(folder, self._terms)
        except ValueError as error:
            raise RetrievalError(f"index {folder} cannot be opened ({error}): delete it and index again") from error
        self._schema = self._index.schema
        self._searcher = self._index.searcher()
        self._subjects = Subjects(self._schema, self._searcher, self._terms)
        if self._searcher.num_docs != manifest.passages:
            raise RetrievalError(
                f"index {folder} has {self._searcher.num_docs} passages, but its manifest says {manifest.passages}: "
                "delete it and index again"
            )

    @classmethod
    def open(cls, folder: Path, analyzer: Analyzer | None = None) -> Self:
        """Open the index in `folder`.

        Raises:
            IndexMismatch: it was built with another analyser than `analyzer`, or by another version.
            RetrievalError: there is no complete index.
        """
        for _ in range(OPENINGS):
            manifest = Manifest.read(folder)
            if manifest is None:
                raise RetrievalError(f"{folder} contains no complete index: run `questwell index`")
            if analyzer is not None and manifest.analyzer is not analyzer:
                raise IndexMismatch(
                    f"index {folder} was built with analyser {manifest.analyzer.value!r}, not {analyzer.value!r}"
                )
            try:
                opened = cls(folder, manifest)
            except RetrievalError as error:
                opened = error
            if Manifest.read(folder) == manifest:
                if isinstance(opened, RetrievalError):
                    raise opened
                return opened
        raise RetrievalError(f"index {folder} is being updated: try again when that is done")

    @property
    def name(self) -> str:
        """Names corpus, snapshot and version of the ranking."""
        return f"{self.manifest.corpus}@{self.manifest.snapshot}{self.among}/bm25.{RANKING}"

    @property
    def among(self) -> str:
        """The filter of every search as part of the name; empty if there is none."""
        return (
            f"{{{','.join(f'{key}={value}' for key, value in sorted(self._always.items()))}}}" if self._always else ""
        )

    def narrow(self, where: Filter) -> Self:
        """The same index, restricted from now on to passages with the metadata `where`."""
        self._always = dict(where)
        return self

    @property
    def snapshot(self) -> str:
        """Hash of the passages and of the analyser's settings."""
        return self.manifest.snapshot

    def __len__(self) -> int:
        """Number of passages in the index."""
        return self.manifest.passages

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        """At most `k` hits for `query`, best first, as `Retriever.search`."""
        return await self._apart(lambda: self.find(query, k))

    async def search_where(self, queries: Sequence[str], k: int, where: Filter) -> list[tuple[Hit, ...]]:
        """The hits of each query among the passages with the metadata `where`."""
        return await self._apart(lambda: [self.find(query, k, where) for query in queries])

    async def read_page(self, identifier: str, page: int) -> DocumentPage | None:
        """A page of the document of `identifier`, as `DocumentReader.read_page`."""
        return await self._apart(lambda: reading.read_page(self, identifier, page))

    async def find_in(self, identifier: str, query: str, k: int) -> tuple[Hit, ...] | None:
        """The best passages inside the document of `identifier`, as `DocumentReader.find_in`."""
        return await self._apart(lambda: reading.find_in(self, identifier, query, k))

    def outdated(self) -> bool:
        """Whether the folder now contains another snapshot, because the index was updated or rebuilt."""
        stamp = stamp_of(self.folder)
        if stamp == self._stamp:
            return False
        manifest = Manifest.read(self.folder)
        self._stamp = stamp
        return manifest is not None and manifest.snapshot != self.snapshot

    async def _apart(self, work: Callable[[], _T]) -> _T:
        """The result of `work`, run in a thread if it may take long."""
        return work() if len(self) <= INLINE_PASSAGES else await asyncio.to_thread(work)

    async def aclose(self) -> None:
        """Release nothing; the garbage collector closes the files."""

    def find(self, query: str, k: int, where: Filter | None = None) -> tuple[Hit, ...]:
        """At most `k` hits for any string, best first. Equal scores are in the order of the corpus."""
        return self.load(self.rank(query, k, where))

    def rank(self, query: str, k: int, where: Filter | None = None) -> list[Scored]:
        """Like `find`, but without loading the passages."""
        terms = self.query_terms(query)
        if k < 1 or not terms:
            return []
        found = self._candidates(self._where(self._either(terms, query), where), k)
        return sorted(found, key=lambda scored: (-scored.score, scored.ordinal))[:k]

    def score(self, query: str, ordinals: Sequence[int], where: Filter | None = None) -> list[Scored]:
        """Scores of `query` for the passages at `ordinals`, in any order; 0 without a common term.

        Passages that are removed, or that do not have the metadata `where`, are left out.
        """
        if not ordinals:
            return []
        optional, must = tantivy.Occur.Should, tantivy.Occur.Must
        among = tantivy.Query.boost_query(tantivy.Query.term_set_query(self._schema, ORDINAL, list(ordinals)), 0.0)
        terms = self.query_terms(query)
        either = [(optional, self._either(terms, query))] if terms else []
        return self._best(self._where(tantivy.Query.boolean_query([(must, among), *either]), where), len(ordinals))

    def load(self, ranked: Iterable[Scored]) -> tuple[Hit, ...]:
        """The ranked passages as hits, with their text."""
        return tuple(Hit(self._load(scored.address), scored.score, rank) for rank, scored in enumerate(ranked, 1))

    def is_searchable(self, query: str) -> bool:
        """Whether `query` contains any term, in the index or not."""
        return bool(self._terms.of(query[:QUERY_CHARS]))

    def query_terms(self, query: str) -> tuple[str, ...]:
        """The terms with which a query is searched, rarest first, without terms that no passage contains.

        The most common terms are dropped if all terms together have more postings than a query may read.
        """
        found = {term: self._passages_with(term) for term in set(self._terms.of_query(query[:QUERY_CHARS]))}
        rarest = sorted((count, term) for term, count in found.items() if count)[:MOST_TERMS]
        most = max(POSTINGS, POSTINGS_SHARE * len(self))
        postings = itertools.accumulate(count for count, _ in rarest)
        read = [read <= most for read in postings]
        return tuple(term for place, (_, term) in enumerate(rarest) if place < KEPT or read[place])

    def get(self, passage_id: str) -> Passage | None:
        """The passage with this id; None if there is none."""
        return next(self._all(tantivy.Query.term_query(self._schema, ID, without_surrogates(passage_id)), 1), None)

    def passages_of(self, document_id: str) -> tuple[Passage, ...]:
        """The passages of a document in order; empty if there is no such document."""
        alone = self.get(document_id)
        if alone is not None and alone.document_id == document_id:
            return (alone,)
        found: list[Passage] = []
        while (passage := self.get(passage_id(document_id, len(found), alone=False))) is not None:
            found.append(passage)
        return tuple(found)

    def ordinal_of(self, passage_id: str) -> int | None:
        """The ordinal of the passage with this id; None if there is none."""
        found = self._best(tantivy.Query.term_query(self._schema, ID, without_surrogates(passage_id)), 1)
        return found[0].ordinal if found else None

    def passage_at(self, place: int) -> Passage:
        """The passage at position `place` of the corpus, from 0; raises IndexError if there is none."""
        return next(self._all(tantivy.Query.term_query(self._schema, ORDINAL, self.ordinal_at(place)), 1))

    def ordinal_at(self, place: int) -> int:
        """The ordinal of the passage at position `place`; removed passages have no position. May raise IndexError."""
        if not 0 <= place < len(self):
            raise IndexError(f"place {place} is not in [0, {len(self)})")
        return place + bisect_right(self._live_before, place)

    def scan(self, seed: int) -> Iterator[Passage]:
        """Every passage once, in an order shuffled by `seed`."""
        order = list(range(len(self)))
        random.Random(seed).shuffle(order)
        return filter(self._is_among, map(self.passage_at, order))

    def between(self, first: int, last: int) -> list[tuple[int, Passage]]:
        """(ordinal, passage) for the ordinals from `first` up to but not including `last`, in order."""
        query = tantivy.Query.range_query(
            self._schema, ORDINAL, tantivy.FieldType.Unsigned, first, last, include_upper=False
        )
        hits = self._searcher.search(
            query, last - first, count=False, order_by_field=ORDINAL, order=tantivy.Order.Asc
        ).hits
        return [(cast(int, ordinal), self._load(address)) for ordinal, address in hits]

    def _is_among(self, passage: Passage) -> bool:
        return all(
            any((key, one) in passage.metadata for one in ([value] if isinstance(value, str) else value))
            for key, value in self._always.items()
        )

    def _passages_with(self, term: str) -> int:
        return self._searcher.doc_freq(TEXT, term)  # the text field contains the title too

    def _either(self, terms: Iterable[str], query: str) -> tantivy.Query:
        """A query for any of `terms`, and for subjects that `query` names; a query parser would interpret syntax."""
        queries = list(self._subjects.named_in(query[:QUERY_CHARS]))
        for term in terms:
            in_title = tantivy.Query.term_query(self._schema, TITLE, term, index_option="freq")
            queries.append(tantivy.Query.term_query(self._schema, TEXT, term, index_option="freq"))
            queries.append(tantivy.Query.boost_query(in_title, TITLE_WEIGHT))
        return tantivy.Query.boolean_query([(tantivy.Occur.Should, query) for query in queries])

    def _where(self, query: tantivy.Query, where: Filter | None) -> tantivy.Query:
        """`query` restricted to passages with the metadata `where`, with unchanged scores."""
        must = tantivy.Occur.Must
        among: list[tuple[tantivy.Occur, tantivy.Query]] = []
        for key, value in (*self._always.items(), *(where or {}).items()):
            terms = [without_surrogates(facet(key, one)) for one in ([value] if isinstance(value, str) else value)]
            among.append(
                (must, tantivy.Query.boost_query(tantivy.Query.term_set_query(self._schema, FACET, terms), 0.0))
            )
        return tantivy.Query.boolean_query([(must, query), *among]) if among else query

    def _candidates(self, query: tantivy.Query, k: int) -> list[Scored]:
        """The best `k` candidates, and those that are tied with the last of them, or the first of these in the corpus.

        A corpus made from a template may give every passage the same score. So for a long tie only a prefix of the
        corpus is examined. It is found by bisection: at most log2(passages) searches of at most k + SPARE hits each.
        """
        limit = min(k, len(self)) + SPARE
        found = self._best(query, limit)
        if len(found) <= k:
            return found
        tied = found[k - 1].score
        better = [scored for scored in found if scored.score > tied]
        if len(found) < limit or found[-1].score < tied:
            return better + [scored for scored in found if scored.score == tied]
        few, many = 0, self.manifest.ordinals
        while many - few > 1:
            middle = (few + many) // 2
            within = self._best(self._before(middle, query), limit)
            equal = [scored for scored in within if scored.score == tied]
            if len(equal) < k - len(better):
                few = middle
            elif len(within) == limit and within[-1].score >= tied:
                many = middle
            else:
                return better + equal
        return found  # only if a sum in another order was rounded differently

    def _best(self, query: tantivy.Query, limit: int) -> list[Scored]:
        hits = self._searcher.search(query, limit, count=False).hits
        addresses = [address for _, address in hits]
        ordinals = cast(list[int], self._searcher.fast_field_values(ORDINAL, addresses))
        return [
            Scored(round(float(score), DECIMALS), ordinal, address)
            for (score, address), ordinal in zip(hits, ordinals, strict=True)
        ]

    def _before(self, ordinal: int, query: tantivy.Query) -> tantivy.Query:
        """`query` restricted to passages before `ordinal`, with unchanged scores."""
        prefix = tantivy.Query.range_query(
            self._schema, ORDINAL, tantivy.FieldType.Unsigned, 0, ordinal, include_upper=False
        )
        must = tantivy.Occur.Must
        return tantivy.Query.boolean_query([(must, query), (must, tantivy.Query.boost_query(prefix, 0.0))])

    def _all(self, query: tantivy.Query, most: int) -> Iterator[Passage]:
        hits = self._searcher.search(query, most, count=False, order_by_field=ORDINAL, order=tantivy.Order.Asc).hits
        return (self._load(address) for _, address in hits)

    def _load(self, address: tantivy.DocAddress) -> Passage:
        return unpack(cast(bytes, self._searcher.doc(address).get_first(STORED)))
