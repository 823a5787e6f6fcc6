"""In the place of the library moto, whose tests ask for it: each test begins with an empty origin instead of an empty mock."""

import functools

import boto3


def mock_aws(test):
    @functools.wraps(test)
    def on_an_empty_origin():
        store = boto3.client("mediastore-data", region_name="eu-west-1")
        for item in store.list_items()["Items"]:
            store.delete_object(Path=item["Name"])
        test()

    return on_an_empty_origin
