"""Makes a client from the name of a model. The forms of a name are listed below.

local                     the embedded model qwen2.5-coder-1.5b (1.1 GB, fetched once)
local-small               the embedded model qwen2.5-coder-0.5b (0.5 GB, fetched once)
path/to/model.gguf        any GGUF file, served in this process
path/to/folder            a Hugging Face folder, such as a checkpoint of train, run in this process (extra train)
openai:MODEL              MODEL at OPENAI_BASE_URL, or at api.openai.com if that is not set
mock                      a script that plays every role on any corpus, to try things out (`llm/gallery`)
MODEL@BASE_URL            MODEL at any OpenAI-compatible endpoint, as in Qwen/Qwen3-8B@http://gpu1:8000/v1
MODEL@URL,URL,...         the same model at several endpoints; calls are spread over them
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

from questwell.errors import ConfigError
from questwell.llm.adapting import Manners
from questwell.llm.client import LLM
from questwell.llm.endpoint import Address, shown
from questwell.llm.folder import FolderLLM
from questwell.llm.gallery.mock import NAME as MOCK
from questwell.llm.gallery.mock import MockLLM
from questwell.llm.keys import OPENAI_URL, endpoints_of, key_for, key_variable
from questwell.llm.limiter import Limiter
from questwell.llm.local import LocalLLM, LocalOptions
from questwell.llm.openai import OpenAIClient, OpenAIOptions
from questwell.llm.prices import Price
from questwell.llm.weights import EMBEDDED

OWN = "own:"
"""Prefix of the name of a model that was passed as a Python object: `own:NAME`."""
FORMS = (
    "local, local-small, path/to/model.gguf, a Hugging Face folder, openai:MODEL or MODEL@BASE_URL "
    "(such as Qwen/Qwen3-8B@http://127.0.0.1:8000/v1)"
)


@dataclass(frozen=True, slots=True)
class ConnectOptions:
    """Options for reaching models; the defaults suit most cases."""

    max_in_flight: int = 64
    """Maximum number of calls to one endpoint at the same time; lowered while the endpoint is overloaded."""
    api_key_env: str | None = None
    """Environment variable with the endpoint's API key. None: a provider's usual variable, sent only to its host."""
    base_url: str | None = None
    """Base URL for `openai:MODEL`; None for OPENAI_BASE_URL, or api.openai.com if that is not set."""
    price: Price | None = None
    """Price of the models; None for the public list price, if it is known."""
    endpoint: OpenAIOptions = field(default_factory=OpenAIOptions)
    local: LocalOptions = field(default_factory=LocalOptions)


def connect(spec: str, options: ConnectOptions | None = None) -> LLM:
    """A client of the model that `spec` names in one of the forms above. Nothing is loaded or called yet.

    Raises:
        ConfigError: `spec` has none of these forms, or names a file that does not exist.
    """
    return Connector().connect(spec, options)


class Connector:
    """Makes clients that share one limiter per endpoint and one `Manners` per model and endpoint."""

    def __init__(self) -> None:
        self._limiters: dict[str, Limiter] = {}
        self._manners: dict[tuple[str, str], Manners] = {}
        self._made: list[tuple[str, ConnectOptions, LLM]] = []

    def connect(self, spec: str, options: ConnectOptions | None = None) -> LLM:
        """Like the function `connect`, but equal specs and options get the same client."""
        options = options or ConnectOptions()
        for known, how, llm in self._made:
            if (known, how) == (spec, options):
                return llm
        made = self._connect(spec, options)
        self._made.append((spec, options, made))
        return made

    def _connect(self, spec: str, options: ConnectOptions) -> LLM:
        if spec == MOCK:
            return MockLLM()
        if spec.startswith(OWN):
            raise ConfigError(
                f"{spec!r} is a model that was passed as a Python object: continue the run from Python, with llm="
            )
        if spec in EMBEDDED:
            return LocalLLM(EMBEDDED[spec], options=options.local)
        is_endpoint = spec.startswith("openai:") or "@http://" in spec or "@https://" in spec
        if is_endpoint and (place := endpoints_of(spec, options.base_url)):
            return self._endpoint(place.model, place.base_urls, options)
        if spec.endswith(".gguf"):
            path = Path(spec).expanduser()
            if not path.is_file():
                raise ConfigError(f"there is no model file {spec!r}")
            return LocalLLM(path, options=options.local)
        if (Path(spec).expanduser() / "config.json").is_file():
            return FolderLLM(Path(spec).expanduser())
        raise ConfigError(f"unknown model {spec!r}: name one of: {FORMS}")

    def _endpoint(self, model: str, base_urls: tuple[str, ...], options: ConnectOptions) -> LLM:
        first, *more = (self._address(model, base_url, options) for base_url in base_urls)
        extra = options.endpoint
        kept = (*extra.extra, *(("reasoning_effort",) if extra.reasoning_effort else ()))
        manners = self._manners.setdefault((model, ",".join(base_urls)), Manners(kept))
        return OpenAIClient(
            model,
            first.base_url,
            first.api_key,
            limiter=first.limiter,
            pricing=options.price,
            options=replace(extra, key_name=first.key_name),
            manners=manners,
            more=more,
        )

    def _address(self, model: str, base_url: str, options: ConnectOptions) -> Address:
        limiter = self._limiters.setdefault(base_url, Limiter(options.max_in_flight))
        variable = key_variable(base_url, options.api_key_env)
        key = key_for(base_url, options.api_key_env)
        if not key and (options.api_key_env or base_url == OPENAI_URL):
            raise ConfigError(f"{model!r} at {shown(base_url)} needs a key: set {variable}")
        return Address(base_url, key, limiter, variable)
