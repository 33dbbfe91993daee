"""torch.compile of the blocks whose inside no edit changes."""

import torch._dynamo
from diffusers.models.attention import FeedForward
from diffusers.models.resnet import ResnetBlock2D
from torch import nn

MOST_VARIANTS = 256
"""Of one block's code, which is compiled for each size of a call and each place in the network that differs."""


def compile_blocks(network: nn.Module, compiler: str = "inductor") -> None:
    """Have the residual blocks and the feed-forward layers compiled at their first call; attention is fused as it is.

    The shapes are static: a call of another number of frames compiles anew. A block that edits look into is not the
    compiled one for that time (see injected).
    """
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, MOST_VARIANTS)
    for module in network.modules():
        if isinstance(module, ResnetBlock2D | FeedForward):
            module.compile(dynamic=False, backend=compiler)
