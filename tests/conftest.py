"""Settings every test shares."""

from __future__ import annotations

import torch

# One thread: test times stay comparable, and several test runs can share a machine.
torch.set_num_threads(1)
