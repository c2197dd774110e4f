"""`generate`, `harden`, `evaluate`, `train`: the commands as functions with the same keys, and their async versions.

A model or a retriever is a name, as on the command line, or your own object with the methods of `LLM` or `Retriever`.
Your objects are not closed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from questwell.api.documented import takes
from questwell.api.opened import EvaluateRun, GenerateRun, TrainRun
from questwell.api.running import blocking, used
from questwell.errors import ConfigError
from questwell.llm.client import LLM
from questwell.recipes.corpus import index as indexing
from questwell.recipes.corpus.index import IndexConfig
from questwell.recipes.evaluate import loop as evaluating
from questwell.recipes.evaluate import shards as evaluating_shards
from questwell.recipes.evaluate.config import EvalConfig
from questwell.recipes.generate import engines
from questwell.recipes.generate import loop as generating
from questwell.recipes.generate.config import Config, preset
from questwell.recipes.harden import loop as hardening
from questwell.recipes.harden import shards as hardening_shards
from questwell.recipes.harden.config import HardenConfig
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.config import Values, resolve
from questwell.recipes.runs.ending import Report
from questwell.recipes.runs.lent import Lent, name_of
from questwell.recipes.runs.progress import OnProgress
from questwell.recipes.runs.twin import Twofold, blocking_verb, planned, twin_of
from questwell.recipes.sections import read_section
from questwell.recipes.train import loop as training
from questwell.recipes.train.config import TrainConfig
from questwell.retrieval.retriever import Retriever

PathLike = str | Path
OnMetrics = Callable[[dict[str, float], int], object]
"""Callback that takes the metrics of a step and its number."""
_Rep = TypeVar("_Rep", bound=Report)
_Run = TypeVar("_Run")
_P = ParamSpec("_P")
_MODELS = ("llm", "proposer_llm", "solver_llm", "judge_llm", "weak_llm", "judge")


@dataclass(frozen=True, slots=True)
class _Asked:
    """The arguments of one call, sorted into keys, objects and options."""

    values: Values
    lent: Lent


@takes(Config)
@blocking_verb
def generate(
    *,
    out: PathLike,
    resume: bool = False,
    limit: int | None = None,
    preset: str | None = None,
    config: PathLike | None = None,
    on_progress: OnProgress | None = None,
    **keys: Any,  # noqa: ANN401  the config checks them
) -> Twofold[GenerateRun]:
    """Make questions from a corpus, and return the run; as `questwell generate`.

    Works where an event loop is running, as in a notebook; an interrupt stops the run, and `resume=True` goes on.

    Args:
        out: folder of the run.
        resume: go on with the run that is there.
        limit: most plays in this call.
        preset: start from the values of a preset.
        config: TOML file with any of the keys, or a section per command.
        on_progress: called with the progress after each play and every half second.
        keys: see below.

    Raises:
        QuestwellError: the run cannot be made; a run that only stops early is returned, and its `report` says why.
    """
    asked, folder = _generating(preset, config, keys), Path(out)
    settings = generating.configure(folder, asked.values, resume=resume)
    caller = _caller(resume, limit, on_progress, asked.lent)
    return _run(GenerateRun, folder, planned(engines.run, settings, folder, caller))


generate_async = twin_of(generate, ": your own models and retrievers are called in the loop they belong to")


@takes(HardenConfig)
@blocking_verb
def harden(
    *,
    out: PathLike,
    resume: bool = False,
    limit: int | None = None,
    config: PathLike | None = None,
    on_progress: OnProgress | None = None,
    **keys: Any,  # noqa: ANN401
) -> Twofold[GenerateRun]:
    """Make given questions harder, their answers kept, and return the run; as `questwell harden`."""
    asked, folder = _sorted("harden", config, keys), Path(out)
    settings = hardening.configure(folder, asked.values, resume=resume)
    caller = _caller(resume, limit, on_progress, asked.lent)
    return _run(GenerateRun, folder, planned(hardening_shards.run, settings, folder, caller))


harden_async = twin_of(harden, ": your own models and retrievers are called in the loop they belong to")


@takes(EvalConfig)
@blocking_verb
def evaluate(
    *,
    out: PathLike,
    resume: bool = False,
    limit: int | None = None,
    config: PathLike | None = None,
    on_progress: evaluating.OnProgress | None = None,
    **keys: Any,  # noqa: ANN401
) -> Twofold[EvaluateRun]:
    """Measure a model on benchmarks, and return the evaluation; as `questwell evaluate`."""
    asked, folder = _sorted("evaluate", config, keys), Path(out)
    settings = evaluating.configure(folder, asked.values, resume=resume)
    caller = _caller(resume, limit, on_progress, asked.lent)
    return _run(EvaluateRun, folder, planned(evaluating_shards.run, settings, folder, caller))


evaluate_async = twin_of(evaluate, ": your own models and retrievers are called in the loop they belong to")


@takes(TrainConfig)
@blocking_verb
def train(
    *,
    out: PathLike,
    resume: bool = False,
    limit: int | None = None,
    config: PathLike | None = None,
    on_progress: training.OnProgress | None = None,
    on_metrics: OnMetrics | None = None,
    **keys: Any,  # noqa: ANN401
) -> Twofold[TrainRun]:
    """Train a search agent, and return the run; as `questwell train` (extra train).

    Args:
        out: folder of the run.
        resume: go on with the run that is there.
        limit: most steps in this call.
        config: TOML file with any of the keys, or a section per command.
        on_progress: called with the metrics of each step, and how many steps there will be.
        on_metrics: called with the metrics of each step and its number, as `wandb.log` and `trackio.log` take them.
        keys: see below.
    """
    asked, folder = _named_only("train", config, keys), Path(out)
    settings = training.configure(folder, asked, resume=resume)
    caller = _caller(resume, limit, _both(on_progress, on_metrics), Lent())
    return _run(TrainRun, folder, planned(training.run, settings, folder, caller))


train_async = twin_of(train, ", which waits while weights are updated")


@takes(IndexConfig)
def open_index(*, config: PathLike | None = None, **keys: Any) -> Retriever:  # noqa: ANN401
    """The index of a corpus, built if it does not exist yet: a retriever to search, or to build your own upon."""
    settings = resolve(IndexConfig, _named_only("index", config, keys))
    return blocking(partial(indexing.open_index, settings))


def _generating(name: str | None, config: PathLike | None, keys: Mapping[str, object]) -> _Asked:
    asked = _sorted("generate", config, keys)
    return _Asked({**(preset(name) if name else {}), **asked.values}, asked.lent)


def _sorted(verb: str, config: PathLike | None, keys: Mapping[str, object]) -> _Asked:
    """Values by key, an object of the caller's by its name, and the objects."""
    values = used(keys)
    llms: dict[str, LLM] = {}
    for key in _MODELS:
        one = values.get(key)
        if one is not None and not isinstance(one, str | Path):
            model: LLM = _with_methods(key, one, ("name", "priced", "complete"))
            values[key] = name_of(model)
            if llms.setdefault(name_of(model), model) is not model:
                raise ConfigError(f"two of your own models are both called {model.name!r}: give them different names")
    lent = Lent(llms)
    if (one := values.get("retriever")) is not None and not isinstance(one, str):
        retriever: Retriever = _with_methods("retriever", one, ("name", "search"))
        values["retriever"] = name_of(retriever)
        lent = Lent(llms, retriever)
    return _Asked(_over_file(verb, config, values), lent)


def _named_only(verb: str, config: PathLike | None, keys: Mapping[str, object]) -> Values:
    return _over_file(verb, config, used(keys))


def _over_file(verb: str, config: PathLike | None, values: Mapping[str, object]) -> Values:
    plain = {key: str(value) if isinstance(value, Path) else value for key, value in values.items()}
    return {**(read_section(Path(config), verb) if config else {}), **plain}


def _with_methods(key: str, one: Any, names: tuple[str, ...]) -> Any:  # noqa: ANN401  a caller's object
    if missing := [name for name in names if not hasattr(one, name)]:
        raise ConfigError(f"{key}: {type(one).__name__!r} lacks {', '.join(missing)}; see docs/python.md")
    return one


def _both(on_progress: training.OnProgress | None, on_metrics: OnMetrics | None) -> training.OnProgress | None:
    if on_metrics is None:
        return on_progress

    def tell(metrics: training.Metrics, steps: int) -> None:
        if on_progress is not None:
            on_progress(metrics, steps)
        on_metrics({name: value for name, value in metrics.items() if name != "step"}, int(metrics["step"]))

    return tell


def _caller(resume: bool, limit: int | None, on_progress: Callable[_P, object] | None, lent: Lent) -> Caller[_P]:
    if on_progress is None:
        return Caller(resume=resume, limit=limit, lent=lent)
    return Caller(resume=resume, limit=limit, on_progress=on_progress, lent=lent)


def _run(make: Callable[[Path, _Rep], _Run], folder: Path, work: Twofold[_Rep]) -> Twofold[_Run]:
    """The work as a Python caller wants it: its run, and blocking where a loop is running already too."""
    return Twofold(partial(blocking, work.alone), work.here).then(partial(make, folder))
