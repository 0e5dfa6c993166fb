// How one is heard and what one hears: the dialog of voice's choices, kept in this browser.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Dialog } from "../dialog";
import { Problem, words } from "../forms";
import { sentences } from "./aloud";
import { dictation } from "./dictation";
import { SPEAKER } from "./icons";
import { chosen, type Voice } from "./offered";
import { reader } from "./reader";
import { type Speaker, voices } from "./voices";
import { useWatched } from "./watched";

const SPEEDS = [0.75, 1, 1.25, 1.5, 2];
const SAMPLE = "This is how answers sound.";

export function VoiceChoice({ voice }: { voice: Voice }): JSX.Element {
  const { now } = useWatched(chosen);
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" class={now.aloud ? "speak quiet aloud" : "speak quiet"} aria-haspopup="dialog" title={now.aloud ? "Voice: answers are read aloud" : "Voice"} onClick={() => setOpen(true)}>
        {SPEAKER}
        <span class="unseen">Voice</span>
      </button>
      {open && (
        <Dialog title="Voice" onClose={() => setOpen(false)}>
          <form class="voice" onSubmit={(event) => event.preventDefault()}>
            {voice.speaks !== null && <Speaking voice={voice} />}
            {voice.hears !== null && <Hearing speaks={voice.speaks !== null} />}
          </form>
        </Dialog>
      )}
    </>
  );
}

function Hearing({ speaks }: { speaks: boolean }): JSX.Element {
  const { now } = useWatched(chosen);
  const turn = (on: boolean) => {
    chosen.choose({ handsFree: on });
    if (!on) dictation.end();
  };
  return (
    <>
      <label class="tick">
        <input type="checkbox" checked={now.handsFree} onChange={(event) => turn(event.currentTarget.checked)} />
        Talk hands-free
      </label>
      <p class="hint">
        Press the microphone once: what you say is sent when you pause, {speaks ? "the answer is read aloud, " : ""}and then you are listened to again.
      </p>
    </>
  );
}

function Speaking({ voice }: { voice: Voice }): JSX.Element {
  const { now } = useWatched(chosen);
  const [found, setFound] = useState<Speaker[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    let gone = false;
    voices(voice).then(
      (all) => !gone && setFound(all),
      (error: unknown) => !gone && setProblem(words(error)),
    );
    return () => {
      gone = true;
    };
  }, [voice]);
  const turn = (on: boolean) => {
    chosen.choose({ aloud: on });
    if (!on) reader.stop();
  };
  return (
    <>
      <label class="tick">
        <input type="checkbox" checked={now.aloud} onChange={(event) => turn(event.currentTarget.checked)} />
        Read answers aloud as they come
      </label>
      <label>
        Who speaks
        <select value={now.voice ?? ""} onChange={(event) => chosen.choose({ voice: event.currentTarget.value || null })}>
          <option value="">The server's voice</option>
          {now.voice !== null && !found?.some(({ id }) => id === now.voice) && <option value={now.voice}>{now.voice}</option>}
          {grouped(found ?? []).map(([language, some]) => (
            <optgroup key={language} label={language}>
              {some.map((one) => (
                <option key={one.id} value={one.id}>
                  {told(one, some)}
                </option>
              ))}
            </optgroup>
          ))}
        </select>
      </label>
      <label>
        How fast
        <select value={String(now.speed ?? "")} onChange={(event) => chosen.choose({ speed: Number(event.currentTarget.value) || null })}>
          <option value="">As the server does</option>
          {SPEEDS.map((speed) => (
            <option key={speed} value={String(speed)}>
              {speed.toLocaleString()} ×
            </option>
          ))}
        </select>
      </label>
      <Problem text={problem} />
      <Sample voice={voice} />
    </>
  );
}

const KEY = "sample";

function Sample({ voice }: { voice: Voice }): JSX.Element {
  const { key, problem } = useWatched(reader);
  const press = () => {
    if (key === KEY) return reader.stop();
    reader.begin(KEY, voice, sentences());
    reader.feed(KEY, SAMPLE, true);
  };
  return (
    <div class="choice">
      <button type="button" aria-pressed={key === KEY} onClick={press}>
        Hear it
      </button>
      <Problem text={key === null ? problem : null} />
    </div>
  );
}

/** Its name, and what tells it from others of the same name. */
function told(one: Speaker, all: Speaker[]): string {
  if (all.filter(({ name }) => name === one.name).length < 2) return one.name;
  const more = [one.gender, one.description].filter(Boolean).join(", ");
  return `${one.name} – ${more || one.id}`;
}

/** By language, in the language of the reader; what has none is last. */
function grouped(all: Speaker[]): [string, Speaker[]][] {
  const groups = new Map<string, Speaker[]>();
  for (const one of all) {
    const name = languageName(one.language);
    groups.set(name, [...(groups.get(name) ?? []), one]);
  }
  return [...groups].sort(([a], [b]) => (a === OTHERS ? 1 : b === OTHERS ? -1 : a.localeCompare(b)));
}

const OTHERS = "Others";

function languageName(tag: string): string {
  if (tag === "") return OTHERS;
  try {
    return new Intl.DisplayNames("en", { type: "language" }).of(tag) ?? tag;
  } catch {
    return tag;
  }
}
