"""Reads published files without running anything that is in them.

Files are read in a process of their own (`isolation`, `sealing`, `worker`). Pickles are taken
apart by a machine that can build data only (`machine`, `vocabulary`). What comes back is tensors
and JSON.
"""

from vsat.convert.reading.bundle_archive import unpack_archive
from vsat.convert.reading.checkpoint_file import read_checkpoint
from vsat.convert.reading.graphs import GraphFacts, Port, check_graph

__all__ = ["GraphFacts", "Port", "check_graph", "read_checkpoint", "unpack_archive"]
