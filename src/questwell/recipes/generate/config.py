"""The config of `generate`: its keys with their defaults, the presets, and the keys that a resume may change."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from questwell.errors import ConfigError
from questwell.games.rules import Rules, Variant
from questwell.games.seeds import KindMix, Mix, parse_kinds, parse_mix, parse_steps
from questwell.recipes.generate.playing import PLAY_MAY_CHANGE, PlayConfig
from questwell.recipes.runs.agents import StyleChoice, is_embedded
from questwell.recipes.runs.config import Values, nearest
from questwell.recipes.runs.parts import PartsConfig
from questwell.text.lists import split_commas
from questwell.types.game import AnswerType
from questwell.types.trajectory import Role


class Config(PartsConfig, PlayConfig):
    """Config keys of `generate`."""

    seeds: int | None = Field(default=None, ge=1)
    """Number of seed passages to play."""
    items: int | None = Field(default=None, ge=1)
    """Stop when this many items are accepted (checked after each wave)."""
    steps: str = "2..4"
    """Target number of search steps, drawn uniformly from this range; "any" sets no target."""
    mix: str | None = None
    """Target mix of difficulties instead of --steps: ranges of search steps with shares, as in 2-3:40,4-5:40,6-7:20."""
    kinds: str | None = None
    """Kinds of question to ask for, perhaps with shares: bridge,intersection,comparison,calculation,temporal, or
    bridge:60,comparison:40. Kinds that lag behind their share are tried more often. By default, any kind."""
    answer_types: Annotated[tuple[AnswerType, ...], BeforeValidator(split_commas), Field(min_length=1)] = tuple(
        AnswerType
    )
    """Answer types to generate, separated by commas."""
    seed_words: int = Field(default=20, ge=0)
    """Minimum number of words in a seed passage."""
    engine: Literal["processes", "ray"] = "processes"
    """Where --shards run: processes (on this machine) or ray (players on the Ray cluster of RAY_ADDRESS, or on one that
    is started on this machine; extra ray)."""
    players: int | None = Field(default=None, ge=1)
    """Number of player processes with --engine ray; by default as many as --shards."""
    distinct_seeds: bool = False
    """Of passages that are nearly the same (they share four of five runs of five words), use only one as a seed; takes
    about 20 KB of memory per seed."""
    topics: Path | None = None
    """File with one topic per line; seeds start from passages that a search for each topic in turn finds."""
    clusters: int | None = Field(default=None, ge=2, le=1000)
    """Group the passages into this many clusters and take seeds from each in turn, so that small subjects get as many
    seeds as large ones. Clusters use the vectors of the index, otherwise wordllama (extra dense), otherwise words."""
    near_duplicates: Literal["keep", "refuse"] = "keep"
    """Whether to keep or refuse a question that nearly repeats one accepted in an earlier wave; it is refused before
    its attempts are paid."""
    wave: int = Field(default=32, ge=1)
    """Number of seeds to play before acceptance is checked again; matters only with --mix, --kinds, --items or
    --near-duplicates refuse."""

    variant: Variant = Variant.FEEDBACK
    """What happens after a question fails: initial (nothing), resample (a new question), feedback (a repair)."""
    rounds: int = Field(default=2, ge=0, le=20)
    """Rounds after the first one, in which a failed question is repaired or replaced."""
    last_round_takes_correct: bool = False
    """Accept a solved question in the last round even if it is too easy, as the paper's released training data does."""
    gate_feedback: bool = True
    """Repair a question that one of --gates stops, in a further round; off: reject it at once."""

    older: ClassVar[Values] = {**PlayConfig.older, "gate_feedback": False}

    @field_validator("steps")
    @classmethod
    def _steps(cls, steps: str) -> str:
        return steps if steps == "any" else _checked(steps, parse_steps)

    @field_validator("mix")
    @classmethod
    def _mix(cls, mix: str | None) -> str | None:
        return None if mix is None else _checked(mix, parse_mix)

    @field_validator("kinds")
    @classmethod
    def _kinds(cls, kinds: str | None) -> str | None:
        return None if kinds is None else _checked(kinds, parse_kinds)

    @model_validator(mode="after")
    def _kinds_are_written(self) -> Self:
        staged = self.style is StyleChoice.STAGED or (
            self.style is StyleChoice.AUTO and is_embedded(self.model_of(Role.PROPOSER))
        )
        if self.kinds is not None and staged:
            raise ValueError("kinds need a proposer that is driven freely: --style free, or a model at an endpoint")
        return self

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.seeds is None and self.items is None:
            raise ValueError("say how much to generate: seeds (-n 20) or items (--items 10)")
        if self.topics is not None and self.clusters is not None:
            raise ValueError("--topics says what seeds are about, --clusters finds out: say one of them")
        if self.engine == "ray" and self.shards is None:
            raise ValueError("--engine ray places the shards of a run: say how many, as in --shards 8")
        if self.players is not None and self.engine != "ray":
            raise ValueError("--players are processes of --engine ray: leave it out, or say --engine ray")
        if self.near_duplicates == "refuse" and (self.shard or self.shards):
            raise ValueError(
                "--near-duplicates refuse needs what all seeds gave, and parts share nothing: leave one out"
            )
        if self.steered and (self.shard or self.shards):
            named = "--items" if self.items is not None else "--mix" if self.mix is not None else "--kinds"
            raise ValueError(
                f"{named} decides the next seeds by what all seeds gave, and parts share nothing: "
                "say a number of --seeds, and --steps, without kinds"
            )
        return self

    @property
    def targets(self) -> Mix | None:
        """The difficulties to draw from; None sets no target."""
        if self.mix is not None:
            return parse_mix(self.mix)
        return None if self.steps == "any" else parse_steps(self.steps)

    @property
    def steered(self) -> bool:
        """Whether draws depend on accepted items, so that each wave must end before the next is drawn."""
        return (
            self.mix is not None or self.items is not None or self.kinds is not None or self.near_duplicates == "refuse"
        )

    @property
    def wanted_kinds(self) -> KindMix | None:
        """The kinds to draw from; None allows any kind."""
        return None if self.kinds is None else parse_kinds(self.kinds)

    def rules(self) -> Rules:
        """The rules of the game."""
        return replace(
            super().rules(),
            variant=self.variant,
            rounds=self.rounds,
            last_round_takes_correct=self.last_round_takes_correct,
            gate_feedback=self.gate_feedback,
        )

    @property
    def repairs_checked(self) -> bool:
        """Whether a question that a gate or a weak solver rejects is repaired."""
        return (bool(self.gates) and self.gate_feedback) or self.weak_mode is not None


MAY_CHANGE: Mapping[str, str] = {
    "seeds": "may be raised, to extend the run",
    "items": "may be raised, to extend the run",
    "engine": "changes where seeds are played, and no result",
    "players": "as engine",
    "topics": "their text is compared instead, so that the file may move",
    **PLAY_MAY_CHANGE,
}
"""Keys that a resume may change, with the reason why they change no result. Other changes are refused."""

PRESETS: Mapping[str, Values] = {
    # The paper's intrinsic table (arXiv 2601.18202, section 4): all K attempts, targets 3..7, three rounds.
    "sage-paper": {
        "variant": "feedback",
        "style": "free",
        "protocol": "tags",
        "steps": "3..7",
        "attempts": 4,
        "rounds": 3,
        "early_stop": False,
        "accept": "steps",
        "unscored_is_wrong": True,
        "proposer_turns": 20,
        "solver_turns": 20,
        "solver_searches": 20,
        "top_k": 3,
        "temperature": 1.0,
    },
    # Its training data, as the release assembles them: two rounds, what is solved in the last one, difficulty >= 2.
    "sage-paper-data": {
        "variant": "feedback",
        "style": "free",
        "protocol": "tags",
        "steps": "2..10",
        "attempts": 4,
        "rounds": 2,
        "accept": "steps",
        "unscored_is_wrong": True,
        "last_round_takes_correct": True,
        "min_difficulty": 2,
        "proposer_turns": 20,
        "solver_turns": 10,
        "top_k": 3,
        "temperature": 1.0,
    },
}


def preset(name: str) -> Values:
    """Return the keys of a preset."""
    if name not in PRESETS:
        raise ConfigError(f"there is no preset {name!r}{nearest(name, PRESETS)}; there are: {', '.join(PRESETS)}")
    return PRESETS[name]


def _checked(text: str, parse: Callable[[str], object]) -> str:
    try:
        parse(text)
    except ConfigError as error:
        raise ValueError(str(error)) from None  # pydantic collects these, so that all problems are reported at once
    return text
