"""The reward of an answer, from Illumine's `POST /api/v1/rewards`.

verl calls `compute_score` for each answer (`reward.custom_reward_function`). Tools run
and judges judge on Illumine's side; this file waits for them. From the environment:
ILLUMINE_URL, ILLUMINE_API_KEY (none where nobody is asked for one),
ILLUMINE_TIME_LIMIT_S, the seconds that an answer's reward may take, and
ILLUMINE_REWARD_FACTORS, the run's as JSON (the paper's where it is not set).

An answer without a reward raises. verl 0.9 then leaves it out of its group and goes on
with the group's others (it ends the job when a step has none at all; older versions end
it at once), and that is what is wanted: an answer whose judge or tool was out of order
says nothing about the policy, and any number in place of its reward, also a low one or
the group's mean, would be learnt from.

An outage of the service itself is waited out up to the time limit: the run stands still
for so long, as one of Illumine's own workers does.
"""

import json
import math
import os
import random
import time
import urllib.error
import urllib.request

# Seconds of one call: tools draw and judges judge meanwhile.
CALL_LIMIT_S = 600
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
# The service is busy, or away for a while.
PASSING = {429, 502, 503, 504}


class Excluded(RuntimeError):
    """The answer cannot be judged now: a judge or a tool failed."""


class Outage(RuntimeError):
    """The service did not answer in time."""


class Refused(RuntimeError):
    """The service does not take the question as it is."""


def compute_score(data_source, solution_str, ground_truth, extra_info=None, **kwargs):
    """The reward, 0..=1 with the default factors."""
    extra = extra_info or {}
    answer = _ask(
        {
            "question": extra["question"],
            "answer": solution_str,
            "image_num": int(extra["image_num"]),
            "tools": [str(tool) for tool in extra["tools"]],
            "factors": json.loads(os.environ.get("ILLUMINE_REWARD_FACTORS") or "{}"),
        }
    )
    verdict = answer["verdict"]
    if verdict["status"] != "scored":
        raise Excluded(f"{verdict.get('code')}: {verdict.get('reason')}")
    reward = float(verdict["reward"])
    if not math.isfinite(reward):
        raise Excluded(f"the reward is {reward}")
    return reward


def _ask(question):
    request = urllib.request.Request(
        os.environ["ILLUMINE_URL"] + "/api/v1/rewards",
        data=json.dumps(question).encode(),
        headers={"Content-Type": "application/json"},
    )
    key = os.environ.get("ILLUMINE_API_KEY")
    if key:
        # Not sent on to wherever a redirect leads.
        request.add_unredirected_header("Authorization", f"Bearer {key}")
    give_up = time.monotonic() + float(os.environ.get("ILLUMINE_TIME_LIMIT_S", "600"))
    pause = FIRST_PAUSE_S
    while True:
        try:
            with urllib.request.urlopen(request, timeout=CALL_LIMIT_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            told = error.read(2000).decode(errors="replace")
            if error.code not in PASSING:
                # From None: what was sent is no one's business.
                raise Refused(f"HTTP {error.code}: {told}") from None
            reason, wanted = f"HTTP {error.code}: {told}", error.headers.get("Retry-After")
        except OSError as error:
            # No connection, or it broke or fell silent.
            reason, wanted = str(error), None
        except ValueError as error:
            # Half an answer.
            reason, wanted = f"not JSON: {error}", None
        wait = min(LONGEST_PAUSE_S, _seconds(wanted, pause)) * random.uniform(1.0, 1.25)
        if time.monotonic() + wait > give_up:
            raise Outage(f"{os.environ['ILLUMINE_URL']} gives no reward: {reason}")
        time.sleep(wait)
        pause *= 2


def _seconds(wanted, otherwise):
    try:
        return max(float(wanted), 0.1)
    except (TypeError, ValueError):
        return otherwise
