"""The microscope: ask any number where it came from and where its gradient goes.

    g = rnn.inspect.graph(loss)    # every span and every node behind it, as public data
    rnn.inspect.explain(w[0, 1], loss)   # why its gradient is what it is
    rnn.inspect.paths(x, y, k=5)         # which ways from x to y carry most
    n = rnn.inspect.node(w, 0, 1)  # one number: its operands, derivatives, users
    rnn.show(loss)                 # a drawing of it, down to single scalars

Everything works on Values and on elements of Tensors, at both resolutions. Looking changes nothing:
no value, no gradient, no version.
"""

from rnn.inspect.drawing import Drawing as Drawing
from rnn.inspect.drawing import show as show
from rnn.inspect.explain import Entry as Entry
from rnn.inspect.explain import Ledger as Ledger
from rnn.inspect.explain import explain as explain
from rnn.inspect.graph import Graph as Graph
from rnn.inspect.graph import graph as graph
from rnn.inspect.graph import node as node
from rnn.inspect.node import Edge as Edge
from rnn.inspect.node import Node as Node
from rnn.inspect.opened import Opened as Opened
from rnn.inspect.paths import Path as Path
from rnn.inspect.paths import Paths as Paths
from rnn.inspect.paths import paths as paths
from rnn.inspect.span import Operand as Operand
from rnn.inspect.span import Span as Span
from rnn.inspect.trace import is_tracing as is_tracing
from rnn.inspect.why import Reason as Reason
from rnn.inspect.why import why as why
