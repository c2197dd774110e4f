"""NeMo Data Designer: one text column over a column of numbers, kept as parquet files.

`max_parallel_requests` is the setting that its documentation names. Row groups of 1,000 and three at once are its
defaults; the leases of its scheduler (1,024) are raised above what may be in flight.
"""
# pyright: basic, reportMissingImports=false

import data_designer.config as dd
from data_designer.interface import DataDesigner
from measuring import BODY, MAX_TOKENS, MODEL, Task, measured, task


def run(task: Task) -> None:
    provider = dd.ModelProvider(name="here", endpoint=task.base_url, provider_type="openai", api_key="none")
    inference = dd.ChatCompletionInferenceParams(
        max_parallel_requests=task.in_flight, max_tokens=MAX_TOKENS, temperature=0.0
    )
    model = dd.ModelConfig(
        alias="fixed", model=MODEL, provider="here", inference_parameters=inference, skip_health_check=True
    )
    config = dd.DataDesignerConfigBuilder(model_configs=[model])
    config.add_column(
        dd.SamplerColumnConfig(name="number", sampler_type=dd.SamplerType.UUID, params=dd.UUIDSamplerParams())
    )
    config.add_column(dd.LLMTextColumnConfig(name="reply", prompt=f"{{{{ number }}}}. {BODY}", model_alias="fixed"))
    designer = DataDesigner(artifact_path=task.folder / "artifacts", model_providers=[provider])
    designer.set_run_config(dd.RunConfig(max_in_flight_tasks=max(1024, 2 * task.in_flight), otel_metrics_port=None))
    with measured(task):
        made = designer.create(config, num_records=task.calls, dataset_name="peers")
        found = len(made.load_dataset())
    if found != task.calls:
        raise SystemExit(f"{found} of {task.calls} rows were made")


if __name__ == "__main__":
    run(task())
