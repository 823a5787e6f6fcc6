"""The tests that moto has for its mock of MediaStore, as they are, against a running origin: one line per test, and their number.

ENDPOINT, ACCESS_KEY_ID, SECRET_ACCESS_KEY; matrix.py FILE
"""

import os
import sys

os.environ |= {
    "AWS_ENDPOINT_URL_MEDIASTORE_DATA": os.environ["ENDPOINT"],
    "AWS_ACCESS_KEY_ID": os.environ["ACCESS_KEY_ID"],
    "AWS_SECRET_ACCESS_KEY": os.environ["SECRET_ACCESS_KEY"],
}

import pytest

# The mock answers GetObject with a header `path`, which the service's API does not have.
NOT_OF_THE_SERVICE = {"test_get_object": "KeyError: 'path'"}


class Outcomes:
    def __init__(self):
        self.passed, self.failed = [], {}

    def pytest_runtest_logreport(self, report):
        name = report.nodeid.split("::")[-1]
        if report.failed:
            self.failed[name] = str(report.longrepr)
        elif report.when == "call":
            self.passed.append(name)


outcomes = Outcomes()
pytest.main(["-q", "-p", "no:cacheprovider", "--import-mode=importlib", "--rootdir", "/", sys.argv[1]], plugins=[outcomes])
for name, reason in NOT_OF_THE_SERVICE.items():
    text = outcomes.failed.pop(name, "it passed")
    if reason not in text:
        raise SystemExit(f"FAILED {name}, for another reason than {reason}: {text}")
if outcomes.failed:
    raise SystemExit(f"FAILED {outcomes.failed}")
print(len(outcomes.passed), "checks passed")
