"""Sites that a search must not show: there the benchmarks' questions stand beside their answers."""

from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from questwell.errors import ConfigError

BENCHMARK_SITES = (
    "huggingface.co/datasets",
    "hf.co/datasets",
    "datasets-server.huggingface.co",
    "huggingface.co/gaia-benchmark",
    "huggingface.co/spaces/gaia-benchmark",
    "modelscope.cn/datasets",
    "kaggle.com/datasets",
    "opendatalab.com",
    "paperswithcode.com/dataset",
    "hotpotqa.github.io",
    "github.com/hotpotqa",
    "github.com/stonybrooknlp/musique",
    "github.com/alab-nii/2wikimultihop",
    "github.com/ofirpress/self-ask",
    "github.com/alextmallen/adaptive-retrieval",
    "github.com/google-research-datasets",
    "ai.google.com/research/naturalquestions",
    "nlp.cs.washington.edu/triviaqa",
    "github.com/mandarjoshi90/triviaqa",
    "rajpurkar.github.io/squad-explorer",
    "github.com/openai/simple-evals",
    "openaipublic.blob.core.windows.net",
    "github.com/texttron/browsecomp-plus",
    "github.com/petergriffinjin/search-r1",
    "github.com/ruc-nlpir/flashrag",
    "github.com/alibaba-nlp",
    "raw.githubusercontent.com/hotpotqa",
    "raw.githubusercontent.com/stonybrooknlp/musique",
    "raw.githubusercontent.com/alab-nii/2wikimultihop",
    "raw.githubusercontent.com/openai/simple-evals",
)
"""Domains, each with its subdomains; or a domain with the beginning of a path."""


class BlockList:
    """The benchmarks' sites and those that a user adds."""

    def __init__(self, added: Iterable[str] = ()) -> None:
        """Block `added` too: domains or addresses, with or without https:// before them.

        Raises:
            ConfigError: one of them is no domain.
        """
        self.entries = tuple(dict.fromkeys(map(_entry, (*BENCHMARK_SITES, *added))))

    @property
    def domains(self) -> tuple[str, ...]:
        """Entries that are whole domains: what search engines can leave out by themselves."""
        return tuple(entry for entry in self.entries if "/" not in entry)

    def blocks(self, url: str) -> bool:
        """Whether `url` is one of them, or leads to one through an archive or a cache that has it in its address."""
        host, rest = _parts(url)
        for entry in self.entries:
            domain, _, path = entry.partition("/")
            if (host == domain or host.endswith("." + domain)) and _begins(rest, path):
                return True
            if domain in rest and entry in rest:
                return True
        return False


def _entry(text: str) -> str:
    text = text.strip()
    host, rest = _parts(text if "://" in text else f"https://{text}")
    if "." not in host:
        raise ConfigError(f"block: {text!r} is no domain such as example.org or example.org/path")
    path = rest.split("?")[0].strip("/")
    return f"{host}/{path}" if path else host


def _parts(url: str) -> tuple[str, str]:
    """Host, and the rest as it would be read by the server: case folded, escapes resolved."""
    try:
        parts = urlsplit(url.strip())
        host = (parts.hostname or "").rstrip(".").removeprefix("www.")
    except ValueError:
        return "", url.lower()
    path = "/".join(part for part in unquote(parts.path).split("/") if part not in ("", "."))
    return host, f"{path}?{unquote(parts.query)}".lower()


def _begins(rest: str, path: str) -> bool:
    return not path or rest.split("?")[0] == path or rest.startswith((path + "/", path + "?"))
