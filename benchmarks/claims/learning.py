"""Claims about training: what is learned, at which speed, in how much memory."""

from collections.abc import Iterator
from statistics import mean

from claims.claim import Claim, Result, Section


def selfplay(result: Result) -> Iterator[Claim]:
    for trained, row in result["table"].items():
        before, after = row["held_out_before"], row["held_out_after"]
        what = f"held-out accuracy, trained roles: {trained}"
        yield Claim(what, f"{before['mean']:.2f} → {after['mean']:.2f}", f"sd {after['sd']:.2f} over seeds")
        true = row["true_rate_last_5"]
        what = f"valid questions that are true, last 5 steps, trained roles: {trained}"
        yield Claim(what, f"{true['mean']:.2f}", f"sd {true['sd']:.2f} over seeds")


def selfplay_text(result: Result) -> Iterator[Claim]:
    for one in result["pooled"]:
        before, after = one["pair"].split(" to ")
        what = f"exact match on countries held out, {_counted(one['hops'], 'hop')}, {_counted(one['seeds'], 'seed')}"
        figure = f"{one[before]:.3f} → {one[after]:.3f}, paired {one['difference']:+.3f}, p = {one['p']:.4f}"
        yield Claim(f"{what}: {_PLAYED[before]} to {_PLAYED[after]}", figure, f"[{one['low']:.3f}, {one['high']:.3f}]")
    for run in result["runs"]:
        for trained, rows in run["curves"].items():
            whose = f"{_PLAYED[trained]}, seed {run['seed']}"
            points = [f"{row['held_out_accuracy']:.2f}" for row in rows if row["held_out_accuracy"] is not None]
            yield Claim(f"held-out curve, {whose}, steps 0 to {rows[-1]['step']}", ", ".join(points))
            played = [row for row in rows if row["step"]]
            for name, said in _OF_STEPS.items():
                first, last = (
                    mean([row[name] for row in part if row[name] is not None] or [0.0])
                    for part in (played[:5], played[-5:])
                )
                yield Claim(f"{said}, first and last 5 steps, {whose}", f"{first:.2f}, {last:.2f}")


_PLAYED = {"start": "untrained", "solver": "solver trained", "both": "both trained", "proposer": "proposer trained"}
_OF_STEPS = {
    "valid_rate": "valid proposals",
    "described": "valid questions that describe their country",
    "solver_accuracy": "right attempts",
}


def _named(result: Result) -> str:
    """The model of a result, in words."""
    known = {"local": "the embedded 1.5B model", "local-small": "the embedded 0.5B model"}
    return known.get(result["model"], f"the model `{result['model']}`")


def toy_learning(result: Result) -> Iterator[Claim]:
    for run in result["runs"]:
        before, after = run["exact_match_before"]["test"], run["exact_match_after"]["test"]
        what = f"exact match on test questions, {run['run']}, seed {run['seed']}"
        yield Claim(what, f"{before:.2f} → {after:.2f}")


def real_text(result: Result) -> Iterator[Claim]:
    tests = {"test": "on countries held out", "other_kinds": "on kinds of fact held out too"}
    for one in result["pooled"]:
        where, (before, after) = tests[one["part"]], one["pair"].split(" to ")
        asked = " and ".join(map(str, one["training_questions"].values()))
        setting = f"{one['algorithm']}, {_counted(one['hops'], 'hop')}, trained on {asked} questions"
        what = f"exact match {where}, {setting}, {_counted(one['seeds'], 'seed')}: arm {one['pair']}"
        figure = f"{one[before]:.3f} → {one[after]:.3f}, paired {one['difference']:+.3f}, p = {one['p']:.4f}"
        yield Claim(what, figure, f"[{one['low']:.3f}, {one['high']:.3f}]")
    for run in result["runs"]:
        for part, where in tests.items():
            for pair, change in run[f"{part}_paired"].items():
                one, other = pair.split(" to ")
                setting = f"{run['algorithm']}, {_counted(run['hops'], 'hop')}, seed {run['seed']}"
                what = f"exact match {where}, {setting}: arm {pair}"
                figure = f"{run[part][one]:.3f} → {run[part][other]:.3f}, paired {change['difference']:+.3f}"
                yield Claim(what, figure, f"[{change['low']:.3f}, {change['high']:.3f}]")
        yield from _musique(run)
        for arm, points in run["curves"].items():
            told = ", ".join(f"{point['accuracy']:.2f}" for point in points)
            where = f"arm {arm}, {_counted(run['hops'], 'hop')}, seed {run['seed']}"
            yield Claim(f"held-out curve of {where}, steps 0 to {points[-1]['step']:.0f}", told)
        if game := run.get("game"):
            outcomes = ", ".join(f"{count} {name}" for name, count in sorted(game["outcomes"].items()))
            yield Claim(f"the game of arm C, {_counted(run['hops'], 'hop')}, seed {run['seed']}", outcomes)


def _musique(run: Result) -> Iterator[Claim]:
    """What the arms of a run answer on MuSiQue, which none of them was trained for."""
    found: Result = run.get("musique") or {}
    for metric, said in (("em", "exact match"), ("f1", "F1")):
        for pair, change in found.get(f"{metric}_paired", {}).items():
            one, other = pair.split(" to ")
            before, after, difference = found[one][metric], found[other][metric], change["difference"]
            where = f"{said} on {before['n']} questions of MuSiQue, {_counted(run['hops'], 'hop')}, seed {run['seed']}"
            figure = f"{before['mean']:.3f} → {after['mean']:.3f}, paired {difference['mean']:+.3f}"
            figure += f", p = {change['p_value']:.4f}"
            spread = difference["low"] is not None
            interval = f"[{difference['low']:.3f}, {difference['high']:.3f}]" if spread else "-"
            yield Claim(f"{where}: arm {pair}", figure, interval)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def real_model(result: Result) -> Iterator[Claim]:
    accuracy = [step["accuracy"] for step in result["by_step"]]
    yield Claim(f"training steps of {_named(result)} on one CPU", f"{result['steps']}")
    yield Claim(
        "accuracy, mean of the first and of the last 5 steps", f"{mean(accuracy[:5]):.2f}, {mean(accuracy[-5:]):.2f}"
    )
    yield Claim("CPU time", f"{result['cpu_seconds']:,} s")
    yield Claim("peak memory", f"{result['peak_memory_gib']} GiB")


def throughput(result: Result) -> Iterator[Claim]:
    for name, setting in result["settings"].items():
        ratio = setting["questwell_to_trl"]
        yield Claim(f"attempts per CPU second, against TRL: {name}", f"{ratio['attempts_per_cpu_s']:.2f} x")
        yield Claim(f"tokens trained per CPU second, against TRL: {name}", f"{ratio['update_tokens_per_cpu_s']:.2f} x")


def memory(result: Result) -> Iterator[Claim]:
    for name, case in result["cases"].items():
        figure = f"{case['peak_without_imports_mib']:,} MiB, {case['measured_to_predicted']:.2f} of the estimate"
        yield Claim(f"peak memory of an update: {name}", figure)


def h100(result: Result) -> Iterator[Claim]:
    sampling, arms = result["sampling_135m_random_weights"], result["arms_two_hops"]
    yield Claim("tokens sampled per second, 135M model, 64 dialogues", f"{sampling['tokens_per_s']:,}")
    for name, update in result["update_135m_random_weights"].items():
        if isinstance(update, dict):
            yield Claim(
                f"first update, {name.replace(' a pass', ' per pass')}", f"{update['seconds_first_update']:.1f} s"
            )
    arm = arms["A"]
    yield Claim(f"trained agent on {arm['questions']} two-hop test questions, arm A", f"{arm['test']:.3f}")
    yield Claim("arm B", arms["B"])


SECTIONS = (
    Section(
        "Self-play in the toy world", "selfplay.json", "40 steps, 3 seeds, by the roles that are updated.", selfplay
    ),
    Section(
        "Self-play on real text",
        "selfplay_text.json",
        "SmolLM2-135M, factbook, BM25 (`examples/real_text/self_play.py`). The policy writes the questions itself, for "
        "facts that code found. Intervals resample whole countries. Curves: `benchmarks/results/selfplay_text.png`.",
        selfplay_text,
    ),
    Section("Learning in the toy world", "toy_learning.json", "40 steps per algorithm, two seeds.", toy_learning),
    Section(
        "A language model learns to search real text",
        "real_text.json",
        "SmolLM2-135M, factbook, BM25; questions are composed by code. Arm A is the policy after its warm start, arm B "
        "trained on composed questions, arm C on questions of the SAGE game over them. "
        "Intervals resample whole countries. The held-out curves: `benchmarks/results/real_text.png`.",
        real_text,
    ),
    Section(
        "Training a real model on a CPU",
        "real_model.json",
        "One run with 2 attempts per step: no proof of learning.",
        real_model,
    ),
    Section(
        "Training speed against TRL",
        "throughput.json",
        "Both on the same busy CPU, so per CPU second. Above 1, Questwell is faster.",
        throughput,
    ),
    Section("Memory of training", "memory.json", "One update of a 135M model, imports left out.", memory),
    Section("One H100", "gpu/h100.json", "Speed with random weights, and two training arms.", h100),
)
