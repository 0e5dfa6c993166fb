// Checks of the page's sound and sentences. `node voice.mjs FOLDER`; FOLDER holds the bundled modules.
import assert from "node:assert/strict";
import path from "node:path";
import { pathToFileURL } from "node:url";

globalThis.DOMParser = class {
  parseFromString(text) {
    return { documentElement: { textContent: text.replace("&amp;", "&") } };
  }
};
const module = (name) => import(pathToFileURL(path.join(process.argv[2], name)).href);
const { Resampler } = await module("resample.js");
const { Pauses } = await module("pauses.js");
const { Speakable } = await module("speakable.js");

const RATE = 24_000;
const tone = (seconds, rate, hertz) => Float32Array.from({ length: seconds * rate }, (_, n) => 0.5 * Math.sin((2 * Math.PI * hertz * n) / rate));

/** What the audio thread does: 128 samples at a time, or another number. */
function resampled(input, from, piece = 128) {
  const resampler = new Resampler(from, RATE);
  const output = [];
  for (let at = 0; at < input.length; at += piece) output.push(...resampler.push(input.subarray(at, at + piece)));
  return Float32Array.from(output);
}

/** How strong that frequency is: of a tone of 0.5, 0.5. */
function strength(samples, hertz) {
  let real = 0;
  let imaginary = 0;
  // Past the beginning, and whole periods.
  const part = samples.subarray(2_400, 2_400 + 12_000);
  part.forEach((sample, n) => {
    real += sample * Math.cos((2 * Math.PI * hertz * n) / RATE);
    imaginary += sample * Math.sin((2 * Math.PI * hertz * n) / RATE);
  });
  return (2 * Math.hypot(real, imaginary)) / part.length;
}

for (const rate of [8_000, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000, 192_000]) {
  for (const hertz of [100, 1_000, 3_000]) {
    const heard = resampled(tone(1, rate, hertz), rate);
    assert.ok(Math.abs(heard.length - RATE) <= 80, `${rate}: ${heard.length} samples a second`);
    assert.ok(Math.abs(strength(heard, hertz) - 0.5) < 0.005, `${rate}: ${hertz} Hz is ${strength(heard, hertz)}`);
  }
}
// As a whole or in pieces of whatever size it is the same.
const whole = resampled(tone(1, 44_100, 440), 44_100, 44_100);
for (const piece of [1, 7, 128, 1_000]) {
  const pieces = resampled(tone(1, 44_100, 440), 44_100, piece);
  assert.equal(pieces.length, whole.length);
  assert.ok(pieces.every((sample, n) => Math.abs(sample - whole[n]) < 1e-6));
}
// What is above half the rate does not come back below it.
for (const hertz of [14_000, 17_000, 20_000, 23_000]) {
  const heard = resampled(tone(1, 48_000, hertz), 48_000);
  assert.ok(strength(heard, RATE - hertz) < 0.0005, `${hertz} Hz is heard as ${RATE - hertz}`);
}
// A long stream does not drift.
const long = new Resampler(44_100, RATE);
let count = 0;
for (let second = 0; second < 60; second += 1) count += long.push(new Float32Array(44_100)).length;
assert.ok(Math.abs(count - 60 * RATE) < 80, `${count}`);

// Somebody who speaks for two seconds in a noise, and pauses within.
const frame = (level) => Float32Array.from({ length: 1_024 }, (_, n) => level * Math.SQRT2 * Math.sin(n));
const give = (pauses, seconds, level) => {
  for (let at = 0; at < seconds * RATE; at += 1_024) pauses.take(frame(level));
};
let pauses = new Pauses();
give(pauses, 3, 0.004);
assert.equal(pauses.finished(1_500, false), false, "nobody has spoken");
give(pauses, 1, 0.1);
pauses.word();
give(pauses, 1, 0.004);
assert.equal(pauses.finished(1_500, true), false, "that was a breath");
give(pauses, 1, 0.1);
assert.equal(pauses.finished(1_500, true), false, "still speaking, though no word came");
give(pauses, 1.6, 0.004);
assert.equal(pauses.finished(1_500, true), true);
pauses.anew();
assert.equal(pauses.finished(1_500, false), false);
give(pauses, 1, 0.1);
give(pauses, 3.1, 0.004);
assert.equal(pauses.finished(1_500, false), true, "spoke, though the words are still to come");
pauses = new Pauses();
give(pauses, 1, 0.1);
pauses.word();
give(pauses, 6.1, 0.1);
assert.equal(pauses.finished(1_500, true), true, "it never becomes quiet, but no word comes");

/** The sentences of a text that comes some characters at a time. */
function said(text, piece) {
  const speakable = new Speakable();
  const found = [];
  for (let at = piece; at < text.length; at += piece) found.push(...speakable.take(text.slice(0, at), false));
  return [...found, ...speakable.take(text, true)];
}
const TEXT = `# Roses & more

Roses are **red. Very** *red*! They cost 3.50 &amp; smell… "Do they?" See [the book](https://example.org/a_b) or https://example.org/x?y=z.

- water \`them\`
- prune, in spring

\`\`\`python
def grow(): ...
\`\`\`

| Name | Number |
|------|-------:|
| red  | 22     |

***

What comes last has no end`;
const SAID = [
  "Roses & more",
  "Roses are red.",
  "Very red!",
  "They cost 3.50 & smell…",
  '"Do they?"',
  "See the book or example.org.",
  "water them",
  "prune, in spring",
  "Name, Number",
  "red, 22",
  "What comes last has no end",
];
assert.deepEqual(said(TEXT, TEXT.length), SAID);
for (const piece of [1, 3, 10, 50]) assert.deepEqual(said(TEXT, piece), SAID, `in pieces of ${piece}`);
// At once, not only with what follows it.
const speakable = new Speakable();
assert.deepEqual(speakable.take("One. Two", false), ["One."]);
assert.deepEqual(speakable.take("One. Two.", false), []);
assert.deepEqual(speakable.take("One. Two. Three", false), ["Two."]);
assert.deepEqual(speakable.take("One. Two. Three", true), ["Three"]);
assert.deepEqual(speakable.take("One. Two. Three", true), []);
// Without any end it is cut between words; what is only marks is not said.
const endless = "word ".repeat(1_000);
for (const piece of [1, 77, 10_000]) {
  const pieces = said(endless, piece);
  assert.ok(pieces.every((each) => each.length <= 300));
  assert.equal(pieces.join(" "), endless.trim());
}
assert.ok(said("x".repeat(1_000), 100).every((each) => each.length <= 300));
assert.deepEqual(said("* * *\n\n... !\n\n`` ` ``", 4), []);
assert.deepEqual(said("今日は。元気ですか？はい", 1), ["今日は。", "元気ですか？", "はい"]);
