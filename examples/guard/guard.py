#!/usr/bin/env python3
"""The first step of a pipeline: one run of a batch goes on, every other stands down.

    guard.py --claim gs://acme-guards/churn/17-0 --run RUN --key KEY [--decision FILE]

Creates the object named by --claim, which fails if it exists. Prints `go` if this run has created it, now or when it
was here before, and `stand_down` if another run has. Whatever is unclear is tried again; what stays unclear is an
error, and then nothing is printed. Python 3.9 or newer, and nothing else.
"""

import argparse
import datetime
import hashlib
import hmac
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

WITHIN_S = 30
CLAIM_BYTES_MAX = 64 << 10
AGAIN_S = 0.5
# Neither says whether the object was created: a server in trouble, and a race that S3 has not decided.
UNCLEAR = {408, 409, 429, 500, 502, 503, 504}


class Unclear(Exception):
    """What was asked may have been done, or not."""


class Failed(Exception):
    """It cannot be done."""


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """A credential is not taken elsewhere."""

    def redirect_request(self, *_):
        return None


def send(request, proxies=None):
    """The status and the body of the answer."""
    handlers = [NoRedirects()] + ([] if proxies is None else [urllib.request.ProxyHandler(proxies)])
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=WITHIN_S) as answer:
            return answer.status, answer.read(CLAIM_BYTES_MAX)
    except urllib.error.HTTPError as error:
        status = error.code
        error.close()
        return status, b""
    except (OSError, ValueError) as error:
        raise Unclear(type(error).__name__) from None


def quoted(text, safe="-_.~"):
    return urllib.parse.quote(text, safe=safe)


class CloudStorage:
    """Objects of Google Cloud Storage, over its JSON API."""

    def __init__(self, bucket, name):
        emulator = os.environ.get("STORAGE_EMULATOR_HOST", "")
        self.host = emulator if "://" in emulator or not emulator else f"http://{emulator}"
        self.bucket, self.name = quoted(bucket), quoted(name)

    def headers(self):
        if self.host:
            return {}
        return {"authorization": f"Bearer {self.token()}"}

    @staticmethod
    def token():
        given = os.environ.get("GOOGLE_OAUTH_ACCESS_TOKEN")
        if given:
            return given
        host = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")
        url = f"http://{host}/computeMetadata/v1/instance/service-accounts/default/token"
        request = urllib.request.Request(url, headers={"Metadata-Flavor": "Google"})
        status, body = send(request, proxies={})
        if status != 200:
            raise Unclear(f"the metadata server answered {status}")
        return json.loads(body)["access_token"]

    def create(self, body):
        place = f"{self.host or 'https://storage.googleapis.com'}/upload/storage/v1/b/{self.bucket}/o"
        url = f"{place}?uploadType=media&ifGenerationMatch=0&name={self.name}"
        headers = {"content-type": "application/json", **self.headers()}
        return send(urllib.request.Request(url, data=body, headers=headers, method="POST"))[0]

    def read(self):
        place = f"{self.host or 'https://storage.googleapis.com'}/storage/v1/b/{self.bucket}/o"
        return send(urllib.request.Request(f"{place}/{self.name}?alt=media", headers=self.headers()))


class S3:
    """Objects of S3, and of what speaks like it."""

    def __init__(self, bucket, name):
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        self.region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        name = quoted(name, safe="-_.~/")
        if endpoint:
            self.url = f"{endpoint.rstrip('/')}/{quoted(bucket)}/{name}"
        else:
            self.url = f"https://{bucket}.s3.{self.region}.amazonaws.com/{name}"

    @staticmethod
    def credentials():
        found = [os.environ.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")]
        if found[0] and found[1]:
            return found
        url = os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
        relative = os.environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
        if not url and not relative:
            raise Failed("there are no credentials of AWS in the environment")
        token = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
        file = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
        if file:
            with open(file, encoding="utf-8") as opened:
                token = opened.read().strip()
        request = urllib.request.Request(url or f"http://169.254.170.2{relative}")
        if token:
            request.add_header("authorization", token)
        status, body = send(request, proxies={})
        if status != 200:
            raise Unclear(f"the credentials of the container were answered with {status}")
        given = json.loads(body)
        return [given["AccessKeyId"], given["SecretAccessKey"], given.get("Token")]

    def send(self, method, body, headers):
        key, secret, session = self.credentials()
        now = datetime.datetime.now(datetime.timezone.utc)
        if session:
            headers = {**headers, "x-amz-security-token": session}
        headers = signed(method, self.url, headers, body, (key, secret, self.region, now))
        return send(urllib.request.Request(self.url, data=body or None, headers=headers, method=method))

    def create(self, body):
        headers = {"content-type": "application/json", "if-none-match": "*"}
        return self.send("PUT", body, headers)[0]

    def read(self):
        return self.send("GET", b"", {})


def signed(method, url, headers, body, by):
    """The headers of a request with those that sign it: version 4 of AWS, for S3."""
    key, secret, region, now = by
    parts = urllib.parse.urlsplit(url)
    stamp, digest = now.strftime("%Y%m%dT%H%M%SZ"), hashlib.sha256(body).hexdigest()
    headers = {**headers, "host": parts.netloc, "x-amz-content-sha256": digest, "x-amz-date": stamp}
    names = sorted(name.lower() for name in headers)
    values = {name.lower(): value.strip() for name, value in headers.items()}
    lines = "".join(f"{name}:{values[name]}\n" for name in names)
    asked = "\n".join([method, parts.path, parts.query, lines, ";".join(names), digest])
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(asked.encode()).hexdigest()])
    derived = f"AWS4{secret}".encode()
    for part in scope.split("/") + [text]:
        derived = hmac.new(derived, part.encode(), hashlib.sha256).digest()
    who = f"Credential={key}/{scope}, SignedHeaders={';'.join(names)}, Signature={derived.hex()}"
    return {**headers, "authorization": f"AWS4-HMAC-SHA256 {who}"}


def place(uri):
    """Where a claim is made."""
    scheme, _, rest = uri.partition("://")
    bucket, _, name = rest.partition("/")
    kinds = {"gs": CloudStorage, "s3": S3}
    if scheme not in kinds or not bucket or not name:
        raise Failed(f"not gs://BUCKET/NAME or s3://BUCKET/NAME: claim=`{uri}`")
    return kinds[scheme](bucket, name)


def decide(store, key, run):
    """Whether this run goes on, by one look at the store."""
    body = json.dumps({"v": 1, "key": key, "run": run}).encode() + b"\n"
    status = store.create(body)
    if status in (200, 201):
        return "go"
    if status in UNCLEAR:
        raise Unclear(f"the store answered {status}")
    if status != 412:
        raise Failed(f"the store refused the claim: status=`{status}`")
    status, found = store.read()
    if status in UNCLEAR or status == 404:
        raise Unclear(f"the store answered {status}")
    if status != 200:
        raise Failed(f"the claim of another cannot be read: status=`{status}`")
    try:
        winner = json.loads(found)["run"]
    except (ValueError, KeyError, TypeError):
        raise Failed("what lies there is no claim") from None
    return "go" if winner == run else "stand_down"


def persist(store, arguments):
    """Asks until it is clear, which a claim that was made before and not heard of is."""
    for attempt in range(max(arguments.tries, 1)):
        if attempt > 0:
            time.sleep(AGAIN_S * 2 ** (attempt - 1))
        try:
            return decide(store, arguments.key, arguments.run)
        except Unclear as error:
            why = error
    raise Failed(f"it stays unclear who has the claim: {why}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--claim", required=True, help="the object: gs://BUCKET/NAME or s3://BUCKET/NAME")
    parser.add_argument("--run", required=True, help="the id the service has given this run; a retry keeps it")
    parser.add_argument("--key", required=True, help="the key refit has given this run")
    parser.add_argument("--decision", help="a file for the decision")
    parser.add_argument("--tries", type=int, default=6, help="how often what is unclear is tried")
    arguments = parser.parse_args()
    try:
        decision = persist(place(arguments.claim), arguments)
    except Failed as error:
        sys.exit(f"guard: {error}")
    if arguments.decision:
        os.makedirs(os.path.dirname(arguments.decision) or ".", exist_ok=True)
        with open(arguments.decision, "w", encoding="utf-8") as file:
            file.write(decision)
    print(decision)


if __name__ == "__main__":
    main()
