// Plays streams in real players in one headless Chromium and says what was seen, as one JSON object per line.
//   play.mjs PLAYER URL SECONDS     plays once; PLAYER is hls.js, shaka or dash.js
//   play.mjs                        reads plays, one JSON object per line: {id, player, url, seconds, seekTo?, settings?};
//                                   they run side by side, each in a page of its own; {id, event} tells when the first
//                                   frame is shown ("playing") and when playback stands still ("stall")
// The pages come from a port of their own, so that every request for media is one across origins.

import { createReadStream } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const libraries = process.env.PLAYERS;
const { chromium } = createRequire(join(libraries, 'x'))('playwright-core');

const PAGE = `<!doctype html><meta charset="utf-8"><title>play</title><link rel="icon" href="data:,">
<video muted playsinline width="320" height="180"></video><script src="/page.js"></script>`;

/** What the page server serves, and nothing else. */
const FILES = {
  '/page.js': join(import.meta.dirname, 'page.js'),
  '/hls.js': join(libraries, 'hls.js/dist/hls.min.js'),
  '/shaka.js': join(libraries, 'shaka-player/dist/shaka-player.compiled.js'),
  '/dash.js': join(libraries, 'dashjs/dist/modern/umd/dash.all.min.js'),
};

/** Seconds that a page may take beyond those that it plays: for its start on a busy machine. */
const PATIENCE = 60;

async function serve() {
  const server = createServer((request, response) => {
    const file = FILES[request.url];
    if (file) {
      response.writeHead(200, { 'Content-Type': 'text/javascript; charset=utf-8' });
      createReadStream(file).on('error', () => response.destroy()).pipe(response);
    } else {
      response.writeHead(request.url === '/' ? 200 : 404, { 'Content-Type': 'text/html; charset=utf-8' });
      response.end(request.url === '/' ? PAGE : '');
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: [
      '--no-sandbox', // tests run as root in a container
      '--disable-dev-shm-usage',
      '--autoplay-policy=no-user-gesture-required',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1', // nothing but this machine is asked
    ],
  });
}

/** Requests for media that failed, counted by what happened and where. */
function failures(page) {
  const counts = {};
  const count = (what, request) => {
    const { pathname, search } = new URL(request.url());
    const name = `${what} ${pathname}${search}`;
    counts[name] = (counts[name] ?? 0) + 1;
  };
  page.on('response', (response) => response.status() >= 400 && count(response.status(), response.request()));
  page.on('requestfailed', (request) => {
    const reason = request.failure()?.errorText ?? 'failed';
    if (reason !== 'net::ERR_ABORTED') count(reason, request); // aborted by the player itself, which has found a better rendition
  });
  return counts;
}

async function play(browser, home, order) {
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    const failed = failures(page);
    const thrown = [];
    page.on('pageerror', (error) => thrown.push(String(error)));
    await page.exposeFunction('tell', (event) => order.id !== undefined && print({ id: order.id, event }));
    await page.goto(home);
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error('the page did not answer in time')), (order.seconds + PATIENCE) * 1000);
    });
    const seen = await Promise.race([page.evaluate((order) => play(order), order), late]).finally(() => clearTimeout(timer));
    return { ...seen, thrown, failed };
  } finally {
    await context.close();
  }
}

const server = await serve();
const browser = await launch();
const home = `http://127.0.0.1:${server.address().port}/`;

const print = (value) => console.log(JSON.stringify(value));

async function run(order) {
  let seen;
  try {
    seen = await play(browser, home, order);
  } catch (error) {
    seen = { fatal: [`${error}`] };
  }
  print({ id: order.id, browser: browser.version(), player: order.player, ...seen });
}

const [player, url, seconds] = process.argv.slice(2);
if (player) {
  await run({ player, url, seconds: Number(seconds) });
} else {
  const running = [];
  process.stdout.on('error', () => process.exit(1)); // nobody reads any more
  for await (const line of createInterface({ input: process.stdin })) running.push(run(JSON.parse(line)));
  await Promise.all(running);
}
await browser.close();
server.close();
