"""A run over several addresses of its model: one dies in the middle, and the run is that of one address."""

from pathlib import Path

import world
from killing import Model

from questwell.llm.client import Request
from questwell.recipes.generate.loop import configure
from questwell.recipes.generate.loop import run as play_all
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.ending import Ending
from questwell.store.reader import RunReader


def answers(request: Request) -> str:
    return world.play(request).text


class Dying(Model):
    """Breaks each connection after so many calls."""

    left = 25

    def answer(self, asked):
        made = super().answer(asked)
        self.left -= 1
        if self.left < 0:
            made.cut_after = 0
        return made


def play(library: Path, run: Path, llm: str, *, resume: bool = False) -> Ending:
    given = world.values(library, seeds=14, llm=llm, concurrency=4, price_in=1, price_out=1)
    config = configure(run, {"llm": llm} if resume else given, resume=resume)
    return play_all(config, run, Caller(resume=resume)).ending


def ledger(run: Path) -> list[object]:
    with RunReader(run) as reader:
        calls = reader.rows("SELECT seed, round, role, attempt, turn, digest, kind, model, request FROM calls")
        return sorted(calls) + [str(play) for play in reader.plays()]


def test_a_run_whose_second_server_dies_is_the_run_of_one_server(library: Path, tmp_path: Path) -> None:
    alone, first, second = Model(answers), Model(answers), Dying(answers)
    try:
        assert play(library, tmp_path / "one", f"scripted@{alone.url}") is Ending.COMPLETE
        both = f"scripted@{second.url},{first.url}"
        assert play(library, tmp_path / "both", both) is Ending.COMPLETE
        assert ledger(tmp_path / "both") == ledger(tmp_path / "one")
        answered = 25 + first.calls
        assert second.calls > 25 and answered == alone.calls  # what broke was asked of the other, and nothing else
        with RunReader(tmp_path / "both") as run:
            assert run.failures() == {} and run.info().fingerprint["solver model"] == "scripted"
        asked = first.calls + second.calls + alone.calls
        assert play(library, tmp_path / "both", f"scripted@{alone.url}", resume=True) is Ending.COMPLETE
        assert first.calls + second.calls + alone.calls == asked
    finally:
        for model in (alone, first, second):
            model.close()
