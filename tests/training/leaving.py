"""One of several processes, started by test_processes.py: exchanges what it has and ends at once.

    leaving.py [whole]

Weights are divided among the processes, unless they are to be whole.
"""

import sys

import torch

from limbeck.core.devices import Processes

processes = Processes.joined()
model = torch.nn.Linear(8, 8)
divided = sys.argv[1:] != ["whole"]
if divided:
    from torch.distributed.fsdp import fully_shard

    fully_shard(model)
for _ in range(3):
    model(torch.ones(2, 8)).sum().backward()
for weight in model.parameters() if divided else ():
    weight.full_tensor()
processes.add_up([torch.ones(100) for _ in range(30)])
processes.gather(3)
