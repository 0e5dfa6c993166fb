// Checks of how the page reads and plays recordings, and of what it keeps of a pane's past. `node past.mjs FOLDER NAME`; FOLDER holds the bundled modules.
import assert from "node:assert/strict";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [folder, wanted] = process.argv.slice(2);
const module = (name) => import(pathToFileURL(path.join(folder, name)).href);
const { Cast, CastError, Reader, sizeOf } = await module("replay/cast.js");
const { Player } = await module("replay/player.js");
const { marksOf, Past, pieces } = await module("terminal/past.js");

const REDRAW = "\x1b[?1049l\x1bc";
const bytes = (text) => new TextEncoder().encode(text);
const V3 = JSON.stringify({ version: 3, term: { cols: 80, rows: 24 }, timestamp: 1700000000, title: "main" });
const V2 = JSON.stringify({ version: 2, width: 100, height: 30 });
const file = (header, ...events) => [header, ...events.map((each) => (typeof each === "string" ? each : JSON.stringify(each)))].join("\n") + "\n";

async function cast(text, size = Infinity) {
  const made = new Cast();
  const data = typeof text === "string" ? bytes(text) : text;
  for (let at = 0; at < data.length; at += Math.min(size, data.length)) await made.push(data.subarray(at, at + size));
  await made.end();
  return made;
}

async function events(made, start) {
  const reader = start ? new Reader(made, start.block, start.index) : new Reader(made);
  const found = [];
  while (reader.head || (await reader.load())) {
    found.push(reader.head);
    reader.step();
  }
  return found;
}

/** A terminal that notes what is done to it; it draws a moment later, as the real one does. */
class Notes {
  constructor() {
    this.text = "";
    this.size = null;
    this.done = [];
  }
  write(text, done) {
    setTimeout(() => {
      if (text.startsWith(REDRAW)) this.text = text.slice(REDRAW.length);
      else this.text += text;
      this.done.push(text);
      done?.();
    }, 1);
  }
  resize(cols, rows) {
    this.size = `${cols}x${rows}`;
    this.done.push(this.size);
  }
}

async function until(condition, what) {
  for (const end = Date.now() + 5000; !condition(); await new Promise((next) => setTimeout(next, 2))) {
    assert.ok(Date.now() < end, `never: ${what}`);
  }
}

const checks = {
  async "version 3 counts from event to event"() {
    const made = await cast(file(V3, "# a comment", [0.5, "o", "a"], [0.25, "r", "100x30"], [1, "m", "here"], [0, "x", "0"]));
    assert.deepEqual(made.header, { version: 3, cols: 80, rows: 24, title: "main", startedAt: 1700000000 });
    assert.deepEqual((await events(made)).map(({ time, code, data }) => [time, code, data]), [
      [0.5, "o", "a"], [0.75, "r", "100x30"], [1.75, "m", "here"], [1.75, "x", "0"],
    ]);
    assert.deepEqual([made.duration, made.broken, made.markers], [1.75, 0, [{ time: 1.75, label: "here" }]]);
  },

  async "version 2 counts from the beginning and never goes back"() {
    const made = await cast(file(V2, [1, "o", "a"], [0.5, "o", "b"], [2, "o", "c"]));
    assert.deepEqual(made.header, { version: 2, cols: 100, rows: 30, title: null, startedAt: null });
    assert.deepEqual((await events(made)).map(({ time }) => time), [1, 1, 2]);
  },

  async "pieces may be cut anywhere"() {
    const text = file(V3, [0.1, "o", "größe 漢字 😀\r\n"], [0.1, "o", "b"]);
    for (const size of [1, 2, 3, 7, 64]) {
      const found = await events(await cast(text, size));
      assert.equal(found.map(({ data }) => data).join(""), "größe 漢字 😀\r\nb");
    }
  },

  async "what is broken is left out and counted"() {
    const made = await cast(
      file(V3, [1, "o", "a"], "[1, \"o\", ", "{}", "null", "[1,2,3]", '["1","o","x"]', "[1e300,\"o\",\"x\"]", [-5, "o", "b"], "", [1, "o", "c"]) + '[1, "o", "cut of',
    );
    assert.deepEqual((await events(made)).map(({ time, data }) => [time, data]), [[1, "a"], [1, "b"], [2, "c"]]);
    assert.equal(made.broken, 7);
  },

  async "a last line without its end counts if it is whole"() {
    const made = await cast(`${V3}\n[1,"o","a"]\r\n[1,"o","b"]`);
    assert.deepEqual((await events(made)).map(({ data }) => data), ["a", "b"]);
    assert.equal(made.broken, 0);
  },

  async "what is no recording is refused with a reason"() {
    for (const [text, reason] of [
      ["", /empty/],
      ["\n\n", /empty/],
      ["<!doctype html>\n", /no header/],
      ['{"version": 1, "stdout": []}\n', /versions 2 and 3.*not 1/],
      ["[]\n", /versions 2 and 3/],
      ['{"version": 2, "width": 0, "height": 24}\n', /how large/],
      ['{"version": 3, "width": 80, "height": 24}\n', /how large/],
      ['{"version": 2, "width": 1e9, "height": 1e9}\n', /how large/],
    ]) {
      await assert.rejects(cast(text), (error) => error instanceof CastError && reason.test(error.message), text);
    }
  },

  async "sizes are those that a terminal can have"() {
    assert.deepEqual(sizeOf("80x24"), { cols: 80, rows: 24 });
    for (const text of ["", "80", "0x24", "80x99999", "1001x10", "-1x2", "80x24x1", "8e1x24"]) assert.equal(sizeOf(text), null, text);
  },

  async "long recordings are kept packed and read again exactly"() {
    const made = new Cast();
    await made.push(bytes(V3 + "\n"));
    const lines = [];
    for (let n = 0; n < 60_000; n += 1) {
      lines.push(JSON.stringify([0.001, "o", n % 10_000 === 9_999 ? `${REDRAW}screen ${n}` : `row ${n} of many that look alike\r\n`]));
      if (n % 5_000 === 4_999) await made.push(bytes(lines.splice(0).join("\n") + "\n"));
    }
    await made.end();
    const found = await events(made);
    assert.equal(found.length, 60_000);
    assert.equal(found[12_345].data, "row 12345 of many that look alike\r\n");
    const held = made.blocks.reduce((sum, block) => sum + block.bytes.length, 0);
    assert.ok(held < made.bytes / 4, `${held} of ${made.bytes} bytes are held`);
    // From the last redraw before it, not from the beginning.
    const start = made.startFor(35);
    const [first] = await events(made, start);
    assert.match(first.data, /screen 29999$/);
    assert.equal(made.startFor(5).time, 0);
  },

  async "a line without end does not grow memory"() {
    const made = new Cast();
    await made.push(bytes(V3 + "\n" + '[1,"o","'));
    const piece = new Uint8Array(1024 * 1024).fill(97);
    for (let n = 0; n < 20; n += 1) await made.push(piece);
    assert.ok(made.carry.length <= 8 * 1024 * 1024);
    await made.push(bytes('"]\n[1,"o","next"]\n'));
    await made.end();
    assert.deepEqual([(await events(made)).map(({ data }) => data), made.broken], [["next"], 1]);
  },

  async "a growing recording is read on"() {
    const made = new Cast();
    const reader = new Reader(made);
    assert.equal(await reader.load(), false);
    await made.push(bytes(file(V3, [1, "o", "a"])));
    assert.equal(await reader.load(), true);
    reader.step();
    assert.equal(await reader.load(), false);
    await made.push(bytes('[1,"o","b"]\n[1,"o"'));
    assert.equal(await reader.load(), true);
    assert.equal(reader.head.data, "b");
    reader.step();
    await made.push(bytes(',"c"]\n'));
    assert.equal(await reader.load(), true);
    assert.equal(reader.head.data, "c");
  },

  async "it plays at its pace, and silences are cut"() {
    const screen = new Notes();
    const made = await cast(file(V3, [0.1, "o", "a"], [0.2, "o", "b"], [60, "o", "c"]));
    const player = new Player(made, screen, () => undefined);
    player.speed = 8;
    const began = Date.now();
    player.play();
    await until(() => screen.text === "ab", "ab");
    assert.ok(Date.now() - began >= 25, "0.3 seconds at eight times the pace");
    await until(() => screen.text === "abc", "abc");
    await until(() => !player.playing, "the end");
    assert.ok(Date.now() - began < 2000, "a minute of silence was cut to two seconds at eight times the pace");
    assert.ok(Math.abs(player.time - 60.3) < 0.001);
    player.play();
    await until(() => screen.text === "a", "from the beginning again");
    player.end();
  },

  async "silences are played where that is wished"() {
    const screen = new Notes();
    const player = new Player(await cast(file(V3, [0, "o", "a"], [3.2, "o", "b"])), screen, () => undefined);
    player.speed = 8;
    player.skipIdle = false;
    player.play();
    const began = Date.now();
    await until(() => screen.text === "ab", "ab");
    assert.ok(Date.now() - began >= 380, "3.2 seconds at eight times the pace");
  },

  async "any place can be shown, forwards and backwards"() {
    const lines = Array.from({ length: 100 }, (_, n) => [1, "o", `${n} `]);
    const screen = new Notes();
    const player = new Player(await cast(file(V3, ...lines)), screen, () => undefined);
    const upTo = (n) => Array.from({ length: n }, (_, each) => `${each} `).join("");
    for (const place of [50, 51.5, 10, 100, 0, 99.9]) {
      player.seek(place);
      await until(() => !player.seeking && screen.text === upTo(Math.floor(place)), `place ${place}`);
      assert.equal(player.time, place);
    }
    // The last of many wins.
    for (const place of [10, 90, 20, 80, 33]) player.seek(place);
    await until(() => !player.seeking && screen.text === upTo(33), "the last place");
    assert.equal(player.playing, false);
  },

  async "a place is drawn from the last redraw before it, in its size"() {
    const filler = "x".repeat(70_000);
    const text = file(V3, [1, "o", filler], [1, "r", "100x30"], [0, "o", `${REDRAW}fresh`], [1, "o", " more"], [1, "r", "90x20"], [1, "o", "!"]);
    const screen = new Notes();
    const player = new Player(await cast(text), screen, () => undefined);
    player.seek(3);
    await until(() => !player.seeking && screen.text === "fresh more", "the place");
    assert.ok(!screen.done.some((each) => each.includes("xxx")), "what came before was not drawn");
    assert.equal(screen.size, "100x30");
    player.seek(5);
    await until(() => !player.seeking && screen.text === "fresh more!", "the end");
    assert.ok(screen.done.indexOf(" more") < screen.done.indexOf("90x20"), "the size changes after what came before");
    player.seek(1);
    await until(() => !player.seeking && screen.text === filler, "the beginning");
    assert.equal(screen.size, "80x24");
  },

  async "a recording that goes on is followed"() {
    const made = new Cast();
    const screen = new Notes();
    const player = new Player(made, screen, () => undefined);
    await made.push(bytes(file(V3, [0, "o", "a"])));
    player.play();
    await until(() => screen.text === "a", "a");
    await made.push(bytes('[600,"o","b"]\n[0.1,"o","c"]\n'));
    player.grown();
    await until(() => screen.text === "abc", "what was added, without ten minutes of waiting");
    assert.equal(player.playing, true);
    await made.end();
    player.grown();
    await until(() => !player.playing, "the end");
  },

  async "matches are marked where the server counts them"() {
    const match = { n: 3, text: "", start: 2, end: 5, rows: 1 };
    const text = (parts) => parts.map(({ text, on }) => (on ? `[${text}]` : text)).join("");
    assert.equal(text(pieces("漢😀abcd", [{ start: 2, end: 5, match }])), "漢😀[abc]d", "characters, not halves of them");
    assert.equal(text(pieces("plain", [])), "plain");
    const both = [{ start: 3, end: 6, match: { ...match } }, { start: 0, end: 4, match }];
    assert.equal(text(pieces("abcdefg", both)), "[abcd][ef]g");
    assert.equal(text(pieces("ab", [{ start: 1, end: 9, match }])), "a[b]", "rows that have changed since");
    // One that runs over the end of a full row, into two more.
    const rows = { 3: "xxfoo", 4: "barba", 5: "z..." };
    const long = { n: 3, start: 2, end: 11, rows: 3 };
    const shown = [3, 4, 5].map((n) => text(pieces(rows[n], marksOf(n, [long], (row) => rows[row].length))));
    assert.deepEqual(shown, ["xx[foo]", "[barba]", "[z]..."]);
  },

  async "the past is fetched by pages and forgotten again"() {
    const asked = [];
    const total = 12_345;
    globalThis.fetch = async (path) => {
      const query = new URL(path, "http://here").searchParams;
      asked.push([query.get("from"), query.get("limit")].join("+"));
      const limit = Number(query.get("limit"));
      const from = query.has("from") ? Number(query.get("from")) : total - limit;
      const lines = Array.from({ length: Math.max(0, Math.min(limit, total - from)) }, (_, n) => ({ n: from + n, text: from + n > total - 4 ? "" : `row ${from + n}` }));
      return new Response(JSON.stringify({ total, from, limit, lines }));
    };
    const past = new Past("/tmux", "a b", "%3");
    assert.equal(await past.newest(), total - 3, "blank rows at the end are left out");
    assert.deepEqual(asked.splice(0), ["+1000", "9345+1000", "10345+1000"]);
    assert.equal(past.row(9_600)?.text, "row 9600");
    assert.equal(await past.fetch(9_600, 12_344), false, "all of it is there");
    assert.equal(await past.fetch(0, 399), true);
    assert.deepEqual(asked.splice(0), ["0+500"]);
    assert.equal(past.row(399)?.text, "row 399");
    for (let from = 400; from < 9_000; from += 200) await past.fetch(from, from + 199);
    assert.equal(past.row(12_000), undefined, "what was looked at long ago is forgotten");
    assert.equal(past.row(8_999)?.text, "row 8999");
    assert.equal((await past.text(2_000)).split("\n").length, 2_000 - 3 + 1);
  },

  async "matches are found in the rows that are here, which have moved since"() {
    // tmux keeps 1,000 rows: each new one moves the others up by one.
    let first = 0;
    const keeps = 1_000;
    const text = (n) => `row ${first + n} ${(first + n) % 100 === 7 ? "needle" : ""}`;
    globalThis.fetch = async (path) => {
      const query = new URL(path, "http://here").searchParams;
      const numbers = Array.from({ length: keeps }, (_, n) => n);
      if (!query.has("q")) return new Response(JSON.stringify({ total: keeps, from: 0, lines: numbers.map((n) => ({ n, text: text(n) })) }));
      const found = numbers.filter((n) => text(n).includes("needle")).reverse();
      const matches = found.map((n) => ({ n, text: text(n), start: 0, end: 3, rows: 1 }));
      return new Response(JSON.stringify({ total: matches.length, matches, searchedFrom: 0, next: null }));
    };
    const past = new Past("/tmux", "main", "0");
    await past.newest();
    for (const since of [0, 5, 250]) {
      first = since;
      const { matches } = await past.search("needle", false, null);
      assert.ok(matches.length >= 7, `${matches.length}`);
      for (const { n } of matches) assert.match(past.row(n).text, /needle/, `${since} rows later`);
    }
  },
};

if (wanted === undefined) console.log(Object.keys(checks).join("\n"));
else await checks[wanted]();
