"""SQLite's write-ahead log (https://sqlite.org/fileformat, chapter 4): where its last commit ends,
and frames that could come next."""
import struct

HEAD_SIZE, FRAME_HEAD_SIZE = 32, 24
MAGIC_BIG = 0x377F0683  # its last bit: checksums are of big-endian words


def checksum(data, order, first=0, second=0):
    """Of bytes, a multiple of 8, continuing another one."""
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for i in range(0, len(words), 2):
        first = first + words[i] + second & 0xFFFFFFFF
        second = second + words[i + 1] + first & 0xFFFFFFFF
    return first, second


class WalFile:
    """data: the file; frames: those up to the last commit; end: where that ends."""

    def __init__(self, path):
        self.data = path.read_bytes()
        magic, _, self.page_size = struct.unpack(">III", self.data[:12])
        self.order = ">" if magic == MAGIC_BIG else "<"
        self.frame_size = FRAME_HEAD_SIZE + self.page_size
        self.salt = self.data[16:24]
        self.frames, self.pages, self.end = [], 1, HEAD_SIZE
        self.sums = checksum(self.data[:24], self.order)
        self.read()

    def read(self):
        """Frame by frame, as long as salt and checksum are right."""
        frames, sums, at = [], self.sums, HEAD_SIZE
        while at + self.frame_size <= len(self.data):
            frame = self.data[at:at + self.frame_size]
            sums = self.sums_behind(sums, frame)
            if frame[8:16] != self.salt or frame[16:24] != struct.pack(">II", *sums):
                return
            at += self.frame_size
            frames.append(frame)
            pages = int.from_bytes(frame[4:8], "big")
            if pages:
                self.frames, self.sums, self.pages, self.end = frames[:], sums, pages, at

    def sums_behind(self, sums, frame):
        sums = checksum(frame[:8], self.order, *sums)
        return checksum(frame[FRAME_HEAD_SIZE:], self.order, *sums)

    def frame(self, sums, number, pages, page):
        """A valid frame; pages is not 0 for a commit. Returns it with the sums behind it."""
        head = struct.pack(">II", number, pages)
        sums = self.sums_behind(sums, head + bytes(16) + page)
        return head + self.salt + struct.pack(">II", *sums) + page, sums

    def next_frame(self, rng, is_commit=False):
        """One with nonsense in it that is valid behind the last commit."""
        return self.frame(self.sums, rng.randint(1, self.pages), self.pages if is_commit else 0,
                          rng.randbytes(self.page_size))[0]

    def next_frames(self, rng, count):
        """Such frames, all valid one behind the other, without a commit."""
        result, sums = b"", self.sums
        for _ in range(count):
            frame, sums = self.frame(sums, rng.randint(1, self.pages), 0,
                                     rng.randbytes(self.page_size))
            result += frame
        return result
