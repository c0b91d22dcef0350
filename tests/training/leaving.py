"""One of several processes, started by test_processes.py: divides weights, exchanges them and ends at once."""

import torch
from torch.distributed.fsdp import fully_shard

from limbeck.core.distributed import Processes

processes = Processes.joined()
model = torch.nn.Linear(8, 8)
fully_shard(model)
for _ in range(3):
    model(torch.ones(2, 8)).sum().backward()
for weight in model.parameters():
    weight.full_tensor()
processes.add_up([torch.ones(100) for _ in range(30)])
processes.gather(3)
