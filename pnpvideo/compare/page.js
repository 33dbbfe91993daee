// Plays the clips of a comparison. Every picture is decoded by itself, so the frame that is shown is exact.

const data = JSON.parse(document.getElementById("data").textContent);
const id = (name) => document.getElementById(name);
const last = data.times.length - 1;
const budget = 512e6 / data.clips.length; // bytes of decoded pictures, per clip

/** The pictures of one clip: decodes them when they are asked for, and keeps the latest ones. */
class Pictures {
  constructor(text) {
    this.encoded = text.trim().split("\n");
    this.decoded = new Map(); // number -> promise of an ImageBitmap, the latest one last
    this.most = 8;
  }

  get(number) {
    const known = this.decoded.get(number) ?? this.decode(this.encoded[number]);
    this.decoded.delete(number);
    this.decoded.set(number, known);
    if (this.decoded.size > this.most) {
      const [oldest, picture] = this.decoded.entries().next().value;
      this.decoded.delete(oldest);
      picture.then((bitmap) => bitmap.close());
    }
    return known;
  }

  async decode(base64) {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/webp" }));
    this.most = Math.max(8, Math.floor(budget / (4 * bitmap.width * bitmap.height)));
    return bitmap;
  }
}

const panes = [...document.querySelectorAll(".pane:not(.difference)")];
const clips = data.clips.map((clip, number) => ({
  ...clip,
  pane: panes[number],
  canvas: panes[number].querySelector("canvas"),
  own: panes[number].querySelector(".own"),
  pictures: new Pictures(document.querySelectorAll(".pictures")[number].textContent),
}));
const player = id("player");
const stage = id("stage");
const charts = [...document.querySelectorAll(".chart")];
const state = { moment: 0, playing: false, seconds: 0, mode: "wipe", request: 0, busy: false };

/** The clips that the present view shows. */
function visible() {
  if (state.mode === "all") return clips;
  return [...new Set([clips[id("a").value], clips[id("b").value]])];
}

function draw(canvas, bitmap, operation = "copy") {
  const context = canvas.getContext("2d");
  context.globalCompositeOperation = operation;
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
}

/** Show a moment. Pictures appear together, once all of them are decoded; a later request replaces this one. */
async function show(moment) {
  state.moment = moment;
  const request = ++state.request;
  tell();
  const shown = visible();
  state.busy = true;
  const bitmaps = await Promise.all(shown.map((clip) => clip.pictures.get(clip.numbers[moment])));
  if (request !== state.request) return;
  state.busy = false;
  shown.forEach((clip, number) => {
    draw(clip.canvas, bitmaps[number]);
    clip.canvas.dataset.frame = clip.frames[moment];
  });
  if (state.mode === "difference") {
    draw(id("difference"), bitmaps[0]);
    draw(id("difference"), bitmaps.at(-1), "difference");
    id("difference").dataset.moment = moment;
  }
  stage.dataset.moment = moment; // what is really on the screen
  for (const clip of shown) {
    for (let ahead = 1; ahead <= 4; ahead++) clip.pictures.get(clip.numbers[(moment + ahead) % (last + 1)]);
  }
}

const named = (moment) => `Frame ${clips[0].frames[moment]} of ${clips[0].last}, ${data.times[moment].toFixed(3)} s`;

/** Say where we are: at the time line, in the captions, and at the curves. */
function tell() {
  const { moment } = state;
  id("moment").value = moment;
  id("moment").setAttribute("aria-valuetext", named(moment));
  id("moment").style.setProperty("--share", last ? moment / last : 0);
  id("where").textContent = `Frame ${clips[0].frames[moment]} / ${clips[0].last}  ${data.times[moment].toFixed(3)} s`;
  for (const clip of clips) {
    clip.own.textContent = last ? `${clip.frames[moment]} / ${clip.last}` : "";
    clip.canvas.setAttribute("aria-label", `${clip.label}, frame ${clip.frames[moment]} of ${clip.last}`);
  }
  charts.forEach((chart, number) => {
    const x = last ? (1000 * moment) / last : 0;
    chart.querySelector(".cursor").setAttribute("x1", x);
    chart.querySelector(".cursor").setAttribute("x2", x);
    chart.querySelectorAll(".here").forEach((cell, clip) => (cell.textContent = data.charts[number][clip][moment]));
  });
  if (last && !state.playing) id("live").textContent = named(moment); // while it plays, a screen reader is left in peace
}

function go(moment) {
  pause();
  show(Math.max(0, Math.min(last, moment)));
}

/** The last moment that has begun at this time. */
function momentAt(seconds) {
  let low = 0;
  let high = last;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (data.times[middle] <= seconds + 1e-6) low = middle;
    else high = middle - 1;
  }
  return low;
}

function play() {
  if (!last) return;
  state.playing = true;
  state.seconds = state.moment === last ? 0 : data.times[state.moment];
  let before = performance.now();
  const step = (now) => {
    if (!state.playing) return;
    state.seconds += Math.max(0, ((now - before) / 1000) * id("speed").value);
    before = now;
    if (state.seconds >= data.end) {
      if (!id("loop").checked) {
        go(last);
        return;
      }
      state.seconds %= data.end;
    }
    const moment = momentAt(state.seconds);
    if (moment !== state.moment && !state.busy) show(moment);
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
  mark();
}

function pause() {
  state.playing = false;
  mark();
}

function mark() {
  id("play").classList.toggle("playing", state.playing);
  id("play").setAttribute("aria-label", state.playing ? "Pause" : "Play");
}

function toggle() {
  if (state.playing) go(state.moment);
  else play();
}

/** Arrange the panes for the view and for what A and B are, and draw them. */
function arrange() {
  state.mode = document.querySelector("input[name=mode]:checked").value;
  stage.dataset.mode = state.mode;
  const [a, b] = [clips[id("a").value], clips[id("b").value]];
  for (const clip of clips) {
    clip.pane.classList.toggle("a", clip === a);
    clip.pane.classList.toggle("b", clip === b && b !== a);
  }
  show(state.moment);
}

function wipe(share) {
  const percent = Math.round(Math.max(0, Math.min(100, share)));
  id("wipe").value = percent;
  id("wipe").setAttribute("aria-valuetext", `${percent} percent A`);
  id("wipe").style.setProperty("--share", percent / 100);
  player.style.setProperty("--wipe", `${percent}%`);
}

function follow(event) {
  const box = stage.querySelector(".panes").getBoundingClientRect();
  wipe((100 * (event.clientX - box.left)) / box.width);
}

stage.addEventListener("pointerdown", (event) => {
  if (state.mode !== "wipe" || event.button !== 0) return;
  stage.setPointerCapture(event.pointerId);
  follow(event);
});
stage.addEventListener("pointermove", (event) => {
  if (stage.hasPointerCapture(event.pointerId)) follow(event);
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const on = event.target;
  if (on.matches("select, input[type=radio]") || (on.id === "wipe" && !event.shiftKey)) return;
  if (event.key === " " && on.matches("button, summary, input[type=checkbox]")) return;
  const towards = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (towards && event.shiftKey) wipe(Number(id("wipe").value) + 5 * towards);
  else if (towards) go(state.moment + towards);
  else if (event.key === "Home") go(0);
  else if (event.key === "End") go(last);
  else if (event.key === " ") toggle();
  else return;
  event.preventDefault();
});

// A control that was used with the pointer gives the arrow keys back, which step through the frames.
let pointed = false;
document.addEventListener("pointerdown", () => (pointed = true), true);
document.addEventListener("keydown", () => (pointed = false), true);
for (const control of document.querySelectorAll("input[type=radio], select")) {
  control.addEventListener("change", () => pointed && control.blur());
  if (control.id !== "speed") control.addEventListener("change", arrange);
}
id("swap").addEventListener("click", () => {
  [id("a").value, id("b").value] = [id("b").value, id("a").value];
  arrange();
});
id("full").addEventListener("click", () => {
  if (document.fullscreenElement) document.exitFullscreen();
  else player.requestFullscreen();
});
id("full").hidden = !document.fullscreenEnabled;
id("wipe").addEventListener("input", () => wipe(Number(id("wipe").value)));
id("moment").addEventListener("input", () => go(Number(id("moment").value)));
id("back").addEventListener("click", () => go(state.moment - 1));
id("forward").addEventListener("click", () => go(state.moment + 1));
id("play").addEventListener("click", toggle);

for (const chart of charts) {
  const svg = chart.querySelector("svg");
  const seek = (event) => {
    const box = svg.getBoundingClientRect();
    go(Math.round((last * (event.clientX - box.left)) / box.width));
  };
  svg.addEventListener("pointerdown", (event) => {
    svg.setPointerCapture(event.pointerId);
    seek(event);
  });
  svg.addEventListener("pointermove", (event) => {
    if (svg.hasPointerCapture(event.pointerId)) seek(event);
  });
  chart.querySelector(".worst").addEventListener("click", (event) => go(Number(event.currentTarget.dataset.moment)));
}

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (prefersDark.matches ? "dark" : "light")) === "dark";
const markTheme = () => id("theme").setAttribute("aria-pressed", isDark());
id("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  markTheme();
});
prefersDark.addEventListener("change", markTheme);

for (const clip of clips) clip.canvas.style.setProperty("--own", clip.canvas.width / clip.canvas.height);
player.style.setProperty("--aspect", clips[0].canvas.width / clips[0].canvas.height);
stage.classList.toggle("upright", clips[0].canvas.width < clips[0].canvas.height);
document.querySelector(".transport").hidden = !last; // stills need none
markTheme();
wipe(50);
arrange();
