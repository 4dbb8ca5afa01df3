"""Losses as modules (torch.nn): each keeps the arguments of its function of nn.functional, where
the shapes and errors are said.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rnn.nn import functional as F
from rnn.nn.functional._common import overridden
from rnn.nn.module import Module
from rnn.nn.modules.shape import PairwiseDistance

if TYPE_CHECKING:
    from rnn.tensor import Tensor


class _Loss(Module):
    """What all losses share.

    Args:
        size_average, reduce: PyTorch's old names for reduction.
        reduction: "mean", "sum" or "none".
    """

    reduction: str

    def __init__(
        self, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
    ) -> None:
        super().__init__()
        self.reduction = overridden(reduction, size_average, reduce)


class _WeightedLoss(_Loss):
    """A loss with a weight that moves and is saved with the module (as a buffer)."""

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


class L1Loss(_Loss):
    """|input - target| (torch.nn.L1Loss).

    Example:
        >>> L1Loss()(rnn.tensor([1.0, 4.0]), rnn.tensor([2.0, 2.0]))
        tensor(1.5000)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(input, target, reduction=self.reduction)


class MSELoss(_Loss):
    """(input - target)^2 (torch.nn.MSELoss).

    Example:
        >>> MSELoss()(rnn.tensor([1.0, 4.0]), rnn.tensor([2.0, 2.0]))
        tensor(2.5000)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """d^2 / (2 beta) where |d| < beta, else |d| - beta / 2 (torch.nn.SmoothL1Loss).

    Example:
        >>> SmoothL1Loss(reduction="none")(rnn.tensor([0.5, 3.0]), rnn.zeros(2))
        tensor([0.1250, 2.5000])
    """

    def __init__(
        self,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
        beta: float = 1.0,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    """d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2) (torch.nn.HuberLoss).

    Example:
        >>> HuberLoss(reduction="none")(rnn.tensor([0.5, 3.0]), rnn.zeros(2))
        tensor([0.1250, 2.5000])
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class NLLLoss(_WeightedLoss):
    """Minus the log-probability at the target class (torch.nn.NLLLoss).

    Example:
        >>> NLLLoss()(rnn.tensor([[-0.5, -1.0]]), rnn.tensor([1]))
        tensor(1.)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: Any = None,
        ignore_index: int = -100,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(
            input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction
        )


class CrossEntropyLoss(_WeightedLoss):
    """-log softmax(input) at the target class (torch.nn.CrossEntropyLoss).

    Example:
        >>> CrossEntropyLoss()(rnn.tensor([[0.0, 0.0], [0.0, 9.0]]), rnn.tensor([0, 1]))
        tensor(0.3466)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: Any = None,
        ignore_index: int = -100,
        reduce: Any = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class BCELoss(_WeightedLoss):
    """-(target log input + (1 - target) log(1 - input)) (torch.nn.BCELoss).

    Example:
        >>> BCELoss()(rnn.tensor([0.5]), rnn.tensor([1.0]))
        tensor(0.6931)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_Loss):
    """BCELoss of sigmoid(input), without its overflow (torch.nn.BCEWithLogitsLoss).

    Example:
        >>> BCEWithLogitsLoss()(rnn.tensor([0.0]), rnn.tensor([1.0]))
        tensor(0.6931)
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, pos_weight=self.pos_weight, reduction=self.reduction
        )


class KLDivLoss(_Loss):
    """target (log target - input) (torch.nn.KLDivLoss); reduction also "batchmean".

    Example:
        >>> KLDivLoss(reduction="sum")(rnn.tensor([0.5, 0.5]).log(), rnn.tensor([0.25, 0.75]))
        tensor(0.1308)
    """

    def __init__(
        self,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
        log_target: bool = False,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class PoissonNLLLoss(_Loss):
    """exp(input) - target input (torch.nn.PoissonNLLLoss).

    Example:
        >>> PoissonNLLLoss()(rnn.zeros(1), rnn.tensor([2.0]))
        tensor(1.)
    """

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: Any = None,
        eps: float = 1e-8,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, log_input: Tensor, target: Tensor) -> Tensor:
        return F.poisson_nll_loss(
            log_input,
            target,
            log_input=self.log_input,
            full=self.full,
            eps=self.eps,
            reduction=self.reduction,
        )


class CTCLoss(_Loss):
    """Minus the log-probability of sequences, over all alignments (torch.nn.CTCLoss).

    Shape:
        log_probs (T, N, C) or (T, C), targets (N, S) or (sum of target_lengths,), lengths (N,) or
        (); the loss (), or (N,) for reduction "none".

    Raises:
        RuntimeError: a length, a target or blank is out of range.

    Example:
        >>> logs = rnn.zeros(4, 1, 3).log_softmax(2)
        >>> CTCLoss()(logs, rnn.tensor([[1, 2]]), rnn.tensor([4]), rnn.tensor([2]))
        tensor(0.8432)
    """

    def __init__(
        self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False
    ) -> None:
        super().__init__(reduction=reduction)
        self.blank = blank
        self.zero_infinity = zero_infinity

    def forward(
        self, log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any
    ) -> Tensor:
        return F.ctc_loss(
            log_probs,
            targets,
            input_lengths,
            target_lengths,
            self.blank,
            self.reduction,
            self.zero_infinity,
        )


class GaussianNLLLoss(_Loss):
    """0.5 (log var + (input - target)^2 / var) (torch.nn.GaussianNLLLoss).

    Example:
        >>> GaussianNLLLoss()(rnn.tensor([1.0]), rnn.tensor([3.0]), rnn.tensor([4.0]))
        tensor(1.1931)
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(None, None, reduction)
        self.full = full
        self.eps = eps

    def forward(self, input: Tensor, target: Tensor, var: Any) -> Tensor:
        return F.gaussian_nll_loss(
            input, target, var, full=self.full, eps=self.eps, reduction=self.reduction
        )


class HingeEmbeddingLoss(_Loss):
    """input where target is 1, max(0, margin - input) where -1 (torch.nn.HingeEmbeddingLoss).

    Example:
        >>> HingeEmbeddingLoss()(rnn.tensor([0.5, 0.2]), rnn.tensor([1.0, -1.0]))
        tensor(0.6500)
    """

    def __init__(
        self,
        margin: float = 1.0,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.hinge_embedding_loss(input, target, margin=self.margin, reduction=self.reduction)


class MultiLabelMarginLoss(_Loss):
    """max(0, 1 - input[right] + input[wrong]), summed (torch.nn.MultiLabelMarginLoss).

    Example:
        >>> MultiLabelMarginLoss()(rnn.tensor([[0.1, 0.8]]), rnn.tensor([[1, -1]]))
        tensor(0.1500)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)


class SoftMarginLoss(_Loss):
    """log(1 + exp(-target input)) (torch.nn.SoftMarginLoss).

    Example:
        >>> SoftMarginLoss()(rnn.zeros(1), rnn.tensor([1.0]))
        tensor(0.6931)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """Binary cross-entropy of each class, averaged (torch.nn.MultiLabelSoftMarginLoss).

    Example:
        >>> MultiLabelSoftMarginLoss()(rnn.zeros(1, 2), rnn.tensor([[1.0, 0.0]]))
        tensor(0.6931)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multilabel_soft_margin_loss(input, target, self.weight, reduction=self.reduction)


class MultiMarginLoss(_WeightedLoss):
    """max(0, margin - input[target] + input)^p over wrong classes (torch.nn.MultiMarginLoss).

    Raises:
        ValueError: p is neither 1 nor 2, or weight has not one dimension.

    Example:
        >>> MultiMarginLoss()(rnn.tensor([[0.1, 0.8]]), rnn.tensor([1]))
        tensor(0.1500)
    """

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Tensor | None = None,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        if p not in (1, 2):
            raise ValueError("only p == 1 and p == 2 supported")
        if weight is not None and weight.dim() != 1:
            raise ValueError(
                f"MultiMarginLoss: expected weight to be None or 1D tensor, got {weight.dim()}D "
                "instead"
            )
        self.p = p
        self.margin = margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multi_margin_loss(
            input, target, self.p, self.margin, self.weight, reduction=self.reduction
        )


class _MarginLoss(_Loss):
    """A loss with a margin between two inputs."""

    def __init__(
        self,
        margin: float = 0.0,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin


class CosineEmbeddingLoss(_MarginLoss):
    """1 - cos where target is 1, max(0, cos - margin) where it is -1
    (torch.nn.CosineEmbeddingLoss).

    Example:
        >>> CosineEmbeddingLoss()(rnn.ones(1, 2), rnn.ones(1, 2), rnn.tensor([-1.0]))
        tensor(1.)
    """

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.cosine_embedding_loss(
            input1, input2, target, margin=self.margin, reduction=self.reduction
        )


class MarginRankingLoss(_MarginLoss):
    """max(0, -target (input1 - input2) + margin) (torch.nn.MarginRankingLoss).

    Example:
        >>> MarginRankingLoss()(rnn.tensor([1.0]), rnn.tensor([3.0]), rnn.tensor([1.0]))
        tensor(2.)
    """

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.margin_ranking_loss(
            input1, input2, target, margin=self.margin, reduction=self.reduction
        )


def _check_margin(name: str, margin: float) -> None:
    if margin <= 0:
        raise ValueError(f"{name}: expected margin to be greater than 0, got {margin} instead")


class TripletMarginLoss(_Loss):
    """max(0, d(anchor, positive) - d(anchor, negative) + margin) (torch.nn.TripletMarginLoss).

    Raises:
        ValueError: the margin is not positive.

    Example:
        >>> TripletMarginLoss()(rnn.zeros(1, 2), rnn.zeros(1, 2), rnn.tensor([[0.3, 0.4]]))
        tensor(0.5000)
    """

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        _check_margin("TripletMarginLoss", margin)
        self.margin = margin
        self.p = p
        self.eps = eps
        self.swap = swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return F.triplet_margin_loss(
            anchor,
            positive,
            negative,
            margin=self.margin,
            p=self.p,
            eps=self.eps,
            swap=self.swap,
            reduction=self.reduction,
        )


class TripletMarginWithDistanceLoss(_Loss):
    """TripletMarginLoss with a distance of one's own (torch.nn.TripletMarginWithDistanceLoss).

    Raises:
        ValueError: the margin is not positive.

    Example:
        >>> m = TripletMarginWithDistanceLoss(distance_function=lambda a, b: (a - b).abs().sum(-1))
        >>> m(rnn.zeros(1, 2), rnn.zeros(1, 2), rnn.tensor([[0.3, 0.4]]))
        tensor(0.3000)
    """

    def __init__(
        self,
        *,
        distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average=None, reduce=None, reduction=reduction)
        _check_margin("TripletMarginWithDistanceLoss", margin)
        self.distance_function = (
            distance_function if distance_function is not None else PairwiseDistance()
        )
        self.margin = margin
        self.swap = swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return F.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )
