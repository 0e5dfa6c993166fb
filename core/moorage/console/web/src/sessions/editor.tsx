// One file as text: read, changed, and saved unless somebody else has saved it meanwhile.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../api";
import { Problem, Said, useTask, words } from "../forms";
import { type Entry, type Files, SHOWN, type Text } from "./files-api";
import * as sessions from "./sessions";

interface EditorProps {
  files: Files;
  entry: Entry;
  mayWrite: boolean;
  refresh: () => Promise<void>;
  close: () => void;
}

const CHANGED = "It was changed meanwhile, by the agent or somebody else. Copy what you need, then read it anew.";
const explain = (error: unknown): string => (error instanceof ApiError && error.status === 412 ? CHANGED : words(error));

export function Editor({ files, entry, mayWrite, refresh, close }: EditorProps): JSX.Element {
  const large = (entry.size ?? 0) > SHOWN;
  const [found, setFound] = useState<Text | null | undefined>(large ? null : undefined);
  const [text, setText] = useState("");
  const [said, setSaid] = useState<string | null>(null);
  const task = useTask(refresh, explain);
  const area = useRef<HTMLTextAreaElement>(null);
  const dirty = found !== null && found !== undefined && text !== found.text;

  const load = () =>
    task.run(async () => {
      const read = await files.read(entry);
      setFound(read);
      setText(read?.text ?? "");
      setSaid(null);
    });
  useEffect(() => {
    if (!large) void load().then(() => area.current?.focus());
  }, []);
  useEffect(() => {
    if (!dirty) return undefined;
    const keep = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", keep);
    return () => window.removeEventListener("beforeunload", keep);
  }, [dirty]);
  const save = () =>
    task.run(async () => {
      if (!found || !dirty) return;
      const saved = text;
      const tag = await files.write(entry, saved, found.tag);
      setFound({ text: saved, tag });
      setSaid("Saved.");
    });
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "s" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      void save();
    }
  };
  const leave = () => {
    if (!dirty || confirm("Leave without saving what you changed?")) close();
  };
  return (
    <div class="editor" onKeyDown={onKey}>
      <div class="heading">
        <h2>{entry.path}</h2>
        <a class="button" href={files.download(entry)} download>
          Download
        </a>
        {found && (
          <button type="button" class="quiet" disabled={task.busy} onClick={() => void load()}>
            Read anew
          </button>
        )}
        {found && mayWrite && (
          <button type="button" disabled={task.busy || !dirty} onClick={() => void save()}>
            Save
          </button>
        )}
        <button type="button" class="quiet" onClick={leave}>
          Close
        </button>
      </div>
      <Problem text={task.problem} />
      <Said>{said}</Said>
      {found === undefined ? (
        task.problem === null && <p class="loading">Loading…</p>
      ) : found === null ? (
        <p class="empty">
          {large ? `It is too large to be shown here (${sessions.size(entry.size ?? 0)}).` : "It is no text."} Download it instead.
        </p>
      ) : (
        <textarea
          ref={area}
          aria-label={entry.path}
          value={text}
          readOnly={!mayWrite}
          spellcheck={false}
          autocapitalize="none"
          onInput={(event) => {
            setText(event.currentTarget.value);
            setSaid(null);
          }}
        />
      )}
    </div>
  );
}
