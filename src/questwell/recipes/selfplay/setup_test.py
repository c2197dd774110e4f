import json
from pathlib import Path

import pytest

from questwell.agents.prompts import Prompts
from questwell.agents.reader import PromptedReader
from questwell.errors import ConfigError
from questwell.games.answers import Position
from questwell.games.gates import Gatekeeper
from questwell.recipes.corpus.index import IndexConfig, open_index
from questwell.recipes.runs.config import resolve
from questwell.recipes.selfplay.config import Config
from questwell.recipes.selfplay.setup import make_players, open_environment

TEXT = "The lighthouse of Orrin was built of red stone by Elsa Marwood, who came from the port of Lodden in the north."


def test_the_fingerprint_follows_the_content_of_answers_and_held_out_questions(tmp_path: Path) -> None:
    corpus, answers, held_out = (tmp_path / f"{name}.jsonl" for name in ("corpus", "answers", "held_out"))
    corpus.write_text(json.dumps({"id": "a", "title": "Orrin", "text": TEXT}) + "\n")
    answers.write_text(json.dumps({"answer": "Elsa Marwood"}) + "\n")
    asked = {"question": "Who built the lighthouse of Orrin?", "answer": "Elsa Marwood"}
    held_out.write_text(json.dumps(asked) + "\n")
    given = {"model": "local", "corpus": str(corpus), "index": tmp_path / "index", "answers": answers}
    config = resolve(Config, {**given, "held_out": held_out})

    def fingerprint() -> dict[str, str]:
        return open_environment(config).fingerprint

    before = fingerprint()
    assert fingerprint() == before
    held_out.write_text(json.dumps({**asked, "answer": "Abel Finch"}) + "\n")
    assert {key for key, value in fingerprint().items() if value != before[key]} == {"held-out questions"}
    held_out.write_text(json.dumps(asked) + "\n")
    answers.write_text(json.dumps({"answer": "Elsa Marwood", "aliases": ["Marwood"]}) + "\n")
    assert {key for key, value in fingerprint().items() if value != before[key]} == {"answers"}
    shown = open_index(IndexConfig(corpus=str(corpus), index=tmp_path / "index")).passage_at(0)
    answers.write_text(json.dumps({"answer": "Elsa Marwood", "passage_id": shown.id}) + "\n")
    assert {key for key, value in fingerprint().items() if value != before[key]} == {"answers"}
    (seed,) = open_environment(config).world.answers(Position()).take(1)
    assert (seed.answer, seed.passage) == ("Elsa Marwood", shown)
    answers.write_text(json.dumps({"answer": "Elsa Marwood", "passage_id": "b#1"}) + "\n")
    with pytest.raises(ConfigError, match="no passage 'b#1', which is named for 'Elsa Marwood'"):
        fingerprint()


def test_a_verifier_of_its_own_is_asked_by_schema_and_with_room_to_think() -> None:
    given = {"model": "local", "corpus": "factbook"}
    for verifier, structured, tokens in ((None, False, 256), ("m@http://127.0.0.1:1/v1", True, 8192)):
        config = resolve(Config, {**given, "verifier_llm": verifier})
        keeper = make_players(config, Prompts(), judged=False).gatekeeper
        assert isinstance(keeper, Gatekeeper) and isinstance(keeper.reader, PromptedReader)
        assert (keeper.reader.structured, keeper.reader.max_tokens) == (structured, tokens)
