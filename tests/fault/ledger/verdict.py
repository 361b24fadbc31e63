"""Verdict: one line an invariant, and 'N passed, N failed' at the end."""

SHOWN = 20  # offending ids a line


class Verdict:
    """passed, failed: how many; lines: one an invariant; ok: none failed.
    offending: {invariant: all offending ids, each with what is wrong}."""

    def __init__(self):
        self.passed, self.failed, self.left_out = 0, 0, 0
        self.lines, self.offending = [], {}

    @property
    def ok(self):
        return self.failed == 0 and self.passed > 0

    def add(self, name, offending, note=""):
        self.offending[name] = offending
        if not offending:
            self.passed += 1
            self.lines.append(f"{name:<12} pass  {note}".rstrip())
            return
        self.failed += 1
        shown = "; ".join(offending[:SHOWN])
        more = f"; and {len(offending) - SHOWN} more" if len(offending) > SHOWN else ""
        self.lines.append(f"{name:<12} FAIL  {len(offending)}: {shown}{more}")

    def leave_out(self, name, why):
        self.left_out += 1
        self.lines.append(f"{name:<12} left out  {why}")

    def __str__(self):
        tail = f", {self.left_out} left out" if self.left_out else ""
        return "\n".join([*self.lines, f"{self.passed} passed, {self.failed} failed{tail}"])
