"""Claims about runs: shards, kills and size."""

from collections.abc import Iterator

from claims.claim import Claim, Result, Section


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


def ray_kills(result: Result) -> Iterator[Claim]:
    kinds = [kill["what"] for kill in result["kills"]]
    yield Claim("kills", f"{len(kinds)}: " + ", ".join(f"{kinds.count(one)} {one}" for one in dict.fromkeys(kinds)))
    same = "yes" if result["same_items"] and result["same_rows"] else "no"
    yield Claim("the run equals that of one process, row by row", same)
    yield Claim("calls of one process; paid", f"{result['calls_of_one_process']:,}; {result['calls_paid']:,}")
    figure = f"{result['paid_twice']}, {result['most_paid_twice']}"
    yield Claim("calls paid twice, and the most that the plays under way could cost", figure)


def many_items(result: Result) -> Iterator[Claim]:
    if note := result.get("note"):
        yield Claim("what to know of this run", note)
    for items, steps in result["items"].items():
        for step, one in steps.items():
            before, now = one["before"], one["now"]
            what = f"peak memory of `{step.replace('_json', ' --json')}` over {int(items):,} items, before and now"
            took = f"{before['cpu_s']:.1f} s, {now['cpu_s']:.1f} s of CPU"
            yield Claim(what, f"{before['peak_mib']} MiB, {now['peak_mib']} MiB; {took}")
        same = "yes" if all(one["same_result"] for one in steps.values()) else "no"
        yield Claim(f"both write the same over {int(items):,} items", same)


def kills(result: Result) -> Iterator[Claim]:
    verbs = ", ".join(f"{one['kills']} of {one['verb']}" for one in result["verbs"])
    yield Claim("SIGKILLs", f"{result['kills']}: {verbs}")
    early = sum(share == 0 for one in result["verbs"] for share in one["share_answered_at_kill"])
    yield Claim("of them before the first answer was kept", f"{early}")
    yield Claim("runs that ended as the same run left alone", f"{len(result['verbs'])} of {len(result['verbs'])}")
    yield Claim("calls of the runs left alone", f"{result['calls']:,}")
    figure = f"{result['paid_again']}, {result['most_paid_again']}"
    yield Claim("calls in flight at a kill and made once more, and the most that the kills may cost", figure)
    yield Claim("answered calls that were paid again", "0")


SECTIONS = (
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
        "Reading every item of a run",
        "many_items.json",
        "What reads every item, by the code of before and by today's on the same run; the imports alone take 111 MiB. "
        "An item has two recorded calls and one short attempt; real items also hold attempts with their passages.",
        many_items,
    ),
    Section(
        "SIGKILLs over five commands",
        "kills.json",
        "Each command's process is killed again and again, from its start to its last call, and resumed. A scripted "
        "model on the same machine counts what it is asked. The file is written only if each run ends as one that was "
        "left alone and no answered call is paid again.",
        kills,
    ),
    Section(
        "SIGKILLs over a run that Ray plays",
        "ray_kills.json",
        "A scripted model of 50 ms; 3 players, 12 plays at once, on a busy machine. A kill of a player may cost 4 "
        "calls, of the command or the head 12, of a keeper or of who divides calls none.",
        ray_kills,
    ),
)
