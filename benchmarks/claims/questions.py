"""Claims about questions: how many are accepted and sound, how well judges judge, what the early stop saves."""

from collections.abc import Iterator

from claims.claim import Claim, Result, Section, between


def staged_questions(result: Result) -> Iterator[Claim]:
    for steps, one in result["pooled"].items():
        figure = f"{one['accepted']} of {one['of']}"
        yield Claim(f"items accepted, {steps} steps wanted, all corpora", figure, between(one["low"], one["high"]))
        spent = f"{one['median_s']:g} s, {one['median_searches']:g} searches"
        yield Claim(f"median of a seed on one core, {steps} steps wanted", spent)
    for one in result["runs"]:
        figure = f"{one['accepted']} of {one['of']}"
        yield Claim(
            f"items accepted, `{one['corpus']}`, {one['steps']} steps", figure, between(one["low"], one["high"])
        )
    for reader, one in zip(("first reading", "blind reading"), result["sound_by_reader"], strict=False):
        figure = f"{one['accepted']} of {one['of']}"
        yield Claim(f"accepted items that are sound, {reader}", figure, between(one["low"], one["high"]))


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


SECTIONS = (
    Section(
        "Questions by the embedded model",
        "staged_questions.json",
        "20 seeds per corpus and number of steps, played by the embedded 1.5B model on one core of two busy ones. "
        "Films, attack and jargon are corpora that the agents were not tuned on. The second reader was blind.",
        staged_questions,
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
        "A toy world and a tiny model, 9 seeds. The agent trained on SAGE's questions gains on questions like its own. "
        "On plain ones both trained agents lose a little.",
        from_corpus_to_agent,
    ),
    Section(
        "Attempts that stop early",
        "early_stop.json",
        "A simulation set to the paper's rates, 2,000 seeds per setting.",
        early_stop,
    ),
)
