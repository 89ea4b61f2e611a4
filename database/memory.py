"""The memory of a process that serves: what was loaded to stay, out of the collector's way and in large pages."""

from __future__ import annotations

import ctypes
import gc
import mmap
import re
from pathlib import Path

_MAPS = Path("/proc/self/smaps")
_POLICY = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_LARGE = 1 << 21  # bytes of a large page, on x86-64 and, with pages of 4 kB, on ARM
_MADV_COLLAPSE = 25  # <asm-generic/mman-common.h>, since Linux 6.1
# private, writable, of no file: "7f12-7f34 rw-p 00000000 00:00 0", and the heap
_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) rw-p \S+ \S+ 0 +(?:\[heap\])?")


def settle() -> None:
    """Keep what is loaded for as long as the process lives. Called once, when everything is loaded.

    Requests and attempts leave next to no cycles, so the garbage collector need not look after every 700 objects, nor
    at what stays. And the interpreter looks at so many places of its memory for each of them that the processor's table
    of small pages overflows: on a virtual machine that costs 7 % of its time (`docs/performance.md`).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    use_large_pages()


def use_large_pages() -> int:
    """Have memory that is in use moved into large pages, where the kernel can; gives how many bytes were.

    Stacks and other mappings that are mostly untouched are left alone: a large page would be filled for each. Where
    transparent huge pages are switched off, nothing is done.
    """
    try:
        if "[never]" in _POLICY.read_text():
            return 0
        lines = _MAPS.read_text().splitlines()
    except OSError:
        return 0
    libc = ctypes.CDLL(None)
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    moved, start, end = 0, 0, 0
    for line in lines:
        if mapping := _MAPPING.fullmatch(line):
            start, end = int(mapping[1], 16), int(mapping[2], 16)
        elif line[:1] in "0123456789abcdef":
            start = end = 0
        elif line.startswith("Rss:") and int(line.split()[1]) * 1024 * 2 >= end - start:
            first, behind = -(-start // _LARGE) * _LARGE, end // _LARGE * _LARGE
            if first < behind:
                libc.madvise(first, behind - first, mmap.MADV_HUGEPAGE)
                if libc.madvise(first, behind - first, _MADV_COLLAPSE) == 0:
                    moved += behind - first
    return moved
