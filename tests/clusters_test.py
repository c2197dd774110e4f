"""Seeds by clusters of the corpus: like passages together, one of each cluster in turn, the same on a resume."""

import asyncio
import json
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import world
from starlette.testclient import TestClient

from questwell.errors import ConfigChanged, ConfigError
from questwell.evaluation.grouping import settled
from questwell.games.seeds import draw_order
from questwell.llm.client import Completion, Request
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.corpus.index import open_index
from questwell.recipes.generate import clusters
from questwell.recipes.generate.clusters import Clusters
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.loop import generate
from questwell.recipes.generate.setup import Library
from questwell.recipes.reports.coverage import coverage
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.config import resolve
from questwell.recipes.runs.ending import Ending
from questwell.retrieval.index.hybrid import HybridIndex
from questwell.store.reader import RunReader
from questwell.types.corpus import Passage
from questwell.view.app import make_app
from questwell.view.site import Site

SUBJECTS = {
    "ship": (60, "The {n}th ship sailed over the ocean with a captain and sailors, and its mast broke in the storm"),
    "tree": (
        20,
        "The {n}th tree grew in the forest with leaves, bark and roots, and its branches bore fruit in autumn",
    ),
    "star": (10, "The {n}th star shone in the galaxy with planets in orbit, and astronomers saw it in a telescope"),
}
NEAR = {"words": "words", "wordllama": "wordllama-l2-supercat-256"}


def write_corpus(folder: Path) -> Path:
    rows = [
        {"id": f"{subject}{n}", "title": f"{subject.title()} {n}", "text": f"{text.format(n=n)} of {1500 + 7 * n}."}
        for subject, (count, text) in SUBJECTS.items()
        for n in range(count)
    ]
    rows.append({"id": "short", "title": "", "text": "See the ship."})
    path = folder / "subjects.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def values(tmp_path: Path, library: Path, **given: object) -> dict[str, object]:
    own = {"corpus": str(write_corpus(tmp_path)), "index": tmp_path / "index", "seed_words": 5, "proposer_turns": 1}
    return {**world.values(library), **own, "seeds": 12, "clusters": 3, **given}


@pytest.fixture
def corpus(library: Path, tmp_path: Path) -> Library:
    return open_index(resolve(Config, values(tmp_path, library)))


@pytest.fixture(params=NEAR)
def space(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "words":
        monkeypatch.setattr(clusters, "WordLlama", missing)
    return NEAR[request.param]


def missing() -> None:
    raise ConfigError("wordllama is not installed")


def subject(passage: Passage) -> str:
    return passage.id.rstrip("0123456789")


def test_passages_of_one_subject_make_a_cluster_that_its_words_name(corpus: Library, space: str) -> None:
    made = Clusters(corpus, 3, 0, 5)
    assert made.made_by == space
    found = list(made.in_turn())
    assert Counter((subject(one.passage), one.about) for one in found).most_common() == [
        ((name, about), SUBJECTS[name][0])
        for name, about in sorted(
            {subject(one.passage): one.about for one in found}.items(), key=lambda pair: -SUBJECTS[pair[0]][0]
        )
    ]
    named = {subject(one.passage): set(one.about.split(", ")) for one in found}
    for name, (_, text) in SUBJECTS.items():
        assert named[name] <= {word.strip(",.").lower() for word in text.split()} and named[name]


def test_each_cluster_has_its_turn_and_each_passage_comes_once(corpus: Library, space: str) -> None:
    order = [subject(one.passage) for one in Clusters(corpus, 3, 0, 5).in_turn()]
    assert all(set(order[at : at + 3]) == set(SUBJECTS) for at in range(0, 30, 3))
    assert order[30:50] in (["ship", "tree"] * 10, ["tree", "ship"] * 10)  # there are no stars left
    assert order[50:] == ["ship"] * 40
    ids = [one.passage.id for one in Clusters(corpus, 3, 0, 5).in_turn()]
    assert len(set(ids)) == len(ids) == 90 and "short" not in ids
    assert ids == [one.passage.id for one in Clusters(corpus, 3, 0, 5).in_turn()]
    assert ids != [one.passage.id for one in Clusters(corpus, 3, 1, 5).in_turn()]
    within = [one for one in ids if one.startswith("tree")]
    drawn = [corpus.passage_at(place).id for place in draw_order(len(corpus), 0)]
    assert within == [one for one in drawn if one.startswith("tree")]  # a cluster's passages as they are drawn


class Watched:
    """A library that counts how often each of its passages is read."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self.read = Counter[int]()

    def __len__(self) -> int:
        return len(self._library)

    def passage_at(self, place: int) -> Passage:
        self.read[place] += 1
        return self._library.passage_at(place)


def test_a_large_corpus_is_read_only_as_far_as_seeds_need(corpus: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SAMPLE": 30, "PER_CLUSTER": 1, "BATCH": 4, "AHEAD": 8}.items():
        monkeypatch.setattr(clusters, name, value)
    watched = Watched(corpus)
    made = Clusters(watched, 3, 0, 5)  # type: ignore[arg-type]  only what is read here
    assert sum(watched.read.values()) <= 31  # and the short one
    watched.read.clear()
    turn = made.in_turn()
    got = [next(turn) for _ in range(3)]
    assert sum(watched.read.values()) - len(got) <= 3 * 8 + 1
    rest = list(turn)
    assert len({one.passage.id for one in (*got, *rest)}) == 90
    assert max(watched.read.values()) == 2  # when it is grouped, and when it is drawn
    # a cluster with none among the next passages loses its turn, not its passages
    assert Counter(subject(one.passage) for one in (*got, *rest)) == {name: n for name, (n, _) in SUBJECTS.items()}


def test_a_cluster_that_comes_late_is_passed_over_not_waited_for(
    corpus: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = sorted(range(len(corpus)), key=lambda place: subject(corpus.passage_at(place)) == "star")
    monkeypatch.setattr(clusters, "draw_order", lambda passages, seed: order)
    monkeypatch.setattr(clusters, "BATCH", 1)
    monkeypatch.setattr(clusters, "AHEAD", 10)
    found = [subject(one.passage) for one in Clusters(corpus, 3, 0, 5).in_turn()]
    assert found.index("star") >= 5 and found.count("star") == 10


def test_a_hybrid_index_lends_its_vectors(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = values(tmp_path, library, retriever="hybrid", embedder="wordllama")
    found = open_index(resolve(Config, keys))
    assert isinstance(found, HybridIndex)
    monkeypatch.setattr(clusters, "WordLlama", missing)  # nothing is embedded again
    made = Clusters(found, 3, 0, 5)
    assert made.made_by == found.embedded_by
    assert {subject(one.passage) for one in islice(made.in_turn(), 3)} == set(SUBJECTS)
    vectors = found.vectors_at([3, 0])
    assert np.array_equal(vectors, found.vectors.rows[[3, 0]].astype(np.float32)) and vectors.any()
    monkeypatch.setattr(type(found), "_embedded", 2)
    assert not found.vectors_at([3, 0])[0].any() and found.vectors_at([3, 0])[1].any()


def test_sums_are_exact_so_no_machine_groups_otherwise(corpus: Library) -> None:
    made = Clusters(corpus, 3, 0, 5)
    points = made._points([(place, corpus.passage_at(place)) for place in range(3)])
    assert np.array_equal(points * 256, np.rint(points * 256)) and points.any()
    centres, _ = settled(points, points[:2])
    assert np.array_equal(centres * 4096, np.rint(centres * 4096))


def nothing(request: Request) -> Completion:
    return Completion("I do not know.", model="scripted", prompt_tokens=1, completion_tokens=1, cost_usd=0.0)


def draw(keys: dict[str, object], folder: Path, *, resume: bool = False, limit: int | None = None) -> Ending:
    config = resolve(Config, keys)
    setup = world.setup(config, ScriptedLLM(nothing))
    return asyncio.run(generate(config, folder, setup, Caller(resume=resume, limit=limit))).ending


def starts(folder: Path) -> list[tuple[int, str, str]]:
    with RunReader(folder) as run:
        seeds = [run.seed(play.index) for play in run.plays()]
    return [(seed.index, seed.passage.id, seed.about) for seed in seeds]


def test_a_run_draws_from_each_cluster_and_a_stopped_one_the_same(library: Path, tmp_path: Path) -> None:
    keys = values(tmp_path, library)
    draw(keys, tmp_path / "a")
    assert Counter(name.rstrip("0123456789") for _, name, _ in starts(tmp_path / "a")) == dict.fromkeys(SUBJECTS, 4)
    for seeds, limit in ((5, 3), (5, None), (12, None)):
        draw({**keys, "seeds": seeds}, tmp_path / "b", resume=True, limit=limit)
    assert starts(tmp_path / "b") == starts(tmp_path / "a")
    for part in range(2):
        draw({**keys, "shard": f"{part}/2"}, tmp_path / f"part{part}")
    assert sorted((*starts(tmp_path / "part0"), *starts(tmp_path / "part1"))) == starts(tmp_path / "a")
    assert draw({**keys, "seeds": 200}, tmp_path / "c") is Ending.EXHAUSTED
    assert len(starts(tmp_path / "c")) == 90


def test_other_clusters_on_a_resume_are_refused(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = values(tmp_path, library)
    draw(keys, tmp_path / "a", limit=2)
    with pytest.raises(ConfigChanged, match="clusters"):
        draw({**keys, "clusters": 4}, tmp_path / "a", resume=True)
    monkeypatch.setattr(clusters, "WordLlama", missing)
    with pytest.raises(ConfigChanged, match="wordllama"):
        draw(keys, tmp_path / "a", resume=True)
    with pytest.raises(ConfigError, match="has only 90 passages of 5 words or more"):
        draw({**keys, "clusters": 46}, tmp_path / "d")
    with pytest.raises(ConfigError, match="--clusters finds out"):
        resolve(Config, {**keys, "topics": tmp_path / "topics.txt"})


def test_coverage_says_which_clusters_have_an_item(library: Path, tmp_path: Path) -> None:
    """The bridges of the scripted world, and topics: fives of them ask one question."""
    config = world.config(library, seeds=24, clusters=4)
    asyncio.run(generate(config, tmp_path / "run", world.setup(config)))
    found = coverage(tmp_path / "run").drawn_for
    assert len(found) == 4 and sum(row.seeds for row in found) == 24
    with RunReader(tmp_path / "run") as run:
        ended = [(run.seed(play.index).about, play.status.value == "accepted") for play in run.plays()]
    assert {row.about: (row.seeds, row.items) for row in found} == {
        name: (sum(one == name for one, _ in ended), sum(one == name and good for one, good in ended))
        for name in dict.fromkeys(name for name, _ in ended)
    }
    page = TestClient(make_app(Site([tmp_path / "run"], "ann")), base_url="http://localhost").get("/r/run/coverage")
    for row in found:
        cells = f'<td>{row.about}</td><td class="n">{row.seeds}</td><td class="n">{row.items}</td>'
        assert cells in page.text
    assert f"{sum(row.items > 0 for row in found)} of 4 have an item" in page.text
    topics = tmp_path / "topics.txt"
    topics.write_text("bridge 5\nbridge 12\n", encoding="utf-8")
    config = world.config(library, seeds=4, topics=topics)
    asyncio.run(generate(config, tmp_path / "topical", world.setup(config)))
    assert [(row.about, row.seeds) for row in coverage(tmp_path / "topical").drawn_for] == [
        ("bridge 5", 2),
        ("bridge 12", 2),
    ]
