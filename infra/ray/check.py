"""Whether overrides compose with verl's own configuration, which is all that can be
tried without a GPU: every key exists and every value can be read.

    check.py FILE... < more

Prints the whole configuration as JSON. verl itself is not imported.
"""

import importlib.util
import json
import pathlib
import sys

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf


def main():
    lines = [line for name in sys.argv[1:] for line in pathlib.Path(name).read_text().splitlines()]
    lines += sys.stdin.read().splitlines()
    overrides = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    verl = pathlib.Path(importlib.util.find_spec("verl").origin).parent
    with initialize_config_dir(str(verl / "trainer/config"), version_base=None):
        config = compose(config_name="ppo_trainer", overrides=overrides)
    json.dump(OmegaConf.to_container(config, resolve=True), sys.stdout)


main()
