"""Holds back the packets of netfilter queue 1 of the network namespace it runs in: delay.py MILLISECONDS LOSS_PERCENT SEED.

What tc-netem(8) does, for kernels that are built without it. Messages: linux/netfilter/nfnetlink_queue.h."""
import heapq
import random
import select
import socket
import struct
import sys
import time

NETLINK_NETFILTER, SUBSYS_QUEUE = 12, 3
PACKET, VERDICT, CONFIG = 0, 1, 2
CFG_CMD, CFG_PARAMS, CFG_QUEUE_MAXLEN = 1, 2, 3
BIND, COPY_META = 1, 1
PACKET_HDR, VERDICT_HDR = 1, 2
DROP, ACCEPT = 0, 1
QUEUE = 1


def attribute(kind, value):
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def message(kind, body):
    body = struct.pack("!BBH", socket.AF_UNSPEC, 0, QUEUE) + body
    return struct.pack("=IHHII", 16 + len(body), SUBSYS_QUEUE << 8 | kind, 1, 0, 0) + body  # 1: NLM_F_REQUEST


def packet_id(data):
    """Of a PACKET message; None for any other."""
    if struct.unpack_from("=H", data, 4)[0] != SUBSYS_QUEUE << 8 | PACKET:
        return None
    at, end = 20, struct.unpack_from("=I", data)[0]
    while at + 4 <= end:
        size, kind = struct.unpack_from("=HH", data, at)
        if kind & 0x3fff == PACKET_HDR:
            return struct.unpack_from("!I", data, at + 4)[0]
        at += max(4, size + 3 & ~3)
    return None


def main():
    delay, loss, dice = float(sys.argv[1]) / 1000, float(sys.argv[2]) / 100, random.Random(int(sys.argv[3]))
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    s.bind((0, 0))
    s.send(message(CONFIG, attribute(CFG_CMD, struct.pack("!BBH", BIND, 0, 0))))
    s.send(message(CONFIG, attribute(CFG_PARAMS, struct.pack("!IB", 0, COPY_META)) + attribute(CFG_QUEUE_MAXLEN, struct.pack("!I", 65536))))
    print("ready", flush=True)
    held = []
    while True:
        wait = max(0.0, held[0][0] - time.monotonic()) if held else None
        if select.select([s], [], [], wait)[0]:
            number = packet_id(s.recv(65536))
            if number is not None:
                heapq.heappush(held, (time.monotonic() + delay, number, DROP if dice.random() < loss else ACCEPT))
        while held and held[0][0] <= time.monotonic():
            _, number, verdict = heapq.heappop(held)
            s.send(message(VERDICT, attribute(VERDICT_HDR, struct.pack("!II", verdict, number))))


if __name__ == "__main__":
    main()
