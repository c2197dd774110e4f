import pytest

from questwell.agents.prompts import Prompts
from questwell.agents.proposer import FreeProposer
from questwell.errors import ConfigError
from questwell.games.rules import Players
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.setup import make_players
from questwell.recipes.runs.config import read_toml, resolve, resolve_saved
from questwell.recipes.runs.models import ModelConfig
from questwell.staged.proposer import StagedProposer
from questwell.store.records import RunInfo
from questwell.types.trajectory import Role, Style


def test_flags_toml_and_python_say_the_same(tmp_path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(
        """omit = ["stop", "seed"]
        reasoning-effort = "low"
        timeout_s = 30
        [extra]
        top_k = 20
        [headers]
        X-Title = "Questwell"
        [roles.judge]
        key_env = "JUDGE_KEY"
        base_url = "https://host/v1"
        omit = []
        extra = {top_p = 1}
        max_tokens = 99
        """
    )
    flags = {
        "omit": "stop, seed",
        "reasoning_effort": "low",
        "timeout_s": 30.0,
        "extra": '{"top_k": 20}',
        "headers": "X-Title=Questwell",
        "roles": "judge.key_env=JUDGE_KEY judge.base_url=https://host/v1 judge.omit= 'judge.extra={\"top_p\": 1}' "
        "judge.max-tokens=99",
    }
    by_file, by_flags = resolve(ModelConfig, read_toml(path)), resolve(ModelConfig, flags)
    assert by_file == by_flags == resolve(ModelConfig, by_file.model_dump(mode="json"))
    judge = by_file.connect_options(Role.JUDGE, 4, None)
    solver = by_file.connect_options(Role.SOLVER, 4, None)
    assert (judge.api_key_env, judge.base_url, judge.endpoint.omit) == ("JUDGE_KEY", "https://host/v1", frozenset())
    assert (judge.endpoint.extra, judge.endpoint.timeout_s) == ({"top_k": 20, "top_p": 1}, 30.0)
    assert (solver.api_key_env, solver.endpoint.omit) == (None, frozenset({"stop", "seed"}))
    assert (solver.endpoint.extra, solver.endpoint.headers) == ({"top_k": 20}, {"X-Title": "Questwell"})
    assert (solver.endpoint.reasoning_effort, judge.endpoint.reasoning_effort) == ("low", "low")


@pytest.mark.parametrize(
    ("values", "clue"),
    [
        ({"roles": "judge"}, "ROLE.KEY=VALUE"),
        ({"roles": "referee.omit=stop"}, "referee"),
        ({"roles": "judge.omitt=stop"}, "omitt"),
        ({"roles": "judge.base_url=host"}, "http"),
        ({"extra": "top_k"}, "JSON object"),
        ({"headers": "X-Title"}, "NAME=VALUE"),
        ({"timeout_s": 0}, "timeout_s"),
    ],
)
def test_what_cannot_be_is_named(values: dict[str, object], clue: str) -> None:
    with pytest.raises(ConfigError, match=clue):
        resolve(ModelConfig, values)


def players(style: Style, **values: object) -> Players:
    config = resolve(Config, {"seeds": 1, "corpus": "foldoc", "llm": "local", **values})
    return make_players(config, Prompts(), dict.fromkeys(Role, style))


def judge_tokens(**values: object) -> int:
    return players(Style.FREE, **values).judge.max_tokens


def test_a_staged_proposer_has_searches_for_each_step_unless_it_is_told_how_many() -> None:
    proposer, told = players(Style.STAGED).proposer, players(Style.STAGED, proposer_searches=7).proposer
    assert isinstance(proposer, StagedProposer) and isinstance(told, StagedProposer)
    assert proposer.limits.searches > 4 * proposer.searches
    assert told.limits.searches == 7
    free = players(Style.FREE).proposer
    assert isinstance(free, FreeProposer) and free.limits.searches == 20


def test_caps_suit_models_that_think() -> None:
    assert judge_tokens(llm="local") == 512
    assert judge_tokens(llm="openai:gpt-5-mini") == 4096
    assert judge_tokens(llm="openai:gpt-5-mini", judge_tokens=777) == 777
    assert judge_tokens(llm="openai:gpt-5-mini", judge_tokens=777, roles="judge.max_tokens=888") == 888


def test_a_run_of_an_older_version_goes_on_with_the_caps_that_it_had() -> None:
    saved = {"seeds": 1, "corpus": "foldoc", "llm": "openai:gpt-5-mini", "turn_tokens": 1024}
    config = resolve_saved(Config, RunInfo("r", "", "0.1", saved, {}))
    assert (config.turn_tokens, config.judge_tokens, config.reader_tokens) == (1024, 512, 1024)
    assert resolve(Config, saved).judge_tokens is None
