"""The GPUs that torch sees on this machine."""

# torch is only partly typed; what this file exports is annotated by hand.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import torch


def gpus() -> list[str]:
    """Return the name and memory of each GPU, such as `NVIDIA H100 (80 GiB)`; empty if torch sees none."""
    found: list[str] = []
    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        about = torch.cuda.get_device_properties(number)
        found.append(f"{about.name} ({about.total_memory / 2**30:.0f} GiB)")
    return found
