"""Datasets, samplers and loaders (torch.utils.data)."""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from rnn import _config
from rnn.utils.data import dataloader as dataloader
from rnn.utils.data import dataset as dataset
from rnn.utils.data import sampler as sampler
from rnn.utils.data.collate import default_collate as default_collate
from rnn.utils.data.collate import default_convert as default_convert
from rnn.utils.data.dataloader import DataLoader as DataLoader
from rnn.utils.data.dataset import ChainDataset as ChainDataset
from rnn.utils.data.dataset import ConcatDataset as ConcatDataset
from rnn.utils.data.dataset import Dataset as Dataset
from rnn.utils.data.dataset import IterableDataset as IterableDataset
from rnn.utils.data.dataset import StackDataset as StackDataset
from rnn.utils.data.dataset import Subset as Subset
from rnn.utils.data.dataset import TensorDataset as TensorDataset
from rnn.utils.data.dataset import random_split as random_split
from rnn.utils.data.sampler import BatchSampler as BatchSampler
from rnn.utils.data.sampler import RandomSampler as RandomSampler
from rnn.utils.data.sampler import Sampler as Sampler
from rnn.utils.data.sampler import SequentialSampler as SequentialSampler
from rnn.utils.data.sampler import SubsetRandomSampler as SubsetRandomSampler
from rnn.utils.data.sampler import WeightedRandomSampler as WeightedRandomSampler
from rnn.utils.data.worker import get_worker_info as get_worker_info

if not _TYPE_CHECKING:  # type checkers are to see what is absent

    def __getattr__(name: str) -> _Any:
        raise _config.absent(__name__, name)
