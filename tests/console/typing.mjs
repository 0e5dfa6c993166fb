// Checks of what the page sends for keys and pastes. `node typing.mjs FOLDER`; FOLDER holds the bundled modules.
import assert from "node:assert/strict";
import path from "node:path";
import { mock } from "node:test";
import { pathToFileURL } from "node:url";

globalThis.window = globalThis;
const module = (name) => import(pathToFileURL(path.join(process.argv[2], name)).href);
const { keyBytes, withHeld } = await module("keys.js");
const { Outgoing } = await module("outgoing.js");
const none = { ctrl: false, alt: false };
const ctrl = { ctrl: true, alt: false };
const alt = { ctrl: false, alt: true };

// Keys of the row, as xterm sends them.
assert.equal(keyBytes("Up", none, false), "\x1b[A");
assert.equal(keyBytes("Up", none, true), "\x1bOA");
assert.equal(keyBytes("Left", ctrl, true), "\x1b[1;5D");
assert.equal(keyBytes("Right", { ctrl: true, alt: true }, false), "\x1b[1;7C");
assert.equal(keyBytes("PgUp", none, false), "\x1b[5~");
assert.equal(keyBytes("PgDn", alt, false), "\x1b[6;3~");
assert.equal(keyBytes("Home", none, true), "\x1bOH");
assert.equal(keyBytes("Esc", none, false), "\x1b");
assert.equal(keyBytes("Tab", ctrl, false), "\t");
assert.equal(keyBytes("Enter", alt, false), "\x1b\r");
assert.equal(keyBytes("|", none, false), "|");
assert.equal(keyBytes("/", ctrl, false), "\x1f");
assert.equal(withHeld("c", ctrl), "\x03");
assert.equal(withHeld("[", ctrl), "\x1b");
assert.equal(withHeld(" ", ctrl), "\0");
assert.equal(withHeld("é", ctrl), "é");
assert.equal(withHeld("x", { ctrl: true, alt: true }), "\x1b\x18");
assert.equal(withHeld("😀", alt), "\x1b😀");
assert.equal(withHeld("pasted text", { ctrl: true, alt: true }), "pasted text");

// A large paste goes in pieces, in order, none of which ends within a character.
mock.timers.enable({ apis: ["setTimeout"] });
/** More time than anything needs; each tick runs the timers that there are by then. */
const pass = () => {
  for (let turn = 0; turn < 20; turn += 1) mock.timers.tick(1_000);
};
let sent = [];
let connected = true;
const outgoing = new Outgoing((pane, keys) => connected && sent.push(pane + keys) > 0);
const large = `a${"😀".repeat(40_000)}`;
assert.equal(outgoing.put("%1", large), true);
assert.equal(sent.length, 1, "the rest waits");
assert.equal(outgoing.put("%1", "after"), true);
pass();
assert.ok(sent.map((each) => each.slice(2)).join("") === `${large}after`);
assert.ok(sent.every((each) => each.length <= 32 * 1024 + 2 && each.isWellFormed()));

// Ctrl+C ends it; so does a lost connection, which is told.
sent = [];
outgoing.put("%1", large);
outgoing.put("%1", "\x03");
pass();
assert.equal(sent.length, 2);
assert.equal(sent[1], "%1\x03");
outgoing.put("%1", large);
connected = false;
pass();
assert.equal(outgoing.put("%1", "x"), false);
connected = true;
sent = [];
assert.equal(outgoing.put("%2", "y"), true);
pass();
assert.ok(sent.length === 1 && sent[0] === "%2y");
