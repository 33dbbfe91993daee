"""What a network's output says about noisy latents: convert it to (x0, eps) and back."""

from enum import Enum
from typing import NamedTuple

from torch import Tensor

from pnpvideo.errors import ModelError


class Estimate(NamedTuple):
    """What the network takes noisy latents x = signal x0 + noise eps to consist of, each (f, c, h, w), fp32."""

    x0: Tensor
    eps: Tensor


class Prediction(Enum):
    """What a network was trained to output for x = signal x0 + noise eps. The first three values are diffusers' names.

    EPSILON: eps (DDPM, arXiv 2006.11239, eq. 14). SAMPLE: x0. VELOCITY: signal eps - noise x0 (arXiv 2202.00512,
    appendix D). FLOW: eps - x0, the velocity of rectified flow with x0 at t = 0 (arXiv 2209.03003, eq. 1; 2403.03206,
    section 3).
    """

    EPSILON = "epsilon"
    SAMPLE = "sample"
    VELOCITY = "v_prediction"
    FLOW = "flow"

    def estimate(self, x: Tensor, output: Tensor, signal: float, noise: float) -> Estimate:
        """Solve for (x0, eps) given noisy latents and the network's ``output`` for them, in fp32.

        Raises ModelError where the output does not determine one of the two: EPSILON at signal 0, SAMPLE at noise 0.
        """
        x, output = x.float(), output.float()
        if self is Prediction.EPSILON:
            return Estimate(self._divide(x - noise * output, signal, "signal"), output)
        if self is Prediction.SAMPLE:
            return Estimate(output, self._divide(x - signal * output, noise, "noise"))
        if self is Prediction.VELOCITY:
            power = signal**2 + noise**2  # 1 on variance-preserving schedules
            return Estimate((signal * x - noise * output) / power, (signal * output + noise * x) / power)
        total = signal + noise  # 1 on flow-matching schedules
        return Estimate((x - noise * output) / total, (x + signal * output) / total)

    def output(self, x: Tensor, eps: Tensor, signal: float, noise: float) -> Tensor:
        """The inverse of estimate(): the output for ``x`` that it reads as ``eps``.

        Raises ModelError at signal 0, where the output is open, for all but EPSILON.
        """
        if self is Prediction.EPSILON:
            return eps
        x0 = self._divide(x - noise * eps, signal, "signal")
        if self is Prediction.SAMPLE:
            return x0
        return signal * eps - noise * x0 if self is Prediction.VELOCITY else eps - x0

    def _divide(self, value: Tensor, share: float, name: str) -> Tensor:
        if share == 0:
            raise ModelError(
                f"a prediction of type {self.value} leaves the {name} open at a level without {name}; a schedule that "
                "begins with pure noise needs prediction_type v_prediction or sample"
            )
        return value / share
