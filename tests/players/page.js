// In the page: plays one stream with one player and measures what a viewer would notice.

/** Milliseconds between two looks at the video. */
const EVERY = 200;
/** Seconds that the first frame may take. */
const START_MAX = 45;
/** Seconds of play after which waiting is a stall. */
const SETTLED = 1;

const library = (path) =>
  new Promise((resolve, reject) => {
    const script = document.createElement('script');
    script.src = path;
    script.onload = resolve;
    script.onerror = () => reject(new Error(`no ${path}`));
    document.head.append(script);
  });

/** Each loads a stream and returns {version, behind}: seconds behind the clock of what is being shown, where it is known. */
const players = {
  async 'hls.js'(video, url, settings, seen) {
    await library('/hls.js');
    const hls = new Hls(settings);
    hls.on(Hls.Events.ERROR, (_, { fatal, details, response, error }) =>
      (fatal ? seen.fatal : seen.errors).push([details, response?.code || error?.message].filter(Boolean).join(': ')));
    hls.loadSource(url);
    hls.attachMedia(video);
    // Without dates in the playlist, behind the end of the playlist.
    const behind = () => (hls.playingDate ? (Date.now() - hls.playingDate) / 1000 : hls.latestLevelDetails?.live ? hls.latency : null);
    return { version: Hls.version, behind };
  },

  async shaka(video, url, settings, seen) {
    await library('/shaka.js');
    shaka.polyfill.installAll();
    const player = new shaka.Player();
    await player.attach(video);
    const text = (error) => `${error.code} ${error.data?.slice(0, 2).join(' ') ?? error}`;
    // Its "critical" says only that a request was given up: of a live stream it plays on.
    player.addEventListener('error', (event) => seen.errors.push(text(event.detail)));
    player.configure(settings);
    player.load(url).catch((error) => seen.fatal.push(text(error)));
    return {
      version: shaka.Player.version,
      behind: () => (player.isLive() ? (Date.now() - player.getPlayheadTimeAsDate()) / 1000 : null),
    };
  },

  async 'dash.js'(video, url, settings, seen) {
    await library('/dash.js');
    const player = dashjs.MediaPlayer().create();
    // Its own time server is on the Internet; the encoder's clock is this machine's.
    player.updateSettings({ streaming: { utcSynchronization: { enabled: false } } });
    player.updateSettings(settings);
    player.on(dashjs.MediaPlayer.events.ERROR, ({ error }) => seen.fatal.push(`${error.code} ${error.message}`));
    player.initialize(video, url, true);
    return {
      version: player.getVersion(),
      behind: () => (player.isReady() && player.isDynamic() ? player.getCurrentLiveLatency() : null),
    };
  },
};

const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? null;
const round = (value) => (value === null ? null : Math.round(value * 100) / 100);
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Plays for so many seconds after the first frame. Where `seekTo` is given, jumps there after a third of them. */
async function play({ player, url, seconds, seekTo = null, settings = {} }) {
  const video = document.querySelector('video');
  const seen = { fatal: [], errors: [] };
  const began = performance.now();
  let isPlaying = false;
  let isSeeking = false;
  let played = 0;
  let stalls = 0;
  let jumps = 0;
  video.addEventListener('seeking', () => {
    isSeeking = true;
    if (isPlaying) jumps += 1;
  });
  // Waiting for data is a stall, unless the viewer has just asked for another place or playback has just begun: players
  // correct their place in the first moment.
  video.addEventListener('waiting', () => {
    if (played < SETTLED || isSeeking) return;
    stalls += 1;
    tell('stall');
  });
  const { version, behind } = await players[player](video, url, settings, seen);
  video.play().catch(() => {}); // refused while nothing is loaded; the players begin by themselves or are asked again below

  while (!(video.currentTime > 0 && !video.paused && video.readyState > 2)) {
    if (seen.fatal.length > 0 || performance.now() - began > START_MAX * 1000) {
      return { version, started: null, played: 0, elapsed: 0, stalls, stillMax: null, jumps, ...seen, times: [] };
    }
    if (video.paused && video.readyState > 2) video.play().catch(() => {});
    await pause(20);
  }
  isSeeking = video.seeking;
  isPlaying = true;
  tell('playing');
  const first = performance.now();
  const times = [];
  const latencies = [];
  let [at, position, still, stillMax] = [first, video.currentTime, first, 0];
  let soughtIn = null;
  let left = seekTo;
  while (at - first < seconds * 1000) {
    await pause(EVERY);
    const now = performance.now();
    const step = video.currentTime - position;
    // What a jump skips was not played.
    if (!isSeeking) played += step;
    else if (!video.seeking && video.readyState > 2) {
      isSeeking = false;
      if (soughtIn !== null && soughtIn < 0) soughtIn += now;
    }
    if (step !== 0) still = now;
    stillMax = Math.max(stillMax, now - still);
    [at, position] = [now, video.currentTime];
    times.push(round(position));
    const latency = behind();
    if (at - first > (seconds * 1000) / 2 && latency !== null) latencies.push(latency);
    if (left !== null && at - first > (seconds * 1000) / 3) {
      soughtIn = -now;
      video.currentTime = left;
      left = null;
    }
    if (video.ended) break;
  }
  const quality = video.getVideoPlaybackQuality();
  return {
    version,
    started: round((first - began) / 1000),
    played: round(played),
    elapsed: round((at - first) / 1000),
    stalls,
    stillMax: round(stillMax / 1000),
    jumps,
    soughtIn: soughtIn === null ? null : round(soughtIn / 1000),
    latency: round(median(latencies)),
    frames: quality.totalVideoFrames,
    dropped: quality.droppedVideoFrames,
    ended: video.ended,
    ...seen,
    times: times.filter((_, index) => index % 5 === 4),
  };
}
