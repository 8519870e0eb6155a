"use strict";
// The pictures of the page: planes of volumes in memory, colored as FunFuse does it. Indices are [i, j, k] of a grid
// whose axes run from the patient's right to left, from front to back and from feet to head.

const report = JSON.parse(document.getElementById("report-data").textContent);
const [columns, rows, slices] = report.grid.size;
const layers = {};
const state = {
  index: report.start.slice(),
  omega: report.omega, balance: report.balance, mode: report.mode,
  view: "colored", plane: "axial", crosshair: true, flickerShowsPet: false,
};

// Each plane: its size, the axis of the grid across and down the picture and through it, and the letters at its
// edges. Heads are upside up, so the third axis runs upwards.
const planes = {
  axial: { width: columns, height: rows, across: 0, down: 1, through: 2, letters: ["R", "L", "A", "P"] },
  sagittal: { width: rows, height: slices, across: 1, down: 2, through: 0, letters: ["A", "P", "S", "I"] },
  coronal: { width: columns, height: slices, across: 0, down: 2, through: 1, letters: ["R", "L", "S", "I"] },
};
const strides = [1, columns, columns * rows];
const axisLetters = [["R", "L"], ["A", "P"], ["S", "I"]];
const viewNames = { colored: "Colored", fused: "Fused", mri: "MRI", pet: "PET",
  checkerboard: "MRI and PET as a checkerboard", flicker: "MRI and PET in turn" };
// Color of the PET at a level of its scale, in a map.
const petColor = (map, level, c) => (level < map.shownFrom ? 0 : map.colors[3 * level + c]);
const tileMillimeters = 20;

// --- Volumes ---

async function openLayer(name, facts) {
  const image = document.getElementById("layer-" + name);
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const levels = new Uint8Array(columns * rows * slices);
  const [across, tileRows, tileColumns] = report.grid.layout;
  for (let k = 0; k < slices; k++) {
    const tile = context.getImageData((k % across) * tileColumns, Math.floor(k / across) * tileRows, columns, rows).data;
    for (let n = 0, at = k * columns * rows; n < columns * rows; n++) levels[at + n] = tile[4 * n];
  }
  layers[name] = { levels, low: facts.low, step: (facts.high - facts.low) / 255 };
}

const offsetOf = (index) => index[0] + columns * (index[1] + rows * index[2]);
const valueAt = (layer, offset) => layer.low + layer.step * layer.levels[offset];
const modeNow = () => report.modes[state.mode];

// The table in two dimensions, by channel, brightness and uptake.
const ordered = { levels: null, at: (row, level, c) => ordered.levels[((c << 8) + row << 8) + level] };

async function openOrdered() {
  const image = document.getElementById("ordered-table");
  if (!image) return;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = 256;
  canvas.height = 3 * 256;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  ordered.levels = context.getImageData(0, 0, 256, 3 * 256).data.filter((_, n) => n % 4 === 0);
}

// 2 (1 - β) C1 + 2 β C2, or one image alone, in [0, 1].
function brightness(names) {
  const [first, second] = names.map((name) => layers[name]);
  const one = second ? 2 * (1 - state.balance) : 1, two = 2 * state.balance;
  return (offset) => {
    const value = one * valueAt(first, offset) + (second ? two * valueAt(second, offset) : 0);
    return value < 0 ? 0 : value > 1 ? 1 : value;
  };
}

// A function that writes red, green and blue of a voxel to a place in an array of bytes, which rounds them.
function painter(view) {
  const mri = layers.mri, pet = layers[report.pet.hue];
  const gray = (pixels, at, level) => { pixels[at] = pixels[at + 1] = pixels[at + 2] = level; };
  const paintMri = (pixels, at, offset) => gray(pixels, at, mri.levels[offset]);
  const paintedIn = (map) => (pixels, at, offset) => {
    for (let c = 0; c < 3; c++) pixels[at + c] = 255 * petColor(map, pet.levels[offset], c);
  };
  const paintPet = paintedIn(report.maps.pet);
  if (view === "mri") return paintMri;
  if (view === "pet") return paintPet;
  if (view === "flicker") return state.flickerShowsPet ? paintPet : paintMri;
  if (view === "checkerboard") {
    const tile = Math.max(1, Math.round(tileMillimeters / report.grid.spacing));
    // Not in gray, as the PET may be: nobody could tell it from the MRI.
    const paintTile = paintedIn(report.maps.board);
    return (pixels, at, offset, i, j, k) => {
      const odd = (Math.floor(i / tile) + Math.floor(j / tile) + Math.floor(k / tile)) % 2;
      (odd ? paintTile : paintMri)(pixels, at, offset);
    };
  }
  if (view === "fused") {
    const value = brightness(report.fused);
    return (pixels, at, offset) => gray(pixels, at, 255 * value(offset));
  }
  const mode = modeNow(), value = brightness(mode.value), hue = layers[mode.hue].levels;
  if (mode.ordered) {
    return (pixels, at, offset) => {
      const row = Math.round(255 * value(offset));
      for (let c = 0; c < 3; c++) pixels[at + c] = orderedColor(row, hue[offset], c);
    };
  }
  const mixed = mixedColors(), count = mixed.length / 3 - 1;
  return (pixels, at, offset) => {
    const v = 255 * value(offset), color = 3 * Math.min(hue[offset], count);
    for (let c = 0; c < 3; c++) pixels[at + c] = v * mixed[color + c];
  };
}

// RGB(Ω) = (1 - Ω) gray + Ω color, at full brightness, of the 256 levels.
const mixedColors = () => report.chroma.map((c) => 1 - state.omega + state.omega * c);
// Likewise of a brightness and an uptake, both in 256 levels.
const orderedColor = (row, level, c) => (1 - state.omega) * row + state.omega * ordered.at(row, level, c);

// One plane through an index as ImageData, a pixel a voxel.
function paint(planeName, view, index = state.index) {
  const plane = planes[planeName];
  const picture = new ImageData(plane.width, plane.height);
  const put = painter(view), at = index.slice();
  for (let y = 0, pixel = 0; y < plane.height; y++) {
    at[plane.down] = plane.down === 2 ? slices - 1 - y : y;
    for (let x = 0; x < plane.width; x++, pixel += 4) {
      at[plane.across] = x;
      picture.data[pixel + 3] = 255;
      put(picture.data, pixel, offsetOf(at), at[0], at[1], at[2]);
    }
  }
  return picture;
}

// --- Words and numbers ---

function toPatient(index) {
  const { origin, spacing } = report.grid;
  return [origin[0] - spacing * index[0], origin[1] - spacing * index[1], origin[2] + spacing * index[2]];
}

function position(axis, millimeters, digits = 0) {
  const rounded = Number(millimeters.toFixed(digits));
  return axisLetters[axis][rounded < 0 ? 1 : 0] + " " + Math.abs(rounded).toFixed(digits);
}

function number(value) {
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e6 || size < 1e-3)) return value.toExponential(2);
  return String(size >= 100 ? Math.round(value) : Number(value.toPrecision(3)));
}

const withUnit = (text, unit) => (unit ? text + (unit === "%" ? " %" : " " + unit) : text);

function petAt(offset) {
  const over = layers.pet_over;
  return valueAt(layers.pet, offset) + (over ? valueAt(over, offset) : 0);
}

function readout(index) {
  const offset = offsetOf(index), mri = layers.mri.levels[offset];
  const parts = [toPatient(index).map((x, axis) => position(axis, x, 1)).join("  ") + " mm",
    "MRI " + (mri === 255 ? "≥ " : "") + number(valueAt(layers.mri, offset)),
    "PET " + withUnit(number(petAt(offset)), report.pet.unit)];
  if (report.fused.length === 2) {
    const [one, two] = report.fused.map((name) => Math.round(100 * valueAt(layers[name], offset)));
    parts.push(`fused ${one + two} % = ${one} % from the MRI + ${two} % from the PET`);
  } else {
    parts.push(`fused ${Math.round(100 * valueAt(layers[report.fused[0]], offset))} %`);
  }
  return parts.join("   ·   ");
}

// --- Drawing ---

// All planes have one scale, so that the head does not change its size.
const fieldOfView = 1.16 * Math.max(columns, rows, slices);
const sheet = document.createElement("canvas");

function draw(canvas, planeName, view) {
  const plane = planes[planeName], ratio = window.devicePixelRatio || 1;
  const size = Math.max(1, Math.round(canvas.clientWidth * ratio)) || 300;
  if (canvas.width !== size || canvas.height !== size) canvas.width = canvas.height = size;
  const context = canvas.getContext("2d"), scale = size / fieldOfView;
  sheet.width = plane.width;
  sheet.height = plane.height;
  sheet.getContext("2d").putImageData(paint(planeName, view), 0, 0);
  const left = (size - scale * plane.width) / 2, top = (size - scale * plane.height) / 2;
  context.fillStyle = "#000";
  context.fillRect(0, 0, size, size);
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.drawImage(sheet, left, top, scale * plane.width, scale * plane.height);
  const x = left + scale * (state.index[plane.across] + 0.5);
  const row = state.index[plane.down];
  const y = top + scale * ((plane.down === 2 ? slices - 1 - row : row) + 0.5);
  if (state.crosshair) drawCrosshair(context, x, y, size, ratio);
  drawMarks(context, plane, size, scale, ratio);
  const where = position(plane.through, toPatient(state.index)[plane.through], 1) + " mm";
  canvas.setAttribute("aria-label", `${viewNames[view]}, ${planeName}, ${where}`);
}

function drawCrosshair(context, x, y, size, ratio) {
  const gap = 7 * ratio;
  context.strokeStyle = "rgba(124, 196, 255, 0.75)";
  context.lineWidth = ratio;
  context.beginPath();
  for (const [x1, y1, x2, y2] of [[0, y, x - gap, y], [x + gap, y, size, y], [x, 0, x, y - gap], [x, y + gap, x, size]]) {
    context.moveTo(x1, y1);
    context.lineTo(x2, y2);
  }
  context.stroke();
}

function drawMarks(context, plane, size, scale, ratio) {
  const height = Math.max(11 * ratio, Math.min(14 * ratio, size / 24)), edge = 0.5 * height;
  const text = (words, x, y, align, baseline) => {
    context.textAlign = align;
    context.textBaseline = baseline;
    context.lineWidth = 3 * ratio;
    context.strokeStyle = "rgba(0, 0, 0, 0.75)";
    context.strokeText(words, x, y);
    context.fillStyle = "#fff";
    context.fillText(words, x, y);
  };
  context.lineJoin = "round";
  context.font = `600 ${height}px system-ui, sans-serif`;
  const [left, right, up, down] = plane.letters;
  text(left, edge, size / 2, "left", "middle");
  text(right, size - edge, size / 2, "right", "middle");
  text(up, size / 2, edge, "center", "top");
  text(down, size / 2, size - edge, "center", "bottom");
  context.font = `${height}px system-ui, sans-serif`;
  text(position(plane.through, toPatient(state.index)[plane.through], 1) + " mm", edge, edge, "left", "top");
  const bar = (50 / report.grid.spacing) * scale, y = size - edge - 0.4 * height;
  text("5 cm", size - edge - bar / 2, y - 0.5 * height, "center", "bottom");
  for (const [color, width] of [["rgba(0, 0, 0, 0.75)", 5], ["#fff", 2]]) {
    context.strokeStyle = color;
    context.lineWidth = width * ratio;
    context.beginPath();
    context.moveTo(size - edge - bar, y);
    context.lineTo(size - edge, y);
    context.stroke();
  }
}

function drawBar(id, colorOf, [lowest, highest], unit, title) {
  const canvas = document.getElementById(id + "-bar"), picture = new ImageData(256, 1);
  for (let level = 0; level < 256; level++) {
    for (let c = 0; c < 3; c++) picture.data[4 * level + c] = 255 * colorOf(level, c);
    picture.data[4 * level + 3] = 255;
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
  canvas.setAttribute("aria-label", `Color scale of ${title}, ${number(lowest)} to ${withUnit(number(highest), unit)}`);
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => {
    const tick = document.createElement("span");
    const value = number(lowest + part * (highest - lowest)), below = part === 0 && lowest !== 0 ? "≤ " : "";
    tick.textContent = part === 1 ? "≥ " + withUnit(value, unit) : below + value;
    return tick;
  });
  document.getElementById(id + "-ticks").replaceChildren(...ticks);
}

function drawBars() {
  const mixed = mixedColors(), mode = modeNow();
  drawBar("pet", (level, c) => petColor(report.maps.pet, level, c), report.pet.ends, report.pet.unit, "the PET");
  const colorOf = mode.ordered ? (level, c) => orderedColor(report.orderedRow, level, c) / 255
    : (level, c) => mixed[3 * level + c];
  drawBar("colored", colorOf, mode.ends, mode.unit, "the colored pictures");
}

// --- What the user does ---

const planeCanvases = [...document.querySelectorAll("canvas[data-plane]")];
const paneCanvases = [...document.querySelectorAll("canvas[data-pane]")];
const byId = (id) => document.getElementById(id);
let drawn = 0;

// However often the state changes, it is drawn once a frame.
function update() {
  if (drawn === 0) drawn = window.requestAnimationFrame(drawAll);
}

function drawAll() {
  drawn = 0;
  byId("omega-text").textContent = state.omega.toFixed(2);
  byId("balance-text").textContent = state.balance.toFixed(2);
  for (const canvas of planeCanvases) draw(canvas, canvas.dataset.plane, state.view);
  for (const canvas of paneCanvases) draw(canvas, state.plane, canvas.dataset.pane);
  for (const slider of document.querySelectorAll("input[data-slice]")) {
    const axis = planes[slider.dataset.slice].through;
    slider.value = state.index[axis];
    slider.setAttribute("aria-valuetext", position(axis, toPatient(state.index)[axis], 1) + " mm");
  }
  byId("readout").textContent = readout(state.index);
  drawBars();
  for (const sentence of document.querySelectorAll("[data-when]")) sentence.hidden = sentence.dataset.when !== state.mode;
  document.querySelector("[data-text=colored-scale]").textContent = modeNow().title;
}

function move(axis, steps) {
  state.index[axis] = Math.max(0, Math.min(report.grid.size[axis] - 1, state.index[axis] + steps));
  update();
}

// The voxel under a pointer, on the plane that a canvas shows; null beside the image.
function indexUnder(event, planeName) {
  const plane = planes[planeName], box = event.currentTarget.getBoundingClientRect();
  const scale = box.width / fieldOfView;
  const x = Math.floor((event.clientX - box.left - (box.width - scale * plane.width) / 2) / scale);
  const y = Math.floor((event.clientY - box.top - (box.height - scale * plane.height) / 2) / scale);
  if (x < 0 || y < 0 || x >= plane.width || y >= plane.height) return null;
  const index = state.index.slice();
  index[plane.across] = x;
  index[plane.down] = plane.down === 2 ? slices - 1 - y : y;
  return index;
}

function listen(canvas, planeOf) {
  let touch = null, wheel = 0;
  const goTo = (event) => {
    const index = indexUnder(event, planeOf());
    if (index) { state.index = index; update(); }
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch") { touch = { x: event.clientX, moved: false }; return; }
    canvas.setPointerCapture(event.pointerId);
    goTo(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    const plane = planes[planeOf()];
    if (touch) {
      const steps = Math.trunc((event.clientX - touch.x) / 6);
      if (steps !== 0) {
        touch = { x: touch.x + 6 * steps, moved: true };
        move(plane.through, steps);
      }
    } else if (event.buttons & 1) {
      goTo(event);
    } else {
      byId("readout").textContent = readout(indexUnder(event, planeOf()) || state.index);
    }
  });
  canvas.addEventListener("pointerup", (event) => {
    if (touch && !touch.moved) goTo(event);
    touch = null;
  });
  canvas.addEventListener("pointercancel", () => { touch = null; });
  canvas.addEventListener("pointerleave", () => { byId("readout").textContent = readout(state.index); });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    wheel += event.deltaMode === 0 ? event.deltaY / 40 : event.deltaY;
    const steps = Math.trunc(wheel);
    wheel -= steps;
    if (steps !== 0) move(planes[planeOf()].through, -steps);
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const plane = planes[planeOf()], step = event.shiftKey ? 10 : 1, downwards = plane.down === 2 ? -step : step;
    const moves = { ArrowLeft: [plane.across, -step], ArrowRight: [plane.across, step], ArrowUp: [plane.down, -downwards],
      ArrowDown: [plane.down, downwards], PageUp: [plane.through, step], PageDown: [plane.through, -step] };
    if (event.key in moves) {
      event.preventDefault();
      move(...moves[event.key]);
    }
  });
}

function choose(view) {
  state.view = view;
  document.querySelector(`input[name=view][value=${view}]`).checked = true;
  update();
}

function connect() {
  byId("omega").value = state.omega;
  byId("balance").value = state.balance;
  byId("balance-control").hidden = report.fused.length < 2;
  for (const option of [...byId("mode").options]) if (!(option.value in report.modes)) option.remove();
  byId("mode-control").hidden = byId("mode").options.length < 2;
  byId("mode").value = state.mode;
  byId("omega").addEventListener("input", (event) => { state.omega = Number(event.target.value); update(); });
  byId("balance").addEventListener("input", (event) => { state.balance = Number(event.target.value); update(); });
  byId("mode").addEventListener("change", (event) => { state.mode = event.target.value; update(); });
  for (const input of document.querySelectorAll("input[name=view]")) {
    input.addEventListener("change", () => choose(input.value));
  }
  for (const input of document.querySelectorAll("input[name=plane]")) {
    input.addEventListener("change", () => { state.plane = input.value; update(); });
  }
  for (const slider of document.querySelectorAll("input[data-slice]")) {
    const axis = planes[slider.dataset.slice].through;
    slider.max = report.grid.size[axis] - 1;
    slider.addEventListener("input", () => { state.index[axis] = Number(slider.value); update(); });
  }
  for (const button of document.querySelectorAll("button[data-place]")) {
    const place = report.places[button.dataset.place];
    button.hidden = !place;
    button.addEventListener("click", () => { state.index = place.slice(); update(); });
  }
  for (const canvas of planeCanvases) listen(canvas, () => canvas.dataset.plane);
  for (const canvas of paneCanvases) listen(canvas, () => state.plane);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
    const view = { c: "colored", f: "fused", m: "mri", p: "pet" }[event.key.toLowerCase()];
    if (view) choose(view);
    if (event.key.toLowerCase() === "x") { state.crosshair = !state.crosshair; update(); }
  });
  window.addEventListener("resize", update);
  window.addEventListener("beforeprint", drawAll);
  // Less than three times a second, which nobody's eyes mind.
  window.setInterval(() => {
    state.flickerShowsPet = !state.flickerShowsPet;
    if (state.view === "flicker") update();
  }, 600);
}

async function start() {
  await Promise.all([openOrdered(), ...Object.entries(report.layers).map(([name, facts]) => openLayer(name, facts))]);
  document.querySelector("[data-text=pet-scale]").textContent = report.pet.title;
  document.querySelector("[data-text=spacing]").textContent = number(report.grid.spacing);
  byId("viewer").hidden = false;
  byId("waiting").hidden = true;
  connect();
  drawAll();
}

start().catch((error) => {
  byId("waiting").textContent = "The images cannot be shown in this browser: " + error.message;
  throw error;
});
