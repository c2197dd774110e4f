"""Search self-play in the toy world: both roles, solver only, proposer only; what verification lets through.

    python benchmarks/selfplay.py --work FOLDER [--steps 40] [--seeds 3] [--proposals 200]

Steps that exist in FOLDER are not played again. Curves go to benchmarks/results/selfplay.png.
"""

import asyncio
import json
import statistics
import time
from pathlib import Path

import report
from arguments import parser

from questwell.agents.prompts import Prompts
from questwell.agents.session import DirectSession
from questwell.games.answers import Position
from questwell.games.ssp import Rules, StepContext, propose
from questwell.recipes.runs.caller import Caller
from questwell.recipes.selfplay.config import Trained
from questwell.recipes.selfplay.loop import configure, run
from questwell.recipes.selfplay.record import Record, StepRow, series
from questwell.recipes.selfplay.setup import open_setup
from questwell.recipes.selfplay.toy import make_start, start_made_from
from questwell.toy.world import PROMPTS
from questwell.types.game import Place
from questwell.types.selfplay import Invalid

SETTINGS = {
    "batch": 16,
    "attempts": 5,
    "hops": "2..3",
    "turns": 5,
    "turn_tokens": 32,
    "top_k": 1,
    "learning_rate": 1e-3,
    "lr_warmup_steps": 0,
    "minibatches": 1,
    "eval_temperature": 1.0,
    "save_every": 5,
}
SHOWN = ("held_out_accuracy", "valid_rate", "true_rate", "solver_accuracy", "proposer_reward")
"""Values of a step that are printed."""
NOISE = (None, 0, 1, 4, 7)
"""Units of noise among the documents that verify a question; None: no verification."""
ROLES = (Trained.BOTH, Trained.SOLVER, Trained.PROPOSER)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--steps", type=int, default=40)
    options.add_argument("--seeds", type=int, default=3, help="number of repetitions")
    options.add_argument("--work", type=Path, required=True, help="folder of the runs")
    options.add_argument("--proposals", type=int, default=200, help="proposals of each seed that are verified")
    given = options.parse_args()
    heading = report.heading()
    cpu = time.process_time()
    rows: dict[str, list[list[StepRow]]] = {}
    for seed in range(given.seeds):
        for train in ROLES:
            rows.setdefault(train.value, []).append(played(given.work, train, seed, given.steps))
    table = {name: summary(runs) for name, runs in rows.items()}
    checked = {
        seed: asyncio.run(verification(given.work / f"{ROLES[0].value}-{seed}", seed, given.proposals))
        for seed in range(given.seeds)
    }
    print("verification", json.dumps(checked))
    for name, row in table.items():
        print(name, json.dumps(row))
    curves = {
        name: [
            {key: series(run, key) for key in ("held_out_accuracy", "valid_rate", "proposer_reward")} for run in runs
        ]
        for name, runs in rows.items()
    }
    report.write(
        "selfplay",
        {
            **heading,
            "settings": SETTINGS,
            "steps": given.steps,
            "cpu_s": round(time.process_time() - cpu),
            "table": table,
            "verification": checked,
            "curves": curves,
        },
    )
    picture(rows, report.RESULTS / "selfplay.png")


def played(work: Path, train: Trained, seed: int, steps: int) -> list[StepRow]:
    """Play the steps of one run that are missing, and return all steps."""
    folder = work / f"{train.value}-{seed}"
    start = work / "start"
    if not start.is_dir():
        make_start(0, Prompts(PROMPTS)).save(start)
    if not (folder / "start").exists():
        folder.mkdir(parents=True)
        (folder / "start").symlink_to(start.resolve())  # one warm start for all seeds, which differ in all else
        (folder / "start.made_from").write_text(start_made_from(seed, Prompts(PROMPTS)))
    values = {
        "model": "toy",
        "corpus": "toy",
        "train": train,
        "seed": seed,
        "steps": steps,
        "eval_every": 5,
        **SETTINGS,
    }
    config = configure(folder, values, resume=True)
    started = time.time()
    run(config, folder, Caller(resume=True, on_progress=lambda row: tell(folder.name, row, started)))
    return Record(folder).rows()


def tell(name: str, row: StepRow, started: float) -> None:
    known = {key: round(value, 3) for key, value in row.values.items() if value is not None}
    kept = {key: known[key] for key in SHOWN if key in known}
    print(f"{time.time() - started:6.0f} s {name} {row.step}: {kept} {row.by_hops or ''}", flush=True)


def summary(runs: list[list[StepRow]]) -> dict[str, object]:
    """Figures of one setup: mean over the seeds, standard deviation, and each seed's own figure."""

    def over(values: list[float]) -> dict[str, object]:
        spread = statistics.stdev(values) if len(values) > 1 else None
        return {"mean": statistics.fmean(values), "sd": spread, "seeds": values}

    def mean_of(name: str, part: slice) -> dict[str, object]:
        return over([statistics.fmean(series(run[part], name)[1]) for run in runs])

    held_out = [series(run, "held_out_accuracy")[1] for run in runs]
    return {
        "held_out_before": over([values[0] for values in held_out]),
        "held_out_after": over([values[-1] for values in held_out]),
        "held_out_gain": over([values[-1] - values[0] for values in held_out]),
        "by_hops_before": [run[0].by_hops for run in runs],
        "by_hops_after": [run[-1].by_hops for run in runs],
        "valid_rate_first_5": mean_of("valid_rate", slice(1, 6)),
        "valid_rate_last_5": mean_of("valid_rate", slice(-5, None)),
        "true_rate_first_5": mean_of("true_rate", slice(1, 6)),
        "true_rate_last_5": mean_of("true_rate", slice(-5, None)),
        "proposer_reward_last_5": mean_of("proposer_reward", slice(-5, None)),
        "solver_accuracy_last_5": mean_of("solver_accuracy", slice(-5, None)),
        "question_length_last_5": mean_of("question_length", slice(-5, None)),
    }


async def verification(folder: Path, seed: int, proposals: int) -> list[dict[str, object]]:
    """What RAG verification by the start policy lets through, of the same proposals, by the amount of noise.

    A question is wrong if its true answer, which the toy world knows, is not the one that it was written for.
    """
    config = configure(folder, {}, resume=True)
    setup = open_setup(config, folder)
    trainer, players, world = setup.trainer, setup.players, setup.world

    def sessions(place: Place) -> DirectSession:
        return DirectSession(trainer.client(f"{place}"), world.retriever)

    assert world.truth is not None
    batch = world.answers(Position()).take(proposals)
    rows: list[dict[str, object]] = []
    for noise in NOISE:
        rules = Rules(attempts=1, verify=noise is not None, noise=noise or 0)
        step = StepContext(1, rules, players, sessions, config.pool(), lambda count: [])
        proposed = await propose(batch, step)
        asked = [one for one in proposed if one.invalid in (None, Invalid.UNSUPPORTED, Invalid.UNSCORED)]
        true = [world.truth(one.question or "") in one.seed.references for one in asked]
        passed = [one.valid for one in asked]
        row: dict[str, object] = {
            "noise": noise,
            "proposals": len(proposed),
            "well_formed": len(asked),
            "right": sum(true),
            "wrong": len(true) - sum(true),
            "right_kept": sum(one and ok for one, ok in zip(passed, true, strict=True)),
            "wrong_let_through": sum(one and not ok for one, ok in zip(passed, true, strict=True)),
        }
        rows.append(row)
    return rows


def picture(rows: dict[str, list[list[StepRow]]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 3.6), layout="constrained")
    panels = ("held_out_accuracy", "valid_rate", "proposer_reward", "solver_accuracy")
    for axes, panel in zip(figure.subplots(1, 4).flat, panels, strict=True):
        for colour, (name, runs) in zip(("C0", "C1", "C2"), rows.items(), strict=True):
            lines = [series(run, panel) for run in runs]
            for steps, values in lines:
                axes.plot(steps, values, color=colour, alpha=0.25)
            steps = lines[0][0]
            setup = [statistics.fmean(column) for column in zip(*(values for _, values in lines), strict=False)]
            axes.plot(steps[: len(setup)], setup, color=colour, label=name, linewidth=2)
        axes.set_title(panel)
        axes.set_xlabel("step")
        axes.legend(fontsize="small")
    figure.savefig(path, dpi=80)  # pyright: ignore[reportUnknownMemberType]


if __name__ == "__main__":
    main()
