"""Which figures of benchmarks/results/*.json are claims, and how each is worded: what results_page.py prints."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import mean
from typing import Any

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Claim:
    """One row of a table."""

    what: str
    figure: str
    interval: str = "-"
    """The 95 % interval, or the spread where the file has no interval."""


@dataclass(frozen=True, slots=True)
class Section:
    """What one result file shows."""

    title: str
    file: str
    """Below benchmarks/results."""
    about: str
    """What was measured, and what it does not show."""
    claims: Callable[[Result], Iterator[Claim]]


def foldoc_20(result: Result) -> Iterator[Claim]:
    yield Claim("items accepted, of the seeds played", f"{result['accepted']} of {result['seeds']}")
    for reader, sound in zip(("first reading", "blind reading"), result["sound_by_reader"], strict=True):
        yield Claim(f"accepted items that are sound, {reader}", f"{sound} of {result['accepted']}")


def facts(result: Result) -> Iterator[Claim]:
    yield Claim("items accepted, of the seeds played", f"{result['accepted']} of {result['seeds']}")
    for steps, figure in result["accepted_by_steps"].items():
        share, _, interval = figure.partition(" [")
        low, high = interval.rstrip("]").split(", ")
        yield Claim(f"items accepted, {steps} search steps wanted", share, f"{low} % to {high} %")
    readings = len(result["sound_by_reader"])
    lower = "lower of two readings" if readings == 2 else "one reading"
    yield Claim(f"accepted items that are sound, {lower}", f"{result['sound']} of {result['accepted']}")


def judge_pairs(result: Result) -> Iterator[Claim]:
    for part, kinds in result["packaged prompt"].items():
        for kind, found in kinds.items():
            low, high = found["wilson 95"]
            figure = f"{found['right calls']} of {found['pairs']}"
            yield Claim(f"{kind} judged correctly, {part} pairs", figure, between(low, high))


def answer_pairs(result: Result) -> Iterator[Claim]:
    for which, name in (("new", "now"), ("old", "before")):
        found = result[which]
        yield Claim(f"decided by code and wrong, {name}", f"{found['wrong calls']} of {result['pairs']}")
        yield Claim(f"decided by code and right, {name}", f"{found['right calls']} of {result['pairs']}")
        yield Claim(f"left to the judge, {name}", f"{found['asked']} of {result['pairs']}")


def from_corpus_to_agent(result: Result) -> Iterator[Claim]:
    names = {"in": "questions like those trained on", "out": "plain questions of the same world"}
    for score in result["scores"]:
        if score["group"] == "all":
            exact = score["exact_match"]
            what = f"exact match of the {score['agent']} agent, {names[score['domain']]}"
            yield Claim(what, f"{exact['mean']:.3f}", between(exact["low"], exact["high"]))
    for domain, comparisons in result["versus"].items():
        for one in comparisons:
            if one["group"] == "all":
                gain = one["comparison"]["difference"]
                what = f"{one['second']} minus {one['first']}, {names[domain]} (p = {one['p_adjusted']:.3f})"
                yield Claim(what, f"{gain['mean']:+.3f}", between(gain["low"], gain["high"], signed=True))
    for found in result["rounds"]:
        passed = found["passed"]
        what = f"plays that passed by round {found['round']}"
        yield Claim(what, f"{passed['count']} of {passed['of']}", between(passed["low"], passed["high"]))


def early_stop(result: Result) -> Iterator[Claim]:
    for one in result["results"]:
        saved = one["calls_of_solver_and_judge"]
        low, high = saved["interval_95"]
        yield Claim(
            f"solver and judge calls saved ({one['setting']})", f"{saved['saved']:.1%}", f"{low:.1%} to {high:.1%}"
        )
        yield Claim(f"verdicts that differ ({one['setting']})", f"{one['plays_that_differ']} of {one['seeds']}")


def selfplay(result: Result) -> Iterator[Claim]:
    for trained, row in result["table"].items():
        before, after = row["held_out_before"], row["held_out_after"]
        what = f"held-out accuracy, trained roles: {trained}"
        yield Claim(what, f"{before['mean']:.2f} → {after['mean']:.2f}", f"sd {after['sd']:.2f} over seeds")
        true = row["true_rate_last_5"]
        what = f"valid questions that are true, last 5 steps, trained roles: {trained}"
        yield Claim(what, f"{true['mean']:.2f}", f"sd {true['sd']:.2f} over seeds")


def selfplay_text(result: Result) -> Iterator[Claim]:
    yield Claim("self-play steps on real text with a 135M model", str(len(result["steps"])))
    yield Claim("CPU time", f"{result['cpu_seconds']:,} s")
    yield Claim("peak memory", f"{result['peak_memory_gib']} GiB")


def toy_learning(result: Result) -> Iterator[Claim]:
    for run in result["runs"]:
        before, after = run["exact_match_before"]["test"], run["exact_match_after"]["test"]
        what = f"exact match on test questions, {run['run']}, seed {run['seed']}"
        yield Claim(what, f"{before:.2f} → {after:.2f}")


def real_text(result: Result) -> Iterator[Claim]:
    tests = {"test": "on countries held out", "other_kinds": "on kinds of fact held out too"}
    for run in result["runs"]:
        for part, where in tests.items():
            for pair, change in run[f"{part}_paired"].items():
                one, other = pair.split(" to ")
                what = f"exact match {where}, {run['algorithm']}, {run['hops']} hop, seed {run['seed']}: arm {pair}"
                figure = f"{run[part][one]:.3f} → {run[part][other]:.3f}, paired {change['difference']:+.3f}"
                yield Claim(what, figure, f"[{change['low']:.3f}, {change['high']:.3f}]")
        for arm, points in run["curves"].items():
            told = ", ".join(f"{point['accuracy']:.2f}" for point in points)
            yield Claim(f"held-out curve of arm {arm}, seed {run['seed']}, steps 0 to {points[-1]['step']:.0f}", told)


def real_model(result: Result) -> Iterator[Claim]:
    accuracy = [step["accuracy"] for step in result["by_step"]]
    yield Claim("training steps of a 135M model on one CPU", f"{result['steps']}")
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


def recall(result: Result) -> Iterator[Claim]:
    for name, one in result["retrievers"].items():
        at_10 = one["recall"]["10"]
        what = f"recall@10, {name} ({one['cpu_ms_per_query']:.2f} ms of CPU per query)"
        yield Claim(what, f"{at_10['mean']:.3f}", between(at_10["low"], at_10["high"]))


def million(result: Result) -> Iterator[Claim]:
    build, lexical, rival = result["build"], result["lexical"], result["bm25s"]
    yield Claim("passages indexed", f"{build['passages']:,}")
    yield Claim("CPU time to build the index (bm25s)", f"{build['cpu_s']:.0f} s ({rival['build_cpu_s']:.0f} s)")
    yield Claim("CPU time per query (bm25s)", f"{lexical['cpu_ms_mean']:.1f} ms ({rival['cpu_ms_mean']:.0f} ms)")
    peak = max(build["peak_bytes"], lexical["peak_bytes"])
    figure = f"{peak / 1e6:,.0f} MB ({rival['peak_bytes'] / 1e6:,.0f} MB)"
    yield Claim("peak memory of building and querying (bm25s)", figure)
    yield Claim("hybrid search, CPU time per query", f"{result['hybrid']['cpu_ms_mean']:.1f} ms")


def serving(result: Result) -> Iterator[Claim]:
    for name, ratio in result["ratios_to_fastapi"].items():
        figure = f"{ratio['queries_per_s']:.2f} x, 99th percentile {ratio['p99']:.2f} x"
        load = name.replace(" queries a ", " queries per ").replace(" 1 queries", " 1 query")
        yield Claim(f"queries per second against FastAPI: {load}", figure)
    busy = result["overload"]["statuses"]
    yield Claim("overload: requests answered, refused with 429", f"{busy['200']:,}, {busy['429']:,}")


def ray_kills(result: Result) -> Iterator[Claim]:
    kinds = [kill["what"] for kill in result["kills"]]
    yield Claim("kills", f"{len(kinds)}: " + ", ".join(f"{kinds.count(one)} {one}" for one in dict.fromkeys(kinds)))
    same = "yes" if result["same_items"] and result["same_rows"] else "no"
    yield Claim("the run equals that of one process, row by row", same)
    yield Claim("calls of one process; paid", f"{result['calls_of_one_process']:,}; {result['calls_paid']:,}")
    figure = f"{result['paid_twice']}, {result['most_paid_twice']}"
    yield Claim("calls paid twice, and the most that the plays under way could cost", figure)


def shards(result: Result) -> Iterator[Claim]:
    equal, kills = result["equality"], result["kills"]
    yield Claim("seeds, shards", f"{equal['seeds']:,}, {equal['shards']}")
    figure = f"{equal['rows_compared']:,}, {equal['different']}"
    yield Claim("rows compared with the run of one process, rows that differ", figure)
    kinds = ", ".join(f"{count} of {kind}" for kind, count in kills["killed"].items())
    yield Claim("kills, over a run of 4 shards", f"{sum(kills['killed'].values())}: {kinds}")
    same = "yes" if kills["same_accepted_set"] and not kills["different"] else "no"
    yield Claim("the killed run equals one that was never killed, row by row", same)
    yield Claim(
        "calls that the run keeps; answered by the server", f"{kills['calls_kept']:,}; {kills['calls_asked']:,}"
    )
    figure = f"{kills['paid_twice']}, {kills['at_most_in_flight']}"
    yield Claim("calls paid twice, and the most that were in flight at the kills", figure)


def million_seeds(result: Result) -> Iterator[Claim]:
    steps = result["steps"]
    yield Claim("seeds, recorded calls", f"{result['seeds']:,}, {result['calls']:,}")
    yield Claim("size of the run file", f"{result['run_file_bytes'] / 1e9:.1f} GB")
    names = {
        "half_played": "half of them played",
        "resumed": "resumed, the other half played",
        "resumed_when_complete": "resumed when it is complete",
        "status": "`status`",
        "export": "exported",
        "items_read": "each item read, one at a time",
    }
    for step, what in names.items():
        yield Claim(what, f"{steps[step]['cpu_s']:,.1f} s of CPU, peak {steps[step]['peak_mib']} MiB")
    yield Claim("peak memory of the imports alone", f"{steps['imports']['peak_mib']} MiB")


def before(result: Result) -> Iterator[Claim]:
    ratio = result["now_over_before"]
    yield Claim("CPU time to build an index, now over before", f"{ratio['build_cpu_s']:.2f}")
    yield Claim("CPU time per query, now over before", f"{ratio['query_cpu_ms']:.2f}")


def overhead(result: Result) -> Iterator[Claim]:
    names = {
        "pooled_httpx2": "httpx2 alone",
        "bare_aiohttp": "aiohttp alone",
        "openai_client": "our client",
        "recorded": "our client, each call recorded",
    }
    for one in result["results"]:
        if one["share_of_ideal"] is not None:
            what = f"{names[one['path']]}, {one['in_flight']:,} calls in flight that take {one['latency_s']:.0f} s each"
            yield Claim(what, call_figure(one))


def peers(result: Result) -> Iterator[Claim]:
    if note := result.get("note"):
        yield Claim("what to know of this run", note)
    for one in result["results"]:
        about = result["peers"][one["peer"]]
        who = f"{about['title']} {about['version']}".strip()
        yield Claim(f"{who}, {one['in_flight']:,} calls in flight", call_figure(one))
    for name, why in result["absent"].items():
        yield Claim(name, why)


def call_figure(one: Result) -> str:
    """Share of the ideal rate, CPU time and memory of one row of calls."""
    whole, steady = one["share_of_ideal"], one.get("steady_share_of_ideal")
    rate = (
        f"{whole:.0%} of the ideal rate" if steady is None else f"{steady:.0%} of the ideal rate ({whole:.0%} in all)"
    )
    cpu = one["cpu_ms_per_call"]
    parts = [rate, f"{cpu:.2f} ms of CPU per call" if cpu is not None else "", one.get("problem", "")]
    memory = f"{one['peak_memory_mb']} MB" if "peak_memory_mb" in one else ""
    return ", ".join(filter(None, [*parts, memory]))


def startup(result: Result) -> Iterator[Claim]:
    for one in result["results"]:
        yield Claim(
            f"CPU time of `{one['call']}`, before and now", f"{one['cpu_s_before']:.2f} s, {one['cpu_s_now']:.2f} s"
        )


def view(result: Result) -> Iterator[Claim]:
    pages = result["page_s"]
    slowest = max(pages, key=lambda page: pages[page])
    yield Claim("plays in the run, size of its file", f"{result['plays']:,}, {result['file_mb'] / 1000:.1f} GB")
    yield Claim("CPU time of `questwell status`", f"{result['status']['cpu_s']:.2f} s")
    yield Claim("first page of the items", f"{pages['r/run/items']:.2f} s")
    yield Claim(f"slowest page (`{slowest}`)", f"{pages[slowest]:.2f} s")
    yield Claim("peak memory of the server", f"{result['peak_memory_mb']} MB")


def between(low: float, high: float, signed: bool = False) -> str:
    """An interval in words."""
    sign = "+" if signed else ""
    return f"{low:{sign}.3f} to {high:{sign}.3f}"


SECTIONS = (
    Section(
        "Questions by the embedded model",
        "foldoc_20.json",
        "20 seeds of `foldoc`, 2 to 4 steps, played by the embedded 1.5B model. The second reader was blind. "
        "Items of this model are there to try the pipeline, not to train on.",
        foldoc_20,
    ),
    Section(
        "Questions by the embedded model, fact by fact",
        "facts.json",
        "The demo's command over `factbook`, eight seeds in nine minutes. The second reader was blind, and strict: a "
        'question that says "the coastline" for its length was not sound to it.',
        facts,
    ),
    Section(
        "Questions by the embedded model, on films",
        "films.json",
        "A corpus that the proposer was not tuned on, stopped by hand after four seeds. The second reader was "
        "blind. Four seeds say little.",
        facts,
    ),
    Section(
        "The embedded model as a judge",
        "judge_pairs.json",
        "Pairs of a reference and a given answer; wrong answers are near misses. The held-out runs were stopped "
        "before their end. This judge lets many near misses through: use a capable judge for data that counts.",
        judge_pairs,
    ),
    Section(
        "Answers that code decides",
        "answer_pairs.json",
        "Pairs of answers with known verdicts. Code decides where it is sure and leaves the rest to the judge.",
        answer_pairs,
    ),
    Section(
        "From a corpus to an agent",
        "from_corpus_to_agent.json",
        "A toy world and a tiny model, 3 seeds. The agent trained on SAGE's questions gains on questions like its own, "
        "and loses on plain ones.",
        from_corpus_to_agent,
    ),
    Section(
        "Attempts that stop early",
        "early_stop.json",
        "A simulation set to the paper's rates, 2,000 seeds per setting.",
        early_stop,
    ),
    Section(
        "Self-play in the toy world", "selfplay.json", "40 steps, 3 seeds, by the roles that are updated.", selfplay
    ),
    Section(
        "Self-play on real text",
        "selfplay_text.json",
        "Shows that it runs on one core. Too short to learn anything.",
        selfplay_text,
    ),
    Section("Learning in the toy world", "toy_learning.json", "40 steps per algorithm, two seeds.", toy_learning),
    Section(
        "A language model learns to search real text",
        "real_text.json",
        "SmolLM2-135M, factbook, BM25; questions are composed by code. Arm A is the policy after its warm start, arm B "
        "after 20 steps of training on composed questions. Intervals resample whole countries.",
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
    Section("Retrieval", "recall.json", "300 questions of MuSiQue over their 9,080 paragraphs.", recall),
    Section(
        "A million passages",
        "million.json",
        "Passages recombined from MuSiQue's sentences; bm25s on the same.",
        million,
    ),
    Section(
        "Serving a corpus",
        "serving.json",
        "Two processes of Questwell against a plain one-process FastAPI server of the same index of 9,048 passages.",
        serving,
    ),
    Section(
        "A run in shards",
        "shards.json",
        "`generate --shards` with scripted agents, next to the same run in one process, and killed again and again.",
        shards,
    ),
    Section(
        "A million seeds",
        "million_seeds.json",
        "Two recorded calls per seed, by agents and a corpus that cost next to nothing; each step is a process.",
        million_seeds,
    ),
    Section(
        "SIGKILLs over a run that Ray plays",
        "ray_kills.json",
        "A scripted model of 50 ms; 3 players, 12 plays at once, on a busy machine. A kill of a player may cost 4 "
        "calls, of the command or the head 12, of a keeper or of who divides calls none.",
        ray_kills,
    ),
    Section(
        "Indexing against the code before",
        "before.json",
        "A million passages recombined from MuSiQue's, by today's code and by that of before its readers.",
        before,
    ),
    Section(
        "Overhead per model call",
        "overhead.json",
        "A loopback endpoint with a fixed latency of 1 s, on the same cores. The ideal rate is the calls in flight per "
        "second. Where there are two shares, the first is that of the calls after each worker's first, the second that "
        "of the whole run, which begins and ends with fewer calls in flight.",
        overhead,
    ),
    Section(
        "The same calls by others",
        "peers.json",
        "Short prompts, one call each, against a loopback endpoint with a fixed latency of 1 s, on the same cores. The "
        "first share leaves out the first and the last wave of replies, the second is that of the whole run, from the "
        "first request to the last reply. What each keeps of a reply, and its settings, are in the file: the openai "
        "SDK and litellm keep nothing. The picture is `benchmarks/results/peers.png`.",
        peers,
    ),
    Section("Starting a command", "startup.json", "Best of 6.", startup),
    Section(
        "Pages over a million plays",
        "view.json",
        "A synthetic run. The best of three requests per page, on a busy machine.",
        view,
    ),
)
