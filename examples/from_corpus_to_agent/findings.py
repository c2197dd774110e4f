"""The findings over all seeds: tables, paired tests and a picture. Read from the folders of their stages.

Questions of several seeds are counted as one test: each is asked of all three agents of its own seed. So the intervals
are about the choice of questions; how much depends on the training run, the figures of each seed show.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from questwell.evaluation.scores import ALL, summarise
from questwell.evaluation.statistics import Comparison, Estimate, Proportion, wilson
from questwell.recipes.dataset.build import read_manifest
from questwell.recipes.reports.scores import Versus, compare_pooled, pooled
from questwell.recipes.reports.status import status
from questwell.training.metrics import read_metrics

DOMAINS = {"in": "In domain", "out": "Out of domain"}
ONE_GO, SAGE, UNTRAINED = "one-go", "sage", "untrained"
SIGNIFICANT = 0.05
"""A difference counts as shown when its p value, after Holm's correction, is below this."""
STEPS = 5
"""Number of steps at each end of a training run whose rewards are averaged."""


@dataclass(frozen=True, slots=True)
class Story:
    """The folders of one seed."""

    seed: int
    folder: Path
    agents: tuple[str, ...]
    domains: tuple[str, ...]
    cpu_s: Mapping[str, float]
    """CPU seconds by stage."""


@dataclass(frozen=True, slots=True)
class Round:
    """SAGE's questions after a round of feedback, over all targets and seeds."""

    round: int
    correct: Proportion
    """Questions that some attempt answered with the reference answer."""
    passed: Proportion
    """Of them those that met their target too."""


@dataclass(frozen=True, slots=True)
class Data:
    """The training data of an agent, over all seeds."""

    kind: str
    seeds: int
    """Number of seeds played."""
    accepted: int
    rejected: Mapping[str, int]
    """Number of rejected seeds by reason."""
    trained_on: Mapping[str, int]
    """Number of questions in the training splits by measured difficulty."""
    model_tokens: float
    """Number of tokens that the agents wrote during reinforcement learning."""
    reward: tuple[float, float]
    """Mean reward of the first and of the last `STEPS` steps."""


@dataclass(frozen=True, slots=True)
class Score:
    """An agent on a group of questions."""

    domain: str
    agent: str
    group: str
    exact_match: Estimate
    by_seed: Sequence[float | None]
    """Mean exact match of each seed; None without a scored attempt."""
    searches: float | None
    """Mean number of searches per attempt."""


@dataclass(frozen=True, slots=True)
class Findings:
    """All findings."""

    seeds: Sequence[int]
    rounds: Sequence[Round]
    data: Sequence[Data]
    scores: Sequence[Score]
    versus: Mapping[str, Sequence[Versus]]
    """Paired tests by domain."""
    verdicts: Mapping[str, str]
    """The conclusion about SAGE's data against the other data, in words, by domain."""
    cpu_s: Mapping[str, float]
    """CPU seconds by stage, over all seeds."""


def compare(stories: Sequence[Story]) -> Findings:
    """Read the results of all stages."""
    first = stories[0]
    scores: list[Score] = []
    versus: dict[str, list[Versus]] = {}
    for domain in first.domains:
        systems = {agent: [one.folder / f"test-{domain}-{agent}" for one in stories] for agent in first.agents}
        versus[domain] = compare_pooled(systems, "em")
        scores += [score for agent, folders in systems.items() for score in _scores(domain, agent, folders)]
    cpu_s = Counter[str]()
    for one in stories:
        cpu_s.update(one.cpu_s)
    return Findings(
        seeds=[one.seed for one in stories],
        rounds=_rounds([one.folder / f"questions-{SAGE}" for one in stories]),
        data=[_data(kind, [one.folder for one in stories]) for kind in first.agents if kind != UNTRAINED],
        scores=scores,
        versus=versus,
        verdicts={domain: verdict(rows) for domain, rows in versus.items()},
        cpu_s={stage: round(seconds, 1) for stage, seconds in cpu_s.items()},
    )


def write(found: Findings, out: Path) -> None:
    """Write `findings.md`, `findings.json` with every figure, and `findings.png`."""
    (out / "findings.md").write_text(_markdown(found), encoding="utf-8")
    (out / "findings.json").write_text(json.dumps(as_json(found), indent=1) + "\n", encoding="utf-8")
    draw(found, out / "findings.png")


def as_json(found: Findings) -> dict[str, object]:
    """Every figure as a JSON value."""
    return TypeAdapter(Findings).dump_python(found, mode="json")


def _rounds(folders: Sequence[Path]) -> list[Round]:
    tables = [[cell for cell in status(folder).intrinsic if cell.target == ALL] for folder in folders]
    return [
        Round(
            number,
            wilson(sum(cell.correct.count for cell in cells), sum(cell.seeds for cell in cells)),
            wilson(sum(cell.passed.count for cell in cells), sum(cell.seeds for cell in cells)),
        )
        for number, cells in enumerate(zip(*tables, strict=True))
    ]


def _data(kind: str, folders: Sequence[Path]) -> Data:
    funnels = [status(folder / f"questions-{kind}").funnel for folder in folders]
    rejected = Counter[str]()
    trained_on = Counter[str]()
    for funnel in funnels:
        rejected.update({reason.value: count for reason, count in funnel.rejected.items()})
    for folder in folders:
        trained_on.update(read_manifest(folder / f"data-{kind}").splits["train"].by_difficulty)
    runs = [read_metrics(folder / f"train-{kind}" / "metrics.jsonl") for folder in folders]
    return Data(
        kind=kind,
        seeds=sum(funnel.candidates for funnel in funnels),
        accepted=sum(funnel.accepted for funnel in funnels),
        rejected=dict(rejected.most_common()),
        trained_on=dict(sorted(trained_on.items())),
        model_tokens=sum(row["model_tokens"] * row["trajectories"] for rows in runs for row in rows),
        reward=(
            _mean([row["reward"] for rows in runs for row in rows[:STEPS]]),
            _mean([row["reward"] for rows in runs for row in rows[-STEPS:]]),
        ),
    )


def _scores(domain: str, agent: str, folders: Sequence[Path]) -> list[Score]:
    each = [{row.group: row.exact_match.mean for row in summarise(pooled([folder]))} for folder in folders]
    return [
        Score(domain, agent, row.group, row.exact_match, [one.get(row.group) for one in each], row.searches.mean)
        for row in summarise(pooled(folders))
    ]


def verdict(rows: Sequence[Versus]) -> str:
    """What the test of SAGE's data against the other says, at 5 % after Holm's correction."""
    row = next(row for row in rows if (row.first, row.second, row.group) == (ONE_GO, SAGE, ALL))
    if row.comparison is None or row.p_adjusted is None:
        return "SAGE's data and the other were not compared: no question was scored for both."
    test = row.comparison
    told = f"{_points(test.difference)} points, p = {row.p_adjusted:.2g} (Holm), n = {test.difference.n}"
    if row.p_adjusted >= SIGNIFICANT:
        least = "" if test.detectable is None else f"; a true difference of {100 * test.detectable:.1f} would be found"
        return f"No difference is shown between SAGE's data and the other: {told}{least} 4 times in 5."
    return f"SAGE's data {'wins' if (test.difference.mean or 0) > 0 else 'loses'}: {told}."


def _markdown(found: Findings) -> str:
    seeds = ", ".join(map(str, found.seeds))
    parts = [
        "# From a corpus to an agent",
        f"Seeds {seeds}. Exact match in percent, mean over questions of their attempts, with 95 % intervals over the "
        "questions of all seeds together; in brackets after it the mean of each seed.",
        "\n".join(f"- {DOMAINS[domain]}: {verdict}" for domain, verdict in found.verdicts.items()),
        "## Questions",
        _table(
            ("after round", "correct", "pass (difficulty met)"),
            [(str(one.round), _share(one.correct), _share(one.passed)) for one in found.rounds],
        ),
        _table(
            ("data", "seeds played", "accepted", "trained on, by searches needed", "tokens written", "reward"),
            [
                (
                    one.kind,
                    f"{one.seeds:,}",
                    f"{one.accepted:,}",
                    ", ".join(f"{steps}: {count}" for steps, count in one.trained_on.items()),
                    f"{one.model_tokens:,.0f}",
                    f"{one.reward[0]:.2f} to {one.reward[1]:.2f}",
                )
                for one in found.data
            ],
        ),
    ]
    for domain in found.versus:
        parts += [f"## {DOMAINS[domain]}", _score_table(found, domain), _test_table(found.versus[domain])]
    total = sum(found.cpu_s.values())
    stages = ", ".join(f"{stage} {seconds:.0f}" for stage, seconds in found.cpu_s.items())
    parts += ["## CPU seconds", f"{total:.0f} in all: {stages}.", "![curves](findings.png)"]
    return "\n\n".join(parts) + "\n"


def _score_table(found: Findings, domain: str) -> str:
    rows = [score for score in found.scores if score.domain == domain]
    agents = list(dict.fromkeys(score.agent for score in rows))
    by_group: dict[str, dict[str, Score]] = {}
    for score in rows:
        by_group.setdefault(score.group, {})[score.agent] = score
    return _table(
        ("questions", "n", *agents),
        [
            (_group(group), str(by_agent[agents[0]].exact_match.n), *(_cell(by_agent[agent]) for agent in agents))
            for group, by_agent in by_group.items()
        ],
    )


def _test_table(rows: Sequence[Versus]) -> str:
    told: list[tuple[str, ...]] = []
    for row in rows:
        test = row.comparison
        if test is not None and row.p_adjusted is not None:
            told.append((_group(row.group), row.first, row.second, *_tested(test, row.p_adjusted)))
    return _table(("questions", "from", "to", "n", "difference", "better", "worse", "p", "p (Holm)"), told)


def _tested(test: Comparison, adjusted: float) -> tuple[str, ...]:
    counts = (str(test.difference.n), _points(test.difference), str(test.better), str(test.worse))
    return (*counts, f"{test.p_value:.2g}", f"{adjusted:.2g}")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def _group(name: str) -> str:
    """A group without the benchmark's name: `difficulty 3`, `3 hops`."""
    return name.partition(": ")[2] or name


def _cell(score: Score) -> str:
    seeds = ", ".join("-" if value is None else f"{100 * value:.0f}" for value in score.by_seed)
    return f"{_points(score.exact_match)} ({seeds})"


def _points(found: Estimate) -> str:
    if found.mean is None:
        return "-"
    spread = "" if found.low is None or found.high is None else f" [{100 * found.low:.1f}, {100 * found.high:.1f}]"
    return f"{100 * found.mean:.1f}{spread}"


def _share(share: Proportion) -> str:
    if share.fraction is None or share.low is None or share.high is None:
        return "-"
    return f"{100 * share.fraction:.1f} [{100 * share.low:.1f}, {100 * share.high:.1f}]"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def draw(found: Findings, path: Path) -> None:
    """One panel per domain: exact match by group, one line per agent, with intervals."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, domain in zip(figure.subplots(1, len(found.versus), squeeze=False).flat, found.versus, strict=True):
        rows = [score for score in found.scores if score.domain == domain]
        groups = list(dict.fromkeys(score.group for score in rows))
        for at, agent in enumerate(dict.fromkeys(score.agent for score in rows)):
            of = {score.group: score.exact_match for score in rows if score.agent == agent}
            shown = [(n, one) for n, group in enumerate(groups) if (one := of.get(group)) and one.mean is not None]
            middle = [100 * (one.mean or 0.0) for _, one in shown]
            low = [_apart(one.mean, one.low) for _, one in shown]
            high = [_apart(one.mean, one.high) for _, one in shown]
            places = [n + 0.12 * (at - 1) for n, _ in shown]
            axes.errorbar(places, middle, yerr=[low, high], fmt="o", capsize=3, label=agent)
        axes.set_xticks(range(len(groups)), [_group(group) for group in groups])
        axes.set_ylim(0, 100)
        axes.set_title(DOMAINS[domain])
        axes.set_ylabel("exact match, percent")
        axes.legend(fontsize="small")
    figure.savefig(path, dpi=80, metadata={"Software": None})  # pyright: ignore[reportUnknownMemberType]


def _apart(mean: float | None, bound: float | None) -> float:
    """Points between a mean and the end of its interval; 0 where there is none."""
    return 0.0 if mean is None or bound is None else 100 * abs(bound - mean)
