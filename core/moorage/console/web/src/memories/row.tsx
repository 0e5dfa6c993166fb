// One memory in the list: its words, what is noted beside them, and what can be done with it.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Confirm } from "../forms";
import { ago, full } from "../time";
import { type Memory, TYPES } from "./memories";

/** Longer ones are shown whole when that is asked for. */
const SHOWN = { characters: 600, lines: 8 };

interface RowProps {
  memory: Memory;
  /** Whether it is told which store it is in. */
  naming: boolean;
  mayWrite: boolean;
  busy: boolean;
  edit: () => void;
  forget: () => void;
}

export function Row({ memory, naming, mayWrite, busy, edit, forget }: RowProps): JSX.Element {
  const about = `the memory “${brief(memory.content)}”`;
  return (
    <li class="item memory">
      <div>
        <Words text={memory.content} />
        <p class="notes">
          <time title={full(memory.created_at)}>{ago(memory.created_at)}</time>
          {memory.updated_at !== memory.created_at && (
            <span>
              changed <time title={full(memory.updated_at)}>{ago(memory.updated_at)}</time>
            </span>
          )}
          {naming && <span>in {memory.store}</span>}
          {memory.memory_type !== "semantic" && <span>{TYPES.find(([type]) => type === memory.memory_type)?.[1] ?? memory.memory_type}</span>}
          {memory.category !== "default" && <span class="mark">{memory.category}</span>}
          {memory.tags.map((tag) => (
            <span class="mark" key={tag}>
              #{tag}
            </span>
          ))}
          {memory.importance !== 5 && <span>importance {memory.importance}</span>}
        </p>
      </div>
      {mayWrite && (
        <div class="choice">
          <button type="button" class="quiet" aria-haspopup="dialog" onClick={edit}>
            Change<span class="unseen"> {about}</span>
          </button>
          <Confirm label="Forget" about={about} question="Forget it for good?" yes="Forget it" busy={busy} act={forget} />
        </div>
      )}
    </li>
  );
}

function Words({ text }: { text: string }): JSX.Element {
  const [whole, setWhole] = useState(false);
  const start = beginning(text);
  const long = start.length < text.length;
  return (
    <div class="words">
      {whole || !long ? text : `${start}…`}
      {long && (
        <>
          {" "}
          <button type="button" class="link" aria-expanded={whole} onClick={() => setWhole(!whole)}>
            {whole ? "Less" : "All of it"}
          </button>
        </>
      )}
    </div>
  );
}

/** As much as is shown at first; no letter is cut in two. */
function beginning(text: string): string {
  const lines = text.split("\n", SHOWN.lines + 1).slice(0, SHOWN.lines).join("\n");
  if (lines.length <= SHOWN.characters + 100) return lines;
  return Array.from(lines.slice(0, SHOWN.characters * 2)).slice(0, SHOWN.characters).join("");
}

/** A few words by which one knows it. */
function brief(text: string): string {
  const letters = Array.from(text.slice(0, 200).trim().replace(/\s+/g, " "));
  return letters.length > 60 ? `${letters.slice(0, 60).join("")}…` : letters.join("");
}
