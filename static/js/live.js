/*
 * The live half of a page: follows the user's events and tells the page's live parts.
 *
 * Every event becomes a `live:<category>` CustomEvent on the body (categories portfolio, import,
 * data_sync, provider, security); a part that asks htmx for itself on that event stays current.
 * It swaps what is inside of it, never itself: htmx would forget what it was told meanwhile.
 * After a gap the server replays what was missed, or says `resync`: then every part is asked again.
 */

const CATEGORIES = ["portfolio", "import", "data_sync", "provider", "security"];
const FIRST_WAIT_MS = 300;
const LONGEST_WAIT_MS = 15_000;
const SHOW_TROUBLE_AFTER_MS = 2_000;
// The server beats every 25 seconds: silence of two beats and a little is a dead line.
const SILENCE_MS = 60_000;
// Events of one transaction arrive together: one refresh answers them all.
const GATHER_MS = 40;
const SIGNED_OUT = 4401;

const body = document.body;
const status = document.getElementById("live-status");

let socket = null;
let sequence = Number(body.dataset.since || 0);
let wait = FIRST_WAIT_MS;
let retryTimer = 0;
let silenceTimer = 0;
let troubleTimer = 0;
let gatherTimer = 0;
const gathered = new Map();

function address() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  return `${scheme}//${location.host}/ws/live/?since=${sequence}`;
}

function announce(category, detail) {
  gathered.set(category, detail);
  if (gatherTimer) return;
  gatherTimer = setTimeout(() => {
    gatherTimer = 0;
    for (const [name, about] of gathered) {
      body.dispatchEvent(new CustomEvent(`live:${name}`, { detail: about }));
    }
    gathered.clear();
  }, GATHER_MS);
}

function resync(last) {
  sequence = last;
  for (const category of CATEGORIES) announce(category, { name: "resync" });
}

function receive(message) {
  if (message.type === "resync") resync(message.sequence);
  if (message.type !== "event" || message.sequence <= sequence) return;
  sequence = message.sequence;
  announce(message.category, message);
}

function heard() {
  clearTimeout(silenceTimer);
  silenceTimer = setTimeout(() => socket?.close(), SILENCE_MS);
}

function trouble(is) {
  clearTimeout(troubleTimer);
  if (!is) status.hidden = true;
  else troubleTimer = setTimeout(() => (status.hidden = false), SHOW_TROUBLE_AFTER_MS);
}

function connect() {
  clearTimeout(retryTimer);
  if (socket) return;
  const current = new WebSocket(address());
  socket = current;
  current.addEventListener("open", heard);
  current.addEventListener("message", (event) => {
    heard();
    wait = FIRST_WAIT_MS;
    trouble(false);
    receive(JSON.parse(event.data));
  });
  current.addEventListener("close", (event) => {
    if (socket === current) lost(event.code);
  });
}

function lost(code) {
  socket = null;
  clearTimeout(silenceTimer);
  if (code === SIGNED_OUT) {
    location.assign(body.dataset.signIn);
    return;
  }
  if (status.hidden) trouble(true);
  // Full jitter around the middle: a restarted server is not met by everyone at once.
  retryTimer = setTimeout(connect, wait * (0.5 + Math.random()));
  wait = Math.min(wait * 2, LONGEST_WAIT_MS);
}

function hurry() {
  wait = FIRST_WAIT_MS;
  connect();
}

addEventListener("online", hurry);
addEventListener("pagehide", () => {
  const leaving = socket;
  socket = null;
  leaving?.close();
});
addEventListener("pageshow", (event) => {
  if (event.persisted) hurry();
});
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") hurry();
});

connect();
