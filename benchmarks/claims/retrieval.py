"""Claims about retrieval: recall, and the cost of indexing, searching and serving."""

from collections.abc import Iterator

from claims.claim import Claim, Result, Section, between


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
        # "a request" is how older results say it.
        load = name.replace(" queries a ", " queries per ").replace(" 1 queries", " 1 query")
        yield Claim(f"queries per second against FastAPI: {load}", figure)
    busy = result["overload"]["statuses"]
    [refusal] = busy.keys() - {"200"}
    yield Claim(f"overload: requests answered, refused with {refusal}", f"{busy['200']:,}, {busy[refusal]:,}")


def before(result: Result) -> Iterator[Claim]:
    ratio = result["now_over_before"]
    yield Claim("CPU time to build an index, now over before", f"{ratio['build_cpu_s']:.2f}")
    yield Claim("CPU time per query, now over before", f"{ratio['query_cpu_ms']:.2f}")


SECTIONS = (
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
        "Indexing against the code before",
        "before.json",
        "A million passages recombined from MuSiQue's, by today's code and by that of before its readers.",
        before,
    ),
)
