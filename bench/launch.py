"""Run a command; its wall time and peak memory follow what it prints, as a line of JSON.

The kernel counts into a process's peak memory that of the process it was forked from. So the bench,
which is large, has others started by this small one, which imports next to nothing.
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
