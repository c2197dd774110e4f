# What Questwell uses of xllamacpp, which ships no types.

class CommonParamsModel:
    path: str

class CpuParams:
    n_threads: int

class CommonParams:
    model: CommonParamsModel
    model_alias: set[str]
    n_ctx: int
    n_parallel: int
    n_batch: int
    n_ubatch: int
    cpuparams: CpuParams
    cpuparams_batch: CpuParams
    cache_ram_mib: int
    slot_prompt_similarity: float
    verbosity: int
    ui: bool
    api_keys: list[str]

class Server:
    listening_address: str
    def __init__(self, params: CommonParams) -> None: ...
