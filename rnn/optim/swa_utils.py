"""Averages of a model's weights along training (torch.optim.swa_utils): stochastic weight averaging
(SWA: all steps weigh the same) and exponential moving averages (EMA).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

from rnn import autograd
from rnn._dtypes import int64
from rnn.nn.module import Module
from rnn.nn.modules.batchnorm import _BatchNorm
from rnn.ops.from_data import tensor
from rnn.optim.lr_scheduler import LRScheduler, _for_groups
from rnn.optim.optimizer import Optimizer
from rnn.tensor import Tensor

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]

_One = Callable[[Tensor, Tensor, Any], Tensor]
_Many = Callable[[list[Tensor], list[Tensor], Any], None]


def _check_decay(decay: float) -> None:
    if decay < 0.0 or decay > 1.0:
        raise ValueError(
            f"Invalid decay value {decay} provided. Please provide a value in [0,1] range."
        )


def get_ema_avg_fn(decay: float = 0.999) -> _One:
    """An avg_fn of AveragedModel: decay * average + (1 - decay) * model.

    Raises:
        ValueError: decay is not in [0, 1].

    Example:
        >>> get_ema_avg_fn(0.9)(rnn.tensor([1.0]), rnn.tensor([2.0]), 1)
        tensor([1.1000])
    """
    _check_decay(decay)

    @autograd.no_grad()
    def ema_update(ema_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        return ema_param * decay + current_param * (1 - decay)

    return ema_update


def get_ema_multi_avg_fn(decay: float = 0.999) -> _Many:
    """A multi_avg_fn of AveragedModel: as get_ema_avg_fn, in place and for a list of tensors.

    Raises:
        ValueError: decay is not in [0, 1].

    Example:
        >>> mean, new = [rnn.tensor([1.0])], [rnn.tensor([2.0])]
        >>> get_ema_multi_avg_fn(0.9)(mean, new, 1)
        >>> mean
        [tensor([1.1000])]
    """
    _check_decay(decay)

    @autograd.no_grad()
    def ema_update(ema_param_list: list[Tensor], current_param_list: list[Tensor], _: Any) -> None:
        for average, current in zip(ema_param_list, current_param_list, strict=True):
            if average.is_floating_point():
                average.lerp_(current, 1 - decay)
            else:
                average.copy_(average * decay + current * (1 - decay))

    return ema_update


def get_swa_avg_fn() -> _One:
    """An avg_fn of AveragedModel: the mean of all models so far.

    Example:
        >>> get_swa_avg_fn()(rnn.tensor([1.0]), rnn.tensor([2.0]), rnn.tensor(1))
        tensor([1.5000])
    """

    @autograd.no_grad()
    def swa_update(averaged_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        step: Tensor = (current_param - averaged_param) / (num_averaged + 1)
        return averaged_param + step

    return swa_update


def get_swa_multi_avg_fn() -> _Many:
    """A multi_avg_fn of AveragedModel: as get_swa_avg_fn, in place and for a list of tensors.

    Example:
        >>> mean, new = [rnn.tensor([1.0])], [rnn.tensor([2.0])]
        >>> get_swa_multi_avg_fn()(mean, new, 1)
        >>> mean
        [tensor([1.5000])]
    """

    @autograd.no_grad()
    def swa_update(
        averaged_param_list: list[Tensor], current_param_list: list[Tensor], num_averaged: Any
    ) -> None:
        for average, current in zip(averaged_param_list, current_param_list, strict=True):
            if average.is_floating_point():
                average.lerp_(current, float(1 / (num_averaged + 1)))
            else:
                average.addcdiv_(current - average, num_averaged + 1)

    return swa_update


class AveragedModel(Module):
    """A copy of a model whose weights are an average of the model's
    (torch.optim.swa_utils.AveragedModel).

    The first update_parameters() copies; each later one averages. state_dict() has the copy's
    entries under "module." and the count under "n_averaged".

    Args:
        model: what is copied.
        device: where the copy goes.
        avg_fn: of (average, model's parameter, n_averaged); gives the new average. None: the mean.
        multi_avg_fn: of two lists of tensors of one dtype, and n_averaged; changes the first list
            in place.
        use_buffers: averages buffers as well; without it they are copied.

    Raises:
        AssertionError: both functions are given.

    Example:
        >>> model = rnn.nn.Linear(2, 1)
        >>> optimizer = rnn.optim.SGD(model.parameters(), lr=0.1)
        >>> ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.99))
        >>> for _ in range(3):
        ...     optimizer.zero_grad()
        ...     model(rnn.ones(4, 2)).square().mean().backward()
        ...     optimizer.step()
        ...     ema.update_parameters(model)
        >>> int(ema.n_averaged)
        3
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: _One | None = None,
        multi_avg_fn: _Many | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0, dtype=int64, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The averaged model's forward."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Takes the model's present weights into the average."""
        averages = list(self.module.parameters())
        currents = list(model.parameters())
        if self.use_buffers:
            averages += self.module.buffers()
            currents += model.buffers()
        pairs = [(a.detach(), b.detach()) for a, b in zip(averages, currents)]
        if self.n_averaged == 0:
            for average, current in pairs:
                average.copy_(current)
        else:
            self._average(pairs)
        if not self.use_buffers:
            for average, current in zip(self.module.buffers(), model.buffers(), strict=True):
                average.detach().copy_(current.detach())
        self.n_averaged += 1

    def _average(self, pairs: list[tuple[Tensor, Tensor]]) -> None:
        if self.multi_avg_fn is None:
            update = self.avg_fn or get_swa_avg_fn()
            for average, current in pairs:
                average.copy_(update(average, current, self.n_averaged))
            return
        by_dtype: dict[Any, list[tuple[Tensor, Tensor]]] = {}
        for pair in pairs:
            by_dtype.setdefault(pair[0].dtype, []).append(pair)
        for group in by_dtype.values():
            self.multi_avg_fn([a for a, _ in group], [b for _, b in group], self.n_averaged)


@autograd.no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Works out the running statistics of a model's batch norms anew, by one pass over the data.

    Args:
        loader: gives the model's inputs, or lists whose first element is one.
        model: changed in place; its training mode and its batch norms' momenta stay.
        device: where the inputs go.

    Example:
        >>> model = rnn.nn.BatchNorm1d(2, momentum=None)
        >>> update_bn([rnn.full((4, 2), 1.0), rnn.full((4, 2), 3.0)], model)
        >>> model.running_mean
        tensor([2., 2.])
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    was_training = model.training
    model.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a mean of all batches
    for batch in loader:
        x = batch[0] if isinstance(batch, (list, tuple)) else batch
        model(x if device is None else x.to(device))
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """Goes to a fixed learning rate and stays there (torch.optim.swa_utils.SWALR).

    Args:
        optimizer: whose learning rates are set.
        swa_lr: the rate at the end, for all groups or one for each.
        anneal_epochs: how many steps the way there takes.
        anneal_strategy: "cos" or "linear".
        last_epoch: the epoch before the next; -1 begins.

    Raises:
        ValueError: anneal_strategy is neither, or anneal_epochs is no int or negative.

    Example:
        >>> optimizer = rnn.optim.SGD([rnn.ones(1, requires_grad=True)], lr=0.4)
        >>> scheduler = SWALR(optimizer, swa_lr=0.1, anneal_epochs=2, anneal_strategy="linear")
        >>> for _ in range(2):
        ...     optimizer.step()
        ...     scheduler.step()
        >>> scheduler.get_last_lr()
        [0.1]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: Any,
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        for group, lr in zip(optimizer.param_groups, _for_groups("swa_lr", optimizer, swa_lr)):
            group["swa_lr"] = lr
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        self._set_anneal_func(anneal_strategy)
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _set_anneal_func(self, strategy: str) -> None:
        self._anneal_strategy = strategy
        self.anneal_func = self._cosine_anneal if strategy == "cos" else self._linear_anneal

    @staticmethod
    def _linear_anneal(t: float) -> float:
        return t

    @staticmethod
    def _cosine_anneal(t: float) -> float:
        return (1 - math.cos(math.pi * t)) / 2

    @staticmethod
    def _get_initial_lr(lr: Any, swa_lr: Any, alpha: float) -> Any:
        """The rate at alpha = 0, of which lr is what alpha has made."""
        return swa_lr if alpha == 1 else (lr - alpha * swa_lr) / (1 - alpha)

    def _alpha(self, step: int) -> float:
        """How far on the way a step is, from 0 to 1."""
        return self.anneal_func(max(0, min(1, step / max(1, self.anneal_epochs))))

    def _rates(self) -> list[Any]:
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, alpha = self._alpha(step - 1), self._alpha(step)
        rates = []
        for group in self.optimizer.param_groups:
            first = self._get_initial_lr(group["lr"], group["swa_lr"], before)
            rates.append(group["swa_lr"] * alpha + first * (1 - alpha))
        return rates

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer and the function of the strategy."""
        return {k: v for k, v in super().state_dict().items() if k != "anneal_func"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over what state_dict() gave."""
        super().load_state_dict(state_dict)
        self._set_anneal_func(self._anneal_strategy)
