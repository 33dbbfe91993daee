"""torch.compile of the blocks that nobody looks into, or at their edge alone."""

import torch._dynamo
from diffusers import UNet2DConditionModel
from diffusers.models.attention import FeedForward
from diffusers.models.resnet import ResnetBlock2D

MOST_VARIANTS = 256
"""Of one block's code: it is compiled for each of its places in the network, and for each size of a call."""


def compile_blocks(network: UNet2DConditionModel, compiler: str = "inductor") -> None:
    """Have the residual blocks and the feed-forward layers compiled at their first call; attention is fused as it is.

    The shapes are static: a call of another number of frames compiles anew. Edits come and go as hooks inside residual
    blocks, so hooks are looked at before each call, which is a setting of torch for the whole process.
    """
    torch._dynamo.config.skip_nnmodule_hook_guards = False
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, MOST_VARIANTS)
    for module in network.modules():
        if isinstance(module, ResnetBlock2D | FeedForward):
            module.compile(dynamic=False, backend=compiler)
