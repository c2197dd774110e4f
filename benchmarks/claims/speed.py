"""Claims about what Questwell itself adds: per model call, per command, per page."""

from collections.abc import Iterator

from claims.claim import Claim, Result, Section


def overhead(result: Result) -> Iterator[Claim]:
    names = {
        "raw_socket": "a raw socket",
        "bare_httpx2": "httpx2 in one pool",
        "pooled_httpx2": "httpx2 in pools of 8 connections",
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


def startup(result: Result) -> Iterator[Claim]:
    for one in result["results"]:
        earlier = one.get("cpu_s_before")
        before = "not measured" if earlier is None else f"{earlier:.2f} s"
        yield Claim(f"CPU time of `{one['call']}`, before and now", f"{before}, {one['cpu_s_now']:.2f} s")


def view(result: Result) -> Iterator[Claim]:
    pages = result["page_s"]
    slowest = max(pages, key=lambda page: pages[page])
    yield Claim("plays in the run, size of its file", f"{result['plays']:,}, {result['file_mb'] / 1000:.1f} GB")
    yield Claim("CPU time of `questwell status`", f"{result['status']['cpu_s']:.2f} s")
    yield Claim("first page of the items", f"{pages['r/run/items']:.2f} s")
    yield Claim(f"slowest page (`{slowest}`)", f"{pages[slowest]:.2f} s")
    yield Claim("peak memory of the server", f"{result['peak_memory_mb']} MB")


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


SECTIONS = (
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
    Section(
        "Starting a command",
        "startup.json",
        "User and system time, the lowest of the repeats. Each revision reads a run that it made itself, of 24 seeds.",
        startup,
    ),
    Section(
        "Pages over a million plays",
        "view.json",
        "A synthetic run. The best of three requests per page, on a busy machine.",
        view,
    ),
)
