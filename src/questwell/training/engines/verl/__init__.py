"""The adapter to verl 0.9.1: we supply agents, rewards and data; verl supplies the trainer, Ray and vLLM.

`launch.py` writes the folder of a run and its command; `agent_loop.py` and `reward.py` are what verl's workers call;
`rows.py` is the data; `presets.py` the papers' hyperparameters. Only `agent_loop.py` imports verl.
"""
