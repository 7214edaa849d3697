"""What processes cost: CPU and memory of one and of all below it."""
import os

TICKS = os.sysconf("SC_CLK_TCK")


def descendants(root):
    """root and all processes below it."""
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        try:
            children = open(f"/proc/{pid}/task/{pid}/children").read().split()
        except OSError:
            continue
        found.append(pid)
        todo += map(int, children)
    return found


def cpu_seconds(root):
    """CPU of root, of all processes below it, and of those of them that have ended."""
    total = 0
    for pid in descendants(root):
        try:
            fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))
    return total / TICKS


def pss_kb(root):
    total = 0
    for pid in descendants(root):
        try:
            for line in open(f"/proc/{pid}/smaps_rollup"):
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        except OSError:
            pass
    return total
