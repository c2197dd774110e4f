"""The pages of files and of environment variables. A test compares the files with those of real runs."""

from collections.abc import Iterator

from reference_text import prose

from questwell.assets.cache import HOME_VARIABLE
from questwell.assets.fetch import FOLDER_VARIABLE
from questwell.llm.keys import PROVIDER_VARIABLES
from questwell.recipes.corpus.serve import TOKEN_VARIABLE
from questwell.recipes.runs.batching import FILE as BATCHES
from questwell.recipes.runs.description import FILE_NAME as DESCRIPTION
from questwell.retrieval.choose import ENGINES, SEARXNG_URLS
from questwell.retrieval.remote.remote import KEY_VARIABLE
from questwell.retrieval.rerankers.endpoint import KEY_VARIABLE as RERANKER_KEY

FILES: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
    (
        "A run",
        "Of generate, harden, recheck, gates, rejudge and evaluate. [Runs](../runs.md) explains the tables.",
        (
            (
                "run.sqlite",
                "everything: config, seeds, calls, plays, verdicts, reviews; `-wal` and `-shm` belong to it",
            ),
            ("run.lock", "locked by the process that writes; holds its pid"),
            ("results.json", "of gates and rejudge: what they found, by question"),
            ("gates/*", "the newest `questwell gates RUN`, a run of its own"),
            ("rejudge/*", "`questwell rejudge RUN`, a run of its own"),
            ("recheck/*", "the newest `questwell recheck RUN`, a run of its own"),
            ("labels/*", "the calls of `questwell status RUN --label-llm`"),
            ("shards/*", "the processes of `--shards`, each a run of its own"),
            (BATCHES, "with `--batch`: what was submitted to the endpoint's batch API"),
        ),
    ),
    (
        "A run of train",
        "See [training](../training.md).",
        (
            (DESCRIPTION, "the resolved config, the version, and what must not change"),
            ("run.lock", "locked by the process that writes"),
            ("run.sqlite", "with a judge: its calls"),
            ("metrics.jsonl", "a line per step: [what each metric means](metrics.md)"),
            ("attempts.jsonl", "attempts of some steps, in full"),
            ("evaluations.jsonl", "with `--held-out`: a line per evaluation"),
            ("held_out/*", "with `--held-out`: the attempts of each evaluation"),
            ("charts.png", "the metrics over the steps (extra `plots`)"),
            ("initial/*", "the policy before training, after a warm start"),
            ("initial.made_from", "what that policy was made from"),
            ("checkpoints/*/model/*", "a Hugging Face folder, for `--llm` and for vLLM"),
            ("checkpoints/*/adapter/*", "with an adapter: its weights alone"),
            ("checkpoints/*/state.pt", "optimizer and random state, from which a resume goes on"),
        ),
    ),
    (
        "A run of selfplay",
        "See [self-play](../selfplay.md). Also the files of a run of train that keep the policy.",
        (
            ("steps.jsonl", "a line per step: metrics, invalid proposals by reason, alarms"),
            ("episodes/*", "what was played in each step"),
            ("pool.jsonl", "questions that may be asked again"),
            ("tables/*", "with `--engine verl`: the games that each worker played"),
        ),
    ),
    (
        "A dataset",
        "Made by `questwell dataset`. See [datasets](../datasets.md) for the formats.",
        (
            ("README.md", "the dataset card"),
            ("manifest.json", "sizes and SHA-256 of all files, runs, settings, versions"),
            (".sources.json", "the runs it was made from, for `questwell push`; it is not published"),
            ("croissant.json", "Croissant metadata with the RAI fields"),
            ("dropped.jsonl", "items that were left out, with the reason"),
            ("overlaps.jsonl", "items that are like one of a benchmark"),
            ("data/*", "all items with their lineage, one parquet file per split"),
            ("sealed/*", "splits that are published only obfuscated"),
            ("sft/*", "conversations of right attempts"),
            ("trl/*", "the same with tools, for TRL"),
            ("sharegpt/*", "the same as ShareGPT"),
            ("alpaca/*", "question and answer as Alpaca"),
            ("grpo/*", "prompts for TRL's GRPO"),
            ("verl/*", "rows for verl"),
            ("search-r1/*", "rows for Search-R1"),
            ("slime/*", "rows for slime"),
            ("beir/*", "questions, passages and relevance, as BEIR and TREC"),
        ),
    ),
    (
        "A report",
        "Made by `questwell status RUN --report FOLDER`.",
        (
            ("report.md", "the paper's tables"),
            ("report.json", "the same figures"),
            ("*.svg", "the pictures"),
        ),
    ),
)
"""(title, about, (pattern, meaning) of each file) by kind of folder."""

_VARIABLES: tuple[tuple[str, str], ...] = (
    ("OPENAI_BASE_URL", "address of `openai:MODEL`; by default OpenAI's own"),
    (KEY_VARIABLE, "key of a search server"),
    (RERANKER_KEY, "key of a reranker's endpoint; without it the provider's own"),
    (TOKEN_VARIABLE, "token that `questwell serve` wants from other machines"),
    (HOME_VARIABLE, "folder of what is kept between runs: indexes, models, downloads"),
    (FOLDER_VARIABLE, "folder of public files that you put there by hand, for machines without a network"),
    ("QUESTWELL_OFFLINE", "if set, nothing is fetched from the hub"),
    ("HF_HUB_OFFLINE", "as QUESTWELL_OFFLINE"),
    ("HF_ENDPOINT", "a mirror of the Hugging Face hub"),
    ("REQUESTS_CA_BUNDLE", "certificates to trust; SSL_CERT_FILE and CURL_CA_BUNDLE do the same"),
    (
        "HTTPS_PROXY",
        "proxy of calls to other machines; HTTP_PROXY and NO_PROXY too; loopback is never asked through one",
    ),
    ("NO_COLOR", "if set, output has no colours"),
    ("PROMETHEUS_MULTIPROC_DIR", "folder in which the processes of `questwell serve` share their counters"),
    ("RAY_ADDRESS", "HOST:PORT of the Ray cluster of `--engine ray`; without it a cluster of this machine is started"),
    ("RAY_AUTH_TOKEN", "token of that cluster; one of our own has a new one each time"),
    ("WORLD_SIZE", "set by torchrun: the number of processes that train together; RANK is the number of this one"),
)


def files() -> str:
    """What stands in each folder that Questwell writes."""
    parts = ["# Files", "What is in each folder that Questwell writes. Do not edit these files by hand."]
    for title, about, rows in FILES:
        table = "\n".join(f"| `{pattern}` | {meaning} |" for pattern, meaning in rows)
        parts += [f"## {title}", about, f"| file | what it is |\n|---|---|\n{table}"]
    return "\n\n".join(parts)


def environment() -> str:
    """Every environment variable that is read."""
    return "\n\n".join(
        [
            "# Environment variables",
            "Secrets come from here and from nowhere else, and are not written into runs.",
            "## Keys of models\n\nA key goes to its own provider's hosts. For any other host name the variable with "
            "`--key-env`; see [endpoints](../endpoints.md#keys).",
            "| variable | hosts |\n|---|---|\n" + "\n".join(_providers()),
            "## Keys of search engines\n\nThe first that is set is used.",
            "| engine | variables |\n|---|---|\n" + "\n".join(_engines()),
            "## Others",
            "| variable | what it does |\n|---|---|\n"
            + "\n".join(f"| `{name}` | {prose(meaning)} |" for name, meaning in _VARIABLES),
        ]
    )


def _providers() -> Iterator[str]:
    hosts: dict[str, list[str]] = {}
    for host, variable in PROVIDER_VARIABLES.items():
        hosts.setdefault(variable, []).append(f"`{host}`")
    yield from (f"| `{variable}` | {', '.join(named)} |" for variable, named in hosts.items())


def _engines() -> Iterator[str]:
    for name, engine in ENGINES.items():
        yield f"| `--retriever {name}` | {', '.join(f'`{key}`' for key in engine('').keys)} |"
    yield f"| `--retriever searxng`, its address | {', '.join(f'`{name}`' for name in SEARXNG_URLS)} |"
