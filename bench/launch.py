"""Run a command, and print its wall time and peak memory as a line of JSON after its output.

The kernel counts the memory of the parent at the time of the fork as peak memory of the child.
Therefore the bench, which is large, starts other processes through this small one.
"""

import json
import os
import subprocess
import sys
import time


def main() -> None:
    began = time.perf_counter()
    process = subprocess.Popen(sys.argv[1:], stderr=subprocess.STDOUT)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    print(
        "\n"
        + json.dumps(
            {"code": process.returncode, "seconds": seconds, "memory": usage.ru_maxrss * 1024}
        )
    )


if __name__ == "__main__":
    main()
