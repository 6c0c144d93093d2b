"use strict";
// Rows are made for one page of the table at a time: a browser is slow with 10,000 of them, not with
// their data. Texts of strangers become text nodes alone.
const data = JSON.parse(document.getElementById("data").textContent);
const ROWS = 100;
const [ID, NAME, SIZE, CREATED, UPDATED, NEWEST, STATES, WHY] = [0, 1, 2, 3, 4, 5, 6, 7];
const LETTERS = "abcdefghijkl";
// Differences: all but equal, only there, retired, skipped.
const PLAIN = "ajkl";
const DIFFERS = "!";
const $ = (id) => document.getElementById(id);

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "onclick") element.addEventListener("click", value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function size(bytes) {
  if (bytes === null) return "";
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) { bytes /= 1024; unit += 1; }
  return (unit ? bytes.toFixed(1) : bytes) + " " + units[unit];
}

function day(seconds) {
  return seconds === null ? "" : new Date(seconds * 1000).toISOString().slice(0, 10);
}

function age(seconds) {
  const days = Math.floor(seconds / 86400), hours = Math.floor(seconds / 3600) % 24;
  const minutes = Math.floor(seconds / 60) % 60;
  if (days) return days + " d " + hours + " h";
  return hours ? hours + " h " + minutes + " min" : minutes + " min";
}

const counted = (count, thing) => count.toLocaleString("en") + " " + thing + (count === 1 ? "" : "s");
const isDifference = (letter) => letter !== "-" && !PLAIN.includes(letter);
const stateName = (letter) => data.states[LETTERS.indexOf(letter)];

const columns = [
  { key: "name", label: "Image", of: (row) => (row[NAME] || "").toLowerCase() },
  { key: "size", label: "Size", isNumber: true, of: (row) => row[SIZE] },
  { key: "created", label: "Created", isNumber: true, of: (row) => row[CREATED] },
  { key: "updated", label: "Changed", isNumber: true, of: (row) => row[UPDATED] },
];
data.targets.forEach((target, number) => {
  columns.push({ key: "at" + number, label: target.name, target: number, of: (row) => row[STATES][number] });
});

const view = { search: "", target: "", state: "", newest: false, sort: "name", down: false, page: 0 };
let shown = data.images;

function matches(row) {
  if (view.newest && !row[NEWEST]) return false;
  if (view.search && !(row[ID] + " " + (row[NAME] || "")).toLowerCase().includes(view.search)) return false;
  if (!view.state) return view.target === "" || row[STATES][view.target] !== "-";
  const states = view.target === "" ? [...row[STATES]] : [row[STATES][view.target]];
  return states.some((letter) => (view.state === DIFFERS ? isDifference(letter) : letter === view.state));
}

function select() {
  const column = columns.find((column) => column.key === view.sort);
  const compare = (a, b) => {
    const [x, y] = [column.of(a), column.of(b)];
    // What is not known comes last, in either direction.
    if (x === y) return a[ID] < b[ID] ? -1 : 1;
    if (x === null || x === "") return 1;
    if (y === null || y === "") return -1;
    return (x < y ? -1 : 1) * (view.down ? -1 : 1);
  };
  shown = data.images.filter(matches).sort(compare);
  view.page = 0;
  draw();
}

function cell(row, column, number) {
  if (column.key === "name") {
    const name = row[NAME] === null ? make("span", { class: "none" }, "unnamed")
      : make("span", { class: "name", dir: "auto" }, row[NAME]);
    const star = row[NEWEST] ? make("span", { class: "star" }, "newest") : null;
    return make("th", { scope: "row", role: "rowheader" }, name, star, make("span", { class: "id" }, row[ID]));
  }
  const attributes = { role: "cell", "data-label": column.label, class: column.isNumber ? "number" : "at" };
  if (column.target === undefined) {
    const text = column.key === "size" ? size(row[SIZE]) : day(column.of(row));
    return make("td", attributes, make("span", {}, text));
  }
  const letter = row[STATES][column.target];
  if (letter === "-") return make("td", attributes, make("span", { class: "none" }, "–"));
  const why = row[WHY][column.target];
  const text = why === undefined ? null : make("span", { class: "why" }, data.texts[why]);
  const badge = make("span", { class: "badge " + letter }, stateName(letter));
  return make("td", attributes, make("span", {}, badge, text));
}

function draw() {
  const pages = Math.max(1, Math.ceil(shown.length / ROWS));
  view.page = Math.min(Math.max(view.page, 0), pages - 1);
  const from = view.page * ROWS, rows = shown.slice(from, from + ROWS);
  document.querySelector("#images tbody").replaceChildren(...rows.map((row) =>
    make("tr", { role: "row" }, ...columns.map((column) => cell(row, column)))));
  document.querySelectorAll("#images thead th").forEach((th, number) => {
    const isSorted = columns[number].key === view.sort;
    if (isSorted) th.setAttribute("aria-sort", view.down ? "descending" : "ascending");
    else th.removeAttribute("aria-sort");
  });
  const bytes = shown.reduce((sum, row) => sum + (row[SIZE] || 0), 0);
  $("found").textContent = shown.length === data.images.length
    ? counted(shown.length, "image") + ", " + size(bytes)
    : shown.length.toLocaleString("en") + " of " + counted(data.images.length, "image") + ", " + size(bytes);
  $("page").textContent = "Page " + (view.page + 1) + " of " + pages;
  $("pages").hidden = pages === 1;
  $("first").disabled = $("previous").disabled = view.page === 0;
  $("last").disabled = $("next").disabled = view.page === pages - 1;
  $("target").value = view.target;
  $("state").value = view.state;
  $("sort").value = view.sort + (view.down ? ":down" : "");
  $("newest").checked = view.newest;
  document.querySelectorAll(".chips button").forEach((chip) => {
    const isPressed = chip.dataset.target === String(view.target) && chip.dataset.state === view.state;
    chip.setAttribute("aria-pressed", isPressed);
  });
}

function card(target, number) {
  const title = make("h3", {}, make("bdi", {}, target.name));
  if (target.error !== null) {
    return make("article", { class: "card b" }, title, make("p", { class: "verdict" }, "Not listed"),
      make("p", { class: "why" }, target.error));
  }
  const counts = {}, bytes = {};
  for (const row of data.images) {
    const letter = row[STATES][number];
    counts[letter] = (counts[letter] || 0) + 1;
    bytes[letter] = (bytes[letter] || 0) + (row[SIZE] || 0);
  }
  const there = [...LETTERS].filter((letter) => counts[letter]);
  const differing = there.filter(isDifference).reduce((sum, letter) => sum + counts[letter], 0);
  const bar = make("div", { class: "bar", "aria-hidden": "true" }, ...there.map((letter) => {
    const part = make("i", { class: letter });
    part.style.flexGrow = counts[letter];
    return part;
  }));
  const chips = there.map((letter) => make("li", {}, make("button", {
    type: "button", class: letter, "data-target": number, "data-state": letter, "aria-pressed": "false",
    onclick: () => {
      const isOn = view.target === String(number) && view.state === letter;
      Object.assign(view, { target: isOn ? "" : String(number), state: isOn ? "" : letter });
      select();
    },
  }, stateName(letter), " ", make("b", {}, counts[letter].toLocaleString("en")))));
  const facts = [
    ["To copy", size((bytes.b || 0) + (bytes.f || 0))],
    ["There and equal", size(bytes.a || 0)],
    ["Newest of a name", target.newest.toLocaleString("en") + " of " + target.names.toLocaleString("en")],
    ["Oldest difference", target.oldest === null ? "none" : age(Math.max(0, data.made - target.oldest))],
  ];
  return make("article", { class: "card " + (differing ? "b" : "a") }, title,
    make("p", { class: "verdict" }, differing ? counted(differing, "difference") : "In step"), bar,
    make("ul", { class: "chips", "aria-label": "States at " + target.name }, ...chips),
    make("dl", {}, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])));
}

function options(select, choices) {
  select.append(...choices.map(([value, label]) => make("option", { value }, label)));
}

document.title = "Images of " + data.source;
$("source").textContent = data.source;
$("version").textContent = data.version;
const old = Date.now() / 1000 - data.made;
const made = new Date(data.made * 1000).toISOString().slice(0, 16).replace("T", " ") + " UTC";
$("made").append("As of " + made + ", ", make("span", { class: old > 2 * 86400 ? "old" : null }, age(Math.max(0, old)) + " ago"));
$("targets").append(...data.targets.map(card));
options($("target"), [["", "all"], ...data.targets.map((target, number) => [number, target.name])]);
options($("state"), [["", "any"], [DIFFERS, "any difference"],
  ...[...LETTERS].map((letter) => [letter, stateName(letter)])]);
options($("sort"), columns.flatMap(({ key, label }) => [[key, label + " ↑"], [key + ":down", label + " ↓"]]));
document.querySelector("#images thead").append(make("tr", { role: "row" }, ...columns.map((column) =>
  make("th", { scope: "col", role: "columnheader", class: column.isNumber ? "number" : null },
    make("button", {
      type: "button",
      onclick: () => {
        view.down = view.sort === column.key ? !view.down : Boolean(column.isNumber);
        view.sort = column.key;
        select();
      },
    }, column.label)))));
$("search").addEventListener("input", () => { view.search = $("search").value.trim().toLowerCase(); select(); });
$("target").addEventListener("change", () => { view.target = $("target").value; select(); });
$("state").addEventListener("change", () => { view.state = $("state").value; select(); });
$("newest").addEventListener("change", () => { view.newest = $("newest").checked; select(); });
$("sort").addEventListener("change", () => {
  const [key, down] = $("sort").value.split(":");
  Object.assign(view, { sort: key, down: Boolean(down) });
  select();
});
$("reset").addEventListener("click", () => {
  Object.assign(view, { search: "", target: "", state: "", newest: false, sort: "name", down: false });
  $("search").value = "";
  select();
});
const turn = (to) => { view.page = to; draw(); $("found").scrollIntoView(); };
$("first").addEventListener("click", () => turn(0));
$("previous").addEventListener("click", () => turn(view.page - 1));
$("next").addEventListener("click", () => turn(view.page + 1));
$("last").addEventListener("click", () => turn(Infinity));
select();
