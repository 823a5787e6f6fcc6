"""boto3's MediaStore client against a running origin: one line per check, and their number at the end.

ENDPOINT, ACCESS_KEY_ID, SECRET_ACCESS_KEY; SIGNED is 1 where the origin knows these keys, 0 where it lets everybody write.
"""

import hashlib
import http.client
import io
import os
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError
from urllib.parse import urlsplit

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT, SIGNED = os.environ["ENDPOINT"], os.environ["SIGNED"] == "1"
checks = 0


def check(name, holds, seen=""):
    global checks
    if not holds:
        raise SystemExit(f"FAILED {name}: {seen}")
    checks += 1
    print("ok", name)


def client(secret=os.environ["SECRET_ACCESS_KEY"], key=os.environ["ACCESS_KEY_ID"], **config):
    return boto3.client(
        "mediastore-data", endpoint_url=ENDPOINT, region_name="us-west-2", aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}, max_pool_connections=16, **config))


def error(call, **arguments):
    try:
        call(**arguments)
    except ClientError as failed:
        answer = failed.response
        return type(failed).__name__, answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]
    raise SystemExit(f"FAILED {arguments}: no error")


def objects(store):
    body = b"abc"
    put = store.put_object(Path="live/a.ts", Body=body, ContentType="video/mp2t", CacheControl="max-age=6")
    check("MS-01 PutObject is 200", put["ResponseMetadata"]["HTTPStatusCode"] == 200, put)
    check("MS-01 ContentSHA256", put["ContentSHA256"] == hashlib.sha256(body).hexdigest(), put)
    check("MS-01 StorageClass", put["StorageClass"] == "TEMPORAL", put)
    got = store.get_object(Path="live/a.ts")
    check("MS-02 body", got["Body"].read() == body)
    check("MS-02 headers", (got["ContentType"], got["CacheControl"], got["ContentLength"]) == ("video/mp2t", "max-age=6", 3), got)
    check("MS-02 the ETag is that of the upload", got["ETag"] == put["ETag"], (got["ETag"], put["ETag"]))
    check("MS-02 LastModified", got["LastModified"].year >= 2024, got)
    for text, part, content_range in [("bytes=0-1", b"ab", "bytes 0-1/3"), ("bytes=-2", b"bc", "bytes 1-2/3"), ("bytes=1-", b"bc", "bytes 1-2/3")]:
        got = store.get_object(Path="live/a.ts", Range=text)
        check(f"MS-04 MS-05 {text}", (got["Body"].read(), got["ContentRange"], got["StatusCode"]) == (part, content_range, 206), got)
    name, status, _ = error(store.get_object, Path="live/a.ts", Range="bytes=99-")
    check("MS-06 typed 416", (name, status) == ("RequestedRangeNotSatisfiableException", 416), (name, status))
    name, status, body = error(store.get_object, Path="live/none.ts")
    check("MS-07 typed 404", (name, status) == ("ObjectNotFoundException", 404) and body["Message"], (name, status, body))
    head = store.describe_object(Path="live/a.ts")
    check("MS-08 DescribeObject", (head["ContentType"], head["ContentLength"], head["ETag"]) == ("video/mp2t", 3, put["ETag"]), head)
    name, status, _ = error(store.describe_object, Path="live/none.ts")
    check("MS-09 typed 404 of a HEAD", (name, status) == ("ObjectNotFoundException", 404), (name, status))
    gone = store.delete_object(Path="live/a.ts")
    check("MS-10 DeleteObject is 200", gone["ResponseMetadata"]["HTTPStatusCode"] == 200, gone)
    check("MS-10 then it is gone", error(store.get_object, Path="live/a.ts")[1] == 404)
    check("MS-11 twice is 404", error(store.delete_object, Path="live/a.ts")[0] == "ObjectNotFoundException")


def paths(store):
    for path in ["live/with space.ts", "live/a=b:c.ts", "live/100%.ts", "live/ümläut+'(1)!*~.ts", "/live/slash.ts"]:
        store.put_object(Path=path, Body=path.encode())
        check(f"MS-23 {path}", store.get_object(Path=path)["Body"].read() == path.encode())
    encoded = "/live/a%3Db%3Ac.ts"
    if SIGNED:
        url = store.generate_presigned_url("get_object", Params={"Path": "live/a=b:c.ts"})
        check("MS-23 presigned", urllib.request.urlopen(url).read() == b"live/a=b:c.ts", url)
    else:
        for path in [encoded, "/live/a=b:c.ts"]:
            check(f"MS-23 {path}", urllib.request.urlopen(ENDPOINT + path).read() == b"live/a=b:c.ts")


class Pieces:
    """A file of unknown length whose second piece comes when somebody has read the first."""

    def __init__(self):
        self.pieces = iter([b"abc", b"def", b""])
        self.read_by_another = threading.Event()

    def read(self, _size=-1):
        piece = next(self.pieces)
        if piece == b"def" and not self.read_by_another.wait(20):
            raise RuntimeError("nobody has read the first piece")
        return piece


def streaming(store):
    # The model knows upper case only, the guide writes lower case.
    for availability, path in [("STREAMING", "live/s1.ts"), ("streaming", "live/s2.ts")]:
        body, seen = Pieces(), []
        with ThreadPoolExecutor(1) as pool:
            put = pool.submit(store.put_object, Path=path, Body=body, UploadAvailability=availability)
            while not seen:
                try:
                    got = store.get_object(Path=path)["Body"]
                    seen.append(got.read(3))
                except ClientError:
                    pass
            body.read_by_another.set()
            put.result()
        check(f"MS-17 MS-18 {availability} is read before its end", (seen[0], got.read()) == (b"abc", b"def"), seen)
    put = store.put_object(Path="live/s3.ts", Body=io.BytesIO(b"abc"), UploadAvailability="STREAMING")
    check("MS-19 STREAMING with a length", put["ContentSHA256"], put)


def listing(store):
    names = [f"n{number:04}.ts" for number in range(2500)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.put_object(Path=f"many/{name}", Body=b"x"), names))
    store.put_object(Path="many/sub/a.ts", Body=b"x")
    first = store.list_items(Path="many")
    check("MS-14 a page has 1000", len(first["Items"]) == 1000 and first["NextToken"], len(first["Items"]))
    item = first["Items"][0]
    check("MS-13 an object", (item["Name"], item["Type"], item["ContentLength"]) == ("n0000.ts", "OBJECT", 1) and item["LastModified"].year >= 2024, item)
    pages = list(store.get_paginator("list_items").paginate(Path="many"))
    found = [(item["Name"], item["Type"]) for page in pages for item in page["Items"]]
    check("MS-14 each name once", found == [(name, "OBJECT") for name in names] + [("sub", "FOLDER")], len(found))
    check("MS-14 three pages", len(pages) == 3, len(pages))
    check("MS-15 MaxResults=0", error(unchecked().list_items, Path="many", MaxResults=0)[1] == 400)
    check("MS-15 MaxResults=1001", error(unchecked().list_items, Path="many", MaxResults=1001)[1] == 400)
    store.delete_object(Path="many/sub/a.ts")
    check("MS-12 an empty folder is gone", not store.list_items(Path="many/sub")["Items"])


def unchecked():
    """A client that sends what its model forbids."""
    return client(parameter_validation=False)


def access(store):
    name, status, body = error(client(secret="wrong").put_object, Path="live/x.ts", Body=b"x")
    check("MS-27 wrong secret", (status, body["Code"]) == (403, "InvalidSignatureException"), (status, body))
    name, status, body = error(client(key="AKIDNOBODY").put_object, Path="live/x.ts", Body=b"x")
    check("MS-27 unknown key", (status, body["Code"]) == (403, "UnrecognizedClientException"), (status, body))
    nobody = boto3.client("mediastore-data", endpoint_url=ENDPOINT, region_name="us-west-2", config=Config(signature_version=UNSIGNED))
    check("MS-28 nobody may not write", error(nobody.delete_object, Path="live/x.ts")[1] == 401)
    check("MS-28 nor list", error(nobody.list_items)[1] == 403)
    store.put_object(Path="live/x.ts", Body=b"x")
    check("MS-28 everybody reads what is public", nobody.get_object(Path="live/x.ts")["Body"].read() == b"x")
    url = store.generate_presigned_url("list_items", Params={"Path": "live"}, ExpiresIn=60)
    check("presigned listing", b"x.ts" in urllib.request.urlopen(url).read())
    try:
        urllib.request.urlopen(url.replace("Path=live", "Path=many"))
        check("a changed presigned URL", False)
    except HTTPError as refused:
        check("a changed presigned URL", refused.code == 403)
    # A refused upload is told before its body.
    to = urlsplit(ENDPOINT)
    wire = http.client.HTTPConnection(to.hostname, to.port, timeout=20)
    wire.putrequest("PUT", "/live/x.ts")
    wire.putheader("Expect", "100-continue")
    wire.putheader("Content-Length", "1000000")
    wire.endheaders()
    check("FQ-07 401 before the body", wire.getresponse().status == 401)


def main():
    store = client()
    objects(store)
    paths(store)
    streaming(store)
    listing(store)
    if SIGNED:
        access(store)
    print(checks, "checks passed")


main()
