// The button by which one speaks instead of typing.
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { dictation, type Field } from "./dictation";
import { MICROPHONE, STOP } from "./icons";
import type { Voice } from "./offered";
import { useWatched } from "./watched";
import "./voice.css";

const SAYS = { opening: "The microphone is asked for…", listening: "Listening…", ending: "The rest of the words is coming…", over: "" } as const;
const PRESSED = { opening: "Do not speak", listening: "Stop listening", ending: "Do not wait for the rest", over: "Speak" } as const;

export function Speak({ voice, field, disabled }: { voice: Voice; field: Field; disabled: boolean }): JSX.Element {
  const { phase, on } = useWatched(dictation);
  const press = () => {
    if (phase === "over") dictation.begin(voice, field);
    else if (phase === "listening") dictation.finish();
    else dictation.end();
  };
  return (
    <button type="button" class={on ? `speak ${phase}` : "speak quiet"} aria-pressed={on} title={PRESSED[phase]} disabled={disabled && !on} onClick={press}>
      {phase === "listening" && <Volume />}
      {phase === "over" ? MICROPHONE : STOP}
      <span class="unseen">{PRESSED[phase]}</span>
    </button>
  );
}

/** A ring as large as it is loud: that the microphone hears something. */
function Volume(): JSX.Element {
  const ring = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    const show = () => ring.current?.style.setProperty("--level", String(dictation.volume.level));
    const unwatch = dictation.volume.watch(show);
    return () => void unwatch();
  }, []);
  return <span ref={ring} class="volume" />;
}

/** What goes on, in words, and what went wrong. */
export function Heard(): JSX.Element {
  const { phase, problem } = useWatched(dictation);
  return (
    <>
      <p class="problem" role="alert">
        {problem}
      </p>
      <p class="hearing hint" role="status">
        {SAYS[phase]}
      </p>
    </>
  );
}
