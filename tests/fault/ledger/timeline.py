"""Which versions of a campaign may have decided an event. Two things bound it: the times in the
rows, generously, and the order: an event between two matches of one version was decided by that one.
"""
from bisect import bisect_left, bisect_right

# A version is dated before it is committed, and a commit may wait for a slow disk: without an
# answer, it is certainly in force only so much later.
LATE_US = 8_000_000
SLACK_US = 50_000
NO_TIME = 1 << 62

# Where the version in a campaign's matches changes, in the order of the messages: (campaign, seq,
# version) of the first and of the last match of every run. Rows out of order bound nothing.
ANCHORS = """
    SELECT campaign_id, seq, v FROM (
        SELECT campaign_id, seq, v, lag(v) OVER w AS before, lead(v) OVER w AS after
        FROM (SELECT m.campaign_id, m.seq, m.campaign_version AS v,
                     lag(m.campaign_version) OVER w AS before,
                     lead(m.campaign_version) OVER w AS after
              FROM data.matches AS m JOIN data.processed AS p ON p.seq = m.seq AND p.attempt = 1
              JOIN data.campaign_versions AS c
                  ON c.campaign_id = m.campaign_id AND c.version = m.campaign_version
              WHERE m.campaign_id IN (SELECT campaign_id FROM data.campaign_versions
                                      GROUP BY campaign_id HAVING count(*) > 1)
              WINDOW w AS (PARTITION BY m.campaign_id ORDER BY m.seq))
        WHERE NOT ((v > after OR v < before) AND
                   (before IS NULL OR after IS NULL OR before <= after))
        WINDOW w AS (PARTITION BY campaign_id ORDER BY seq))
    WHERE before IS NOT v OR after IS NOT v ORDER BY campaign_id, seq"""


def sure_since(from_us, answered_us):
    """From when on a version must be in force: since its answer, where both clocks agree."""
    if from_us <= answered_us <= from_us + LATE_US:
        return answered_us
    return from_us + LATE_US


class Timeline:
    """versions: (id, version, from_us, sure_us, is_deleted) in order of id and version: in force
    perhaps since from_us, certainly since sure_us; a deleted campaign may be absent at any time.
    anchors: rows of ANCHORS. first_us: of the first processed row. Without a sane clock (it was set
    back), times bound nothing."""

    def __init__(self, versions, anchors, is_clock_sane, first_us):
        self.is_clock_sane, self.first_us = is_clock_sane, first_us
        self.versions, self.anchors = {}, {}
        for campaign, *rest in versions:
            self.versions.setdefault(campaign, []).append(rest)
        for campaign, seq, version in anchors:
            self.anchors.setdefault(campaign, []).append((seq, version))
        self.marks = sorted({t for _, _, *times, _ in versions for t in times})
        self.turns = sorted({seq for _, seq, _ in anchors})
        self.cache = {}

    def candidates(self, seq, attempt, begun_us, processed_us):
        """[(id, [versions, None where perhaps none was there])] of all campaigns."""
        low_us, high_us = begun_us - SLACK_US, processed_us + SLACK_US
        key = (bisect_left(self.turns, seq), bisect_right(self.turns, seq), attempt > 1,
               bisect_left(self.marks, low_us), bisect_right(self.marks, high_us))
        found = self.cache.get(key)
        if found is None:
            found = self.cache[key] = [
                (campaign, self.narrow(campaign, seq, self.by_time(campaign, low_us, high_us))
                 if attempt == 1 else self.by_time(campaign, low_us, high_us))
                for campaign in self.versions]
        return found

    def by_time(self, campaign, low_us, high_us):
        versions = self.versions[campaign]
        sure_since_us, is_deleted = versions[0][2:]
        if not self.is_clock_sane:
            low_us, high_us = self.first_us, NO_TIME
        found = [None] if is_deleted or sure_since_us >= low_us else []
        for (version, from_us, _, _), after in zip(versions, [*versions[1:], None]):
            is_over = after is not None and after[2] < low_us
            if from_us <= high_us and (not is_over or not self.is_clock_sane):
                found.append(version)
        return found

    def narrow(self, campaign, seq, versions):
        """Leaves those that the neighbouring matches allow; all when that leaves none."""
        anchors = self.anchors.get(campaign)
        if not anchors:
            return versions
        after = bisect_left(anchors, (seq, 0))
        is_here = after < len(anchors) and anchors[after][0] == seq
        before = after if is_here else after - 1
        low = anchors[before][1] if before >= 0 else None
        high = anchors[after][1] if after < len(anchors) else None
        if low is not None and high is not None and low > high:
            low, high = high, low
        narrowed = [v for v in versions if (low is None or (v is not None and v >= low)) and
                    (high is None or v is None or v <= high)]
        return narrowed or versions
