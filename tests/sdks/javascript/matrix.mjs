// The JavaScript SDK's MediaStore client against a running origin: one line per check, and their number at the end.
// ENDPOINT, ACCESS_KEY_ID, SECRET_ACCESS_KEY; SIGNED is 1 where the origin knows these keys, 0 where it lets everybody write.
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import {
  DeleteObjectCommand, DescribeObjectCommand, GetObjectCommand, ListItemsCommand, MediaStoreDataClient, ObjectNotFoundException,
  PutObjectCommand, RequestedRangeNotSatisfiableException, paginateListItems,
} from "@aws-sdk/client-mediastore-data";

const { ENDPOINT, ACCESS_KEY_ID, SECRET_ACCESS_KEY, SIGNED } = process.env;
let checks = 0;

function check(name, holds, seen) {
  if (!holds) {
    console.log(`FAILED ${name}:`, seen);
    process.exit(1);
  }
  checks += 1;
  console.log("ok", name);
}

function client(options = {}) {
  const credentials = { accessKeyId: ACCESS_KEY_ID, secretAccessKey: options.secret ?? SECRET_ACCESS_KEY };
  return new MediaStoreDataClient({ endpoint: ENDPOINT, region: "eu-central-1", credentials, maxAttempts: 1, ...options.config });
}

async function failure(promise) {
  try {
    return { unexpected: await promise };
  } catch (error) {
    return error;
  }
}

const store = client();
const send = (Command, input) => store.send(new Command(input));
const text = async (Path) => (await send(GetObjectCommand, { Path })).Body.transformToString();

async function objects() {
  const put = await send(PutObjectCommand, { Path: "live/a.ts", Body: "abc", ContentType: "video/mp2t", CacheControl: "max-age=6" });
  check("MS-01 PutObject", put.ContentSHA256 === createHash("sha256").update("abc").digest("hex") && put.StorageClass === "TEMPORAL", put);
  const got = await send(GetObjectCommand, { Path: "live/a.ts" });
  check("MS-02 headers", got.ContentType === "video/mp2t" && got.CacheControl === "max-age=6" && got.ETag === put.ETag, got);
  check("MS-02 body", (await got.Body.transformToString()) === "abc");
  const part = await send(GetObjectCommand, { Path: "live/a.ts", Range: "bytes=1-" });
  check("MS-05 range", part.ContentRange === "bytes 1-2/3" && (await part.Body.transformToString()) === "bc", part);
  const behind = await failure(send(GetObjectCommand, { Path: "live/a.ts", Range: "bytes=99-" }));
  check("MS-06 typed 416", behind instanceof RequestedRangeNotSatisfiableException, behind);
  const none = await failure(send(GetObjectCommand, { Path: "live/none.ts" }));
  check("MS-07 typed 404", none instanceof ObjectNotFoundException && none.message, none);
  const head = await send(DescribeObjectCommand, { Path: "live/a.ts" });
  check("MS-08 DescribeObject", head.ContentLength === 3 && head.ETag === put.ETag && head.LastModified instanceof Date, head);
  check("MS-09 typed 404 of a HEAD", (await failure(send(DescribeObjectCommand, { Path: "live/none.ts" }))) instanceof ObjectNotFoundException);
  await send(DeleteObjectCommand, { Path: "live/a.ts" });
  check("MS-11 twice is 404", (await failure(send(DeleteObjectCommand, { Path: "live/a.ts" }))) instanceof ObjectNotFoundException);
}

async function paths() {
  for (const Path of ["live/a b=c:d'(1)!*~é.ts", "/live/slash.ts", "live/100%.ts"]) {
    await send(PutObjectCommand, { Path, Body: Path });
    check(`MS-23 ${Path}`, (await text(Path)) === Path);
  }
}

async function digests() {
  const flipped = client();
  // After the signature: what arrives is not what was signed.
  flipped.middlewareStack.add(
    (next) => (args) => {
      args.request.body = Buffer.from("abX");
      return next(args);
    },
    { step: "finalizeRequest", priority: "low", name: "flip" },
  );
  const error = await failure(flipped.send(new PutObjectCommand({ Path: "live/flipped.ts", Body: Buffer.from("abc") })));
  check("MS-24 a flipped byte is refused", error.$metadata?.httpStatusCode === 400, error);
  check("MS-24 and nothing is stored", (await failure(send(GetObjectCommand, { Path: "live/flipped.ts" }))) instanceof ObjectNotFoundException);
  await send(PutObjectCommand, { Path: "live/right.ts", Body: Buffer.from("abc") });
  check("MS-24 the right one is stored", (await text("live/right.ts")) === "abc");
}

async function streaming() {
  let release;
  const released = new Promise((resolve) => (release = resolve));
  async function* pieces() {
    yield Buffer.from("abc");
    await released;
    yield Buffer.from("def");
  }
  const put = send(PutObjectCommand, { Path: "live/s.ts", Body: Readable.from(pieces()), UploadAvailability: "STREAMING" });
  let got;
  while (!got) got = await send(GetObjectCommand, { Path: "live/s.ts" }).catch(() => undefined);
  const reader = got.Body[Symbol.asyncIterator]();
  const first = Buffer.from((await reader.next()).value).toString();
  check("MS-17 the first bytes are read before the end", first === "abc", first);
  release();
  await put;
  const rest = Buffer.from((await reader.next()).value).toString();
  check("MS-17 and the others after it", rest === "def", rest);
}

async function listing() {
  for (let number = 0; number < 25; number += 1) await send(PutObjectCommand, { Path: `list/${String.fromCharCode(97 + number)}.ts`, Body: "x" });
  const names = [];
  for await (const page of paginateListItems({ client: store, pageSize: 10 }, { Path: "list" })) {
    names.push(...page.Items.map((item) => item.Name));
    check("MS-13 dates", page.Items.every((item) => item.LastModified instanceof Date && item.Type === "OBJECT"), page);
  }
  check("MS-14 each name once", names.join("") === [..."abcdefghijklmnopqrstuvwxy"].map((name) => `${name}.ts`).join(""), names);
  const wrong = await failure(send(ListItemsCommand, { Path: "list", MaxResults: 1001 }));
  check("MS-15 MaxResults=1001", wrong.$metadata?.httpStatusCode === 400, wrong);
}

async function access() {
  const wrong = await failure(client({ secret: "wrong" }).send(new PutObjectCommand({ Path: "live/x.ts", Body: "x" })));
  check("MS-27 wrong secret", wrong.name === "InvalidSignatureException" && wrong.$metadata.httpStatusCode === 403, wrong);
  const late = client({ config: { systemClockOffset: -3600_000 } });
  const skewed = await failure(late.send(new PutObjectCommand({ Path: "live/x.ts", Body: "x" })));
  check("a clock that is an hour late", skewed.name === "RequestTimeTooSkewed", skewed);
  // The SDK has learnt the time from the answer.
  check("the SDK mends its clock", (await late.send(new PutObjectCommand({ Path: "live/x.ts", Body: "x" }))).ETag);
}

await objects();
await paths();
await digests();
await streaming();
await listing();
if (SIGNED === "1") await access();
console.log(checks, "checks passed");
// The end of a body that was not read to its end would be waited for.
process.exit(0);
