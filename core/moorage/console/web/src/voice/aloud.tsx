// Answers read aloud: while they come, and any of them when somebody wants to hear it.
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Live } from "../chat/live";
import { dictation } from "./dictation";
import { chosen, type Voice } from "./offered";
import { reader, type Sentences } from "./reader";
import { useWatched } from "./watched";

/** The reading of Markdown is fetched when it is needed. */
export const sentences = async (): Promise<Sentences> => new (await import("./speakable")).Speakable();

/** Read an answer while it is made, where that is chosen. It is stopped with the answer, and when its page goes away. */
export function useAloud(live: Live | null, voice: Voice | null): void {
  const read = useRef<Live | null>(null);
  useEffect(() => {
    // One that was begun elsewhere is read where that was.
    if (voice !== null && live?.here && live !== read.current && (chosen.now.aloud || dictation.talking)) {
      read.current = live;
      reader.begin(live, voice, sentences());
    }
    const one = read.current;
    if (one === null) return;
    reader.feed(one, one.said, live !== one);
    if (one.stopping && reader.key === one) reader.stop();
    if (live !== one) read.current = null;
  });
  useEffect(() => () => reader.stop(), []);
}

/** The button at an answer that reads it. */
export function Listen({ voice, id, text }: { voice: Voice; id: number; text: string }): JSX.Element {
  const { key } = useWatched(reader);
  const on = key === id;
  const press = () => {
    if (on) return reader.stop();
    dictation.end();
    reader.begin(id, voice, sentences());
    reader.feed(id, text, true);
  };
  return (
    <button type="button" class="quiet" aria-pressed={on} onClick={press}>
      Listen<span class="unseen"> to the answer</span>
    </button>
  );
}

/** That something is read, and how to end it. */
export function Reading(): JSX.Element {
  const { key, problem } = useWatched(reader);
  return (
    <div class="reading">
      <p class="problem" role="alert">
        {problem}
      </p>
      <p class="hint" role="status">
        {key === null ? "" : "Reading aloud…"}
      </p>
      {key !== null && (
        <button type="button" class="quiet" onClick={() => reader.stop()}>
          Stop reading
        </button>
      )}
    </div>
  );
}
