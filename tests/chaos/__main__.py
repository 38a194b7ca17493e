"""`make chaos`: at least 50 kills at random moments, in a folder of its own that is removed when all is whole.

python -m tests.chaos --kills 50 --seed 1 --json FILE
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="what is killed and when; 0: another story each time")
    parser.add_argument("--json", type=Path, default=Path("var/benchmarks/chaos.json"), help="where the figures go")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cai-chaos-"))
    for name in ("DATABASE_URL", "CELERY_BROKER_URL", "ARTIFACT_ROOT", "MODELS_ROOT"):
        os.environ.pop(name, None)  # nobody's own services are ever killed
    os.environ |= {"VAR_DIR": str(folder / "var"), "DJANGO_SETTINGS_MODULE": "cai_web.settings", "HTTPS": "0",
                   "COLLECTED_STATIC": "0", "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}  # fmt: skip
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    from tests.chaos.harness import KINDS, Chaos, write

    services = settings.OWN_SERVICES
    services.ensure()
    call_command("migrate", interactive=False, verbosity=0)
    chaos = Chaos(
        folder, os.environ, services.running, lambda: services.ensure(again=True),
        seed=options.seed or time.time_ns(),
    )  # fmt: skip
    began = time.monotonic()
    try:
        chaos.start()
        for number in range(options.kills):
            chaos.keep_busy(3)
            chaos.rest(3.0)
            kind = KINDS[number % len(KINDS)]
            chaos.kill(kind)
            print(f"{number + 1:4} {kind:10} goes on after {chaos.story.kills[-1].restart_s:6.2f} s", flush=True)
        chaos.finish()
        story = chaos.check()
    finally:
        chaos.stop()
        for service in (services.redis, services.postgres):
            service.stop()
    write(story, options.json)
    found = story.as_data()
    print(f"{found['kills']} kills ({found['by_kind']}) in {time.monotonic() - began:.0f} s, {found['runs']} runs")
    print(f"restart median {found['restart_s']['median']} s, p99 {found['restart_s']['p99']} s; longest by kind "
          f"{found['restart_by_kind']}")  # fmt: skip
    print(f"{found['records']} records, each once; {found['resumed_by_hand']} runs resumed by hand: {found['reasons']}")
    for problem in story.problems:
        print(f"PROBLEM {problem}")
    if not story.problems:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"Everything is kept in {folder}.")
    return 1 if story.problems else 0


if __name__ == "__main__":
    sys.exit(main())
