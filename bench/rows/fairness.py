"""Whether those who ask little wait for those who ask much. The p99 with 10,000 alike is in the dialogue's table."""
from lib.greeters import C, MEMCACHED, OURS, REDIS, contender, drive, present
from lib.rounds import in_turn
from lib.table import LESS, MORE, Column, Table

SLOW, GREEDY = 1000, 16


def fairness(plan):
    result = Table(
        "Fairness",
        f"{GREEDY} connections keep 16 batches of 100 on their way all the time; beside them {SLOW:,} ask one at a time. "
        "What is better is asked of the slow ones alone; CPU is that of an answer to anybody.",
        [
            Column("p99 ms, slow", ",.2f", LESS),
            Column("answers/s, slow", ",.0f", MORE),
            Column("answers/s, greedy", ",.0f", ratio=False),
            Column("CPU s per M", ".3f", ratio=False),
        ],
    )
    seconds = plan.pick(0.4, 1.5)

    def act(server, port, asked):
        rate, cpu, p99, greedy = drive(server, port, SLOW, 1, seconds, ("-p", GREEDY, *asked))
        return p99, rate, greedy, cpu

    contenders = {
        name: contender(greeter, lambda server, port, asked=greeter.asked: act(server, port, asked))
        for name, greeter in present(plan, [C, OURS, REDIS, MEMCACHED])
    }
    result.add(f"{SLOW:,} beside {GREEDY}", in_turn(plan, contenders), plan.rounds)
    return [result]
