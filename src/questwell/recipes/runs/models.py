"""Config keys for how models are reached and called, for all roles and for single roles."""

import json
import shlex
from collections.abc import Mapping
from typing import Annotated, ClassVar, Self, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from questwell.llm.client import LLM
from questwell.llm.connect import ConnectOptions, Connector
from questwell.llm.openai import OpenAIOptions
from questwell.llm.prices import Price
from questwell.recipes.runs.agents import is_embedded
from questwell.recipes.runs.config import RecipeConfig, Values
from questwell.text.lists import comma_parts, split_commas
from questwell.types.trajectory import Role


def _json(value: object) -> object:
    """Parse a JSON object given as a flag; a table from TOML or Python passes through."""
    if not isinstance(value, str):
        return value
    try:
        tree: object = json.loads(value)
    except json.JSONDecodeError as error:
        raise ValueError(f'expected a JSON object like {{"top_k": 20}}: {error}') from None
    if not isinstance(tree, dict):
        raise ValueError("expected a JSON object")
    return cast(object, tree)


def _pairs(value: object) -> object:
    """Parse `name=value,name=value` given as a flag."""
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=") for part in comma_parts(value)]
    if wrong := [name for name, equals, _ in pairs if not equals]:
        raise ValueError(f"expected NAME=VALUE, not {wrong[0]!r}")
    return {name.strip(): given.strip() for name, _, given in pairs}


def _roles(value: object) -> object:
    """Parse `judge.omit=stop,seed solver.timeout_s=900` given as a flag."""
    if not isinstance(value, str):
        return value
    found: dict[str, dict[str, str]] = {}
    for part in shlex.split(value):
        place, equals, given = part.partition("=")
        role, dot, key = place.partition(".")
        if not equals or not dot:
            raise ValueError(f"expected ROLE.KEY=VALUE such as judge.omit=stop, not {part!r}")
        found.setdefault(role, {})[key.replace("-", "_")] = given
    return found


Names = Annotated[tuple[str, ...], BeforeValidator(split_commas)]
Table = Annotated[dict[str, JsonValue], BeforeValidator(_json)]
Pairs = Annotated[dict[str, str], BeforeValidator(_pairs)]


class RoleOptions(BaseModel):
    """Options for the model of one role; an option that is not set is the same as for all roles."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    key_env: str | None = None
    base_url: str | None = None
    omit: Names | None = None
    extra: Table | None = None
    headers: Pairs | None = None
    query: Pairs | None = None
    reasoning_effort: str | None = None
    timeout_s: float | None = Field(default=None, gt=0)
    stream: bool | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    """Maximum tokens of one reply, thoughts included."""
    temperature: float | None = Field(default=None, ge=0, le=2)


Roles = Annotated[dict[Role, RoleOptions], BeforeValidator(_roles)]


class ModelConfig(RecipeConfig):
    """Config keys for how models at endpoints are reached, and with which options they are called."""

    key_env: str | None = None
    """Environment variable with the endpoint's key; by default the provider's usual one, such as OPENAI_API_KEY."""
    base_url: str | None = None
    """Address for models named openai:MODEL, or several separated by commas; by default OPENAI_BASE_URL, or
    api.openai.com."""
    omit: Names | None = None
    """Request fields never to send, such as temperature,stop. Fields that an endpoint refuses are left out anyway."""
    extra: Table | None = None
    """Extra fields for each request, as JSON: '{"chat_template_kwargs": {"enable_thinking": false}}'."""
    headers: Pairs | None = None
    """Extra headers for each request: NAME=VALUE,NAME=VALUE; the value $NAME is read from the environment."""
    query: Pairs | None = None
    """Extra query parameters for each request: NAME=VALUE,NAME=VALUE, such as api-version=2024-10-21."""
    reasoning_effort: str | None = None
    """How much a reasoning model should think, in the endpoint's own words: minimal, low, medium, high."""
    timeout_s: float | None = Field(default=None, gt=0)
    """Maximum time of one call in seconds; by default 600."""
    stream: bool | None = None
    """Stream replies; needed behind proxies that cut idle connections after a minute."""
    judge_tokens: int | None = Field(default=None, ge=1)
    """Maximum tokens of a judge's reply, thoughts included; by default 4096, or 512 for a model in this process."""
    reader_tokens: int | None = Field(default=None, ge=1)
    """Maximum tokens of a gate's or labeller's reply, thoughts included; by default 8192, or 1024 in this process."""
    roles: Roles | None = None
    """Endpoint options of single roles, as in "judge.omit=stop solver.timeout_s=900"; in TOML a table [roles.judge]."""

    older: ClassVar[Values] = {"judge_tokens": 512, "reader_tokens": 1024}

    @model_validator(mode="after")
    def _for_endpoints(self) -> Self:
        for role, options in (self.roles or {}).items():
            named = options.base_url
            if named is not None and not named.startswith(("http://", "https://")):
                raise ValueError(
                    f"roles.{role.value}.base_url: expected http://HOST:PORT/v1 or https://..., not {named!r}"
                )
        return self

    def role(self, role: Role) -> RoleOptions:
        """Return the options that are set for `role` alone."""
        return (self.roles or {}).get(role, RoleOptions())

    def tokens_of(self, role: Role, model: str, given: int | None, *, embedded: int, endpoint: int) -> int:
        """Return the reply limit in tokens: the role's own, the one `given` for all, or a default by kind of model."""
        return self.role(role).max_tokens or given or (embedded if is_embedded(model) else endpoint)

    def judging_tokens(self, model: str) -> int:
        """Return the maximum tokens of a reply of the judge `model`."""
        return self.tokens_of(Role.JUDGE, model, self.judge_tokens, embedded=512, endpoint=4096)

    def reading_tokens(self, model: str) -> int:
        """Return the maximum tokens of a reply of `model` as a gate's reader."""
        return self.reader_tokens or (1024 if is_embedded(model) else 8192)

    def connect_options(self, role: Role, max_in_flight: int, price: Price | None) -> ConnectOptions:
        """Return how the model of `role` is reached."""
        own = self.role(role)
        return ConnectOptions(
            max_in_flight=max_in_flight,
            api_key_env=own.key_env or self.key_env,
            base_url=own.base_url or self.base_url,
            price=price,
            endpoint=OpenAIOptions(
                omit=frozenset((self.omit or ()) if own.omit is None else own.omit),
                extra={**(self.extra or {}), **(own.extra or {})},
                headers={**(self.headers or {}), **(own.headers or {})},
                query={**(self.query or {}), **(own.query or {})},
                reasoning_effort=own.reasoning_effort or self.reasoning_effort,
                timeout_s=own.timeout_s or self.timeout_s or OpenAIOptions().timeout_s,
                stream=bool(self.stream if own.stream is None else own.stream),
            ),
        )


MODELS_MAY_CHANGE: Mapping[str, str] = {
    "key_env": "says where the key is; the requests do not change",
    "base_url": "the models' names are compared instead, so that an endpoint may move",
    "omit": "an endpoint may start to refuse a field; each answer records how it was asked",
    "headers": "as key_env",
    "query": "as base_url",
    "timeout_s": "a limit of patience",
    "stream": "changes how an answer is transferred, not its content",
    "judge_tokens": "a cap may be raised if replies are cut off; the judged answers do not change",
    "reader_tokens": "as judge_tokens",
}


def connect_roles(
    config: ModelConfig, named: Mapping[Role, str], max_in_flight: int, price: Price | None, own: Mapping[str, LLM]
) -> dict[Role, LLM]:
    """Return a client for each role; roles with the same model and options share one.

    Args:
        config: how to reach the models.
        named: model names by role.
        max_in_flight: maximum number of calls to one endpoint at the same time.
        price: price of all models that are not free, if it is given.
        own: the caller's own clients, by model name.

    Raises:
        ConfigError: a model name is invalid.
    """
    connector = Connector()
    return {
        role: own[model]
        if model in own
        else connector.connect(model, config.connect_options(role, max_in_flight, price))
        for role, model in named.items()
    }
