#!/usr/bin/env python3
"""How many listeners so many replicas serve: a simulation of calls that come at random, and Erlang's formula beside it.

    python3 benches/replicas.py --streams 30 [--seconds 6] [--loss 0.001] [--replicas 1 2 4 8 16 32 64] [--seed 0]

`--streams` is what one replica sustains without a gap (`vocode bench`, or `vocode load` through the balancer that is used). Calls come as a
Poisson process, last log-normally around `--seconds`, and go to the replica with the fewest calls, as `balance leastconn` (HAProxy),
`least_conn` (nginx) and LEAST_REQUEST (Envoy) do; a call that finds every place taken is lost. For each number of replicas the largest load
is sought at which no more than `--loss` of the calls are lost. Nothing but the standard library.
"""

import argparse
import heapq
import random
from functools import partial


def erlang_b(load, places):
    """Share of the calls that are lost where `load` places are asked for on average (Erlang 1917)."""
    inverse = 1.0
    for place in range(1, places + 1):
        inverse = 1.0 + inverse * place / load
    return 1.0 / inverse


def simulate(load, replicas, streams, seconds, calls, seed):
    """Share of lost calls."""
    chance = random.Random(seed)
    busy, ends = [0] * replicas, []
    now, lost = 0.0, 0
    for _ in range(calls):
        now += chance.expovariate(load / seconds)
        while ends and ends[0][0] <= now:
            busy[heapq.heappop(ends)[1]] -= 1
        least = min(busy)
        place = chance.choice([i for i, count in enumerate(busy) if count == least])
        if busy[place] >= streams:
            lost += 1
            continue
        busy[place] += 1
        # Mean 1, as most sentences are short and some are long.
        heapq.heappush(ends, (now + seconds * chance.lognormvariate(-0.125, 0.5), place))
    return lost / calls


def largest(lost_at, places, loss):
    """The largest load, in places, at which no more than `loss` are lost."""
    low, high = 0.0, float(places)
    while high - low > 0.002 * places:
        middle = (low + high) / 2
        low, high = (middle, high) if lost_at(middle) <= loss else (low, middle)
    return low


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--loss", type=float, default=0.001)
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--calls", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    print(f"{a.streams} streams a replica, calls of {a.seconds:g} s, at most {a.loss:.1%} lost")
    print("| replicas | places | listeners at once, simulated | by Erlang | of the places |\n|---:|---:|---:|---:|---:|")
    for replicas in a.replicas:
        places = replicas * a.streams
        simulated = largest(partial(simulate, replicas=replicas, streams=a.streams, seconds=a.seconds, calls=a.calls, seed=a.seed), places, a.loss)
        formula = largest(partial(erlang_b, places=places), places, a.loss)
        print(f"| {replicas} | {places} | {simulated:.0f} | {formula:.0f} | {simulated / places:.0%} |")


if __name__ == "__main__":
    main()
