"""Whether a server answers HEAD from one moment: plain connections replace an object and ask for its headers, with URLs that
boto3 has signed.

heads.py ENDPOINT BUCKET ACCESS_KEY SECRET_KEY SECONDS; ends earlier when an answer had the metadata of one version and the ETag
of another. Prints "N answers, M of two versions".
"""

import hashlib
import http.client
import multiprocessing
import sys
import time
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

ENDPOINT, BUCKET, ACCESS_KEY, SECRET_KEY, SECONDS = sys.argv[1:]
VERSIONS = range(50)
READERS = 2

store = boto3.client(
    "s3", endpoint_url=ENDPOINT, region_name="us-east-1", aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY,
    config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))


def signed(operation, **more):
    parameters = {"Bucket": BUCKET, "Key": "live/index.m3u8", **more}
    url = urlsplit(store.generate_presigned_url(operation, Params=parameters, ExpiresIn=3600))
    return f"{url.path}?{url.query}"


def body(version):
    return b"version %d of a playlist" % version


def ask(wire, method, target, body=None, headers={}):
    wire.request(method, target, body, headers)
    answer = wire.getresponse()
    answer.read()
    assert answer.status == 200, (method, answer.status)
    return answer


def connection():
    to = urlsplit(ENDPOINT)
    return http.client.HTTPConnection(to.hostname, to.port, timeout=20)


def put(wire, version, target):
    ask(wire, "PUT", target, body(version), {"x-amz-meta-version": str(version)})


def write(targets, stop, end):
    wire = connection()
    while not stop.is_set() and time.monotonic() < end:
        for version, target in zip(VERSIONS, targets):
            put(wire, version, target)
    stop.set()


def read(target, stop, answers, mixed):
    wire, count = connection(), 0
    etags = [f'"{hashlib.md5(body(version)).hexdigest()}"' for version in VERSIONS]
    while not stop.is_set():
        answer = ask(wire, "HEAD", target)
        count += 1
        if answer.headers["etag"] != etags[int(answer.headers["x-amz-meta-version"])]:
            assert answer.headers["etag"] in etags, answer.headers
            with mixed.get_lock():
                mixed.value += 1
            stop.set()
    with answers.get_lock():
        answers.value += count


def main():
    targets = [signed("put_object", Metadata={"version": str(version)}) for version in VERSIONS]
    put(connection(), 0, targets[0])
    stop, answers, mixed = multiprocessing.Event(), multiprocessing.Value("q", 0), multiprocessing.Value("q", 0)
    end = time.monotonic() + float(SECONDS)
    work = [multiprocessing.Process(target=write, args=(targets, stop, end))]
    work += [multiprocessing.Process(target=read, args=(signed("head_object"), stop, answers, mixed)) for _ in range(READERS)]
    for process in work:
        process.start()
    for process in work:
        process.join()
        assert process.exitcode == 0
    print(f"{answers.value} answers, {mixed.value} of two versions")


main()
