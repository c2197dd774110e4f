import json
from pathlib import Path

from questwell.recipes.runs.config import resolve
from questwell.recipes.selfplay.config import Config
from questwell.recipes.selfplay.setup import open_environment

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
